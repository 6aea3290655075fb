"""From a request to an answer: the catalogue, the order of evaluation, and why a unit got what it
got.
"""
