"""Decisions, to read; the text of reports and the prices of models, to write."""

from . import decisions, prices, reports

__all__ = ["decisions", "prices", "reports"]
