"""The only room that speaks to other people's servers: one safe https client, and the channels that
use it.
"""
