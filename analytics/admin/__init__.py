"""Decisions, to read."""

from . import decisions

__all__ = ["decisions"]
