"""Metrics and policies, written, and what every installation starts with."""
