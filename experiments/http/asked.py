"""Where a question's body may hold a value that cannot be used, without losing the answers that do
not need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from experiments.core.types import JSON

Spot = tuple[dict[str, JSON], Iterable[str]]
_IDS = ("unit", "user_id", "session_id", "tenant")


def in_question(document: JSON) -> Iterator[Spot]:
    """A unit's id, each of ``units``, each of ``attributes``; in a batch those of every item."""
    if not isinstance(document, dict):
        return
    yield document, [name for name in _IDS if name in document]
    for name in ("units", "attributes"):
        yield from in_object(document, name)
    batch = document.get("batch")
    for item in batch if isinstance(batch, list) else ():
        yield from in_question(item)


def in_object(document: JSON, name: str) -> Iterator[Spot]:
    """Each value of the object of this name."""
    found = document.get(name) if isinstance(document, dict) else None
    if isinstance(found, dict):
        yield found, list(found)


def in_context(document: JSON) -> Iterator[Spot]:
    """Each value of an OpenFeature context."""
    return in_object(document, "context")


def in_attributes(document: JSON) -> Iterator[Spot]:
    """Each of the attributes that a GrowthBook SDK sends."""
    return in_object(document, "attributes")
