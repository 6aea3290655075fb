"""Taking in a batch whose items are of several kinds, as other tools' clients send them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from analytics.core.intake.ingest_items import EventItem, ExposureItem, ItemError, ObservationItem
from analytics.services.ingest.batch import BatchResult, IngestIdentity
from analytics.services.ingest.ingest import ingest_events, ingest_exposures, ingest_observations

_KINDS: tuple[tuple[type | tuple[type, ...], Callable[..., BatchResult]], ...] = (
    (ExposureItem, ingest_exposures),
    (ObservationItem, ingest_observations),
    ((EventItem, ItemError), ingest_events),
)
"""Exposures first, so that what is said of an experiment finds its unit in it."""


def ingest_mixed(
    items: Mapping[int, ExposureItem | ObservationItem | EventItem | ItemError],
    *,
    now: datetime,
    identity: IngestIdentity,
) -> BatchResult:
    """Store each item as its kind is stored; ``items`` by their place in what was sent, which
    errors name.
    """
    results = [_of_kind(items, kind, take, now=now, identity=identity) for kind, take in _KINDS]
    errors = sorted(
        (error for result in results for error in result.errors), key=lambda error: error.index
    )
    return BatchResult(
        accepted=sum(result.accepted for result in results),
        duplicates=sum(result.duplicates for result in results),
        conflicts=sum(result.conflicts for result in results),
        errors=tuple(errors),
    )


def _of_kind(
    items: Mapping[int, object],
    kind: type | tuple[type, ...],
    take: Callable[..., BatchResult],
    **how: Any,  # Any: passed on as they are
) -> BatchResult:
    places = [place for place, item in items.items() if isinstance(item, kind)]
    if not places:
        return BatchResult(0, 0, 0)
    result = take([items[place] for place in places], **how)
    return replace(
        result, errors=tuple(replace(error, index=places[error.index]) for error in result.errors)
    )
