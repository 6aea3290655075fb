"""Joins the two ends of an exposure: experiments writes it down, analytics records it."""

from __future__ import annotations

from analytics.services import drain, ingest
from experiments.services import spool


def wire() -> None:
    """Let a durable exposure, asked for at a door of experiments, be recorded by analytics at once."""
    spool.set_durable_sink(ingest.record_or_refuse)


def start() -> None:
    """Drain the spool for as long as this process lives."""
    drain.start_draining()
