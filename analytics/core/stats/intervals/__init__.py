"""Intervals that may be watched at any time."""
