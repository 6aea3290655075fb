"""Comparisons of a test arm with control, one module for each kind of value."""
