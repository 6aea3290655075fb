"""When a flag was off: read from the changelog, which has every switch."""

from __future__ import annotations

from datetime import datetime

from experiments.models import ChangeLogEntry

SWITCHED = "flag_switched"


def off_spans(flag_key: str, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """The stretches between two moments in which a flag was switched off, in order."""
    if not flag_key:
        return []
    rows = ChangeLogEntry.objects.filter(
        action=SWITCHED, object_type="flag", object_label=flag_key, at__lt=until
    )
    found: list[tuple[datetime, datetime]] = []
    began: datetime | None = None
    for at, after in rows.order_by("at", "id").values_list("at", "after"):
        on = isinstance(after, dict) and after.get("enabled") is True
        if on and began is not None and at > since:
            found.append((max(began, since), at))
        began = None if on else began or at
    return [*found, (max(began, since), until)] if began is not None else found
