"""Readings of stores: they compute from totals and write nothing."""
