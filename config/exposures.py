"""Joins the two ends of an exposure, and of an answer that somebody watches: experiments writes it
down, analytics records it.
"""

from __future__ import annotations

from django.conf import settings

from analytics.services.ingest import drain, ingest, watches
from experiments.services.serving import spool


def wire() -> None:
    """Let a durable exposure, asked for at a door of experiments, be recorded by analytics at
    once.
    """
    spool.set_durable_sink(ingest.record_or_refuse)


def start() -> None:
    """Take care of what is queued, and carry watched answers, for as long as this process lives."""
    if settings.DRAINS_BESIDE:
        drain.start_handing_over()
    else:
        drain.start_draining()
    watches.start_carrying()
