"""Flags, and the exposures of units that were answered."""
