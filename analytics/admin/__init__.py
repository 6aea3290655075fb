"""Decisions, to read, and the text of reports, to write."""

from . import decisions, reports

__all__ = ["decisions", "reports"]
