"""The documents that GrowthBook's SDKs fetch, as bytes with their tag."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from experiments.core.protocols import growthbook, growthbook_remote
from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.serving.asking import Asked
from experiments.core.serving.assignment import Assignment
from experiments.core.serving.catalogue_parsing import Catalogue
from experiments.core.types import Environment


@dataclass(frozen=True)
class Document:
    """``etag`` is taken from the bytes, so it changes with what is said and with nothing else.
    ``packed`` is it gzipped.
    """

    body: bytes = field(repr=False)
    etag: str
    packed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Kept:
    catalogue: Catalogue
    until: datetime | None
    document: Document


_PACKING = 5
"""Within a few per cent of the smallest, in a fraction of the time."""
_kept: dict[tuple[Environment, bool], _Kept] = {}
"""The newest of each kind of key."""
_building = threading.Lock()


def features(
    catalogue: Catalogue, environment: Environment, now: datetime, *, client: bool
) -> Document:
    """What keys of this kind evaluate locally; built once per catalogue and once more when
    something in it runs out.
    """
    kept = _kept_for(catalogue, environment, now, client)
    if kept is None:
        # Many ask in the moment after a change; one builds.
        with _building:
            kept = _kept_for(catalogue, environment, now, client) or _build(
                catalogue, environment, now, client
            )
    return kept.document


def evaluated(
    catalogue: Catalogue, environment: Environment, asked: Asked, now: datetime, *, client: bool
) -> tuple[Document, tuple[Assignment, ...]]:
    """Every flag answered for these attributes, and the answers themselves."""
    answers = growthbook_remote.answers(catalogue, environment, asked, now, client=client)
    shown = {
        key: growthbook_remote.feature(
            answer, catalogue.flags[key].served_to(environment), asked.units
        )
        for key, answer in answers.items()
    }
    since, _ = growthbook.validity(catalogue, now)
    content = growthbook.envelope(shown, since) | (
        {"unfit": [one.as_json() for one in asked.problems]} if asked.problems else {}
    )
    return _document(content), tuple(answers.values())


def _kept_for(
    catalogue: Catalogue, environment: Environment, now: datetime, client: bool
) -> _Kept | None:
    kept = _kept.get((environment, client))
    still = (
        kept is not None
        and kept.catalogue is catalogue
        and (kept.until is None or now < kept.until)
    )
    return kept if still else None


def _build(catalogue: Catalogue, environment: Environment, now: datetime, client: bool) -> _Kept:
    payload = growthbook.payload(catalogue, environment, now, client=client)
    kept = _kept[environment, client] = _Kept(
        catalogue, payload.until, _packed(_document(payload.as_json()))
    )
    return kept


def _document(content: Mapping[str, object]) -> Document:
    body = catalogues.canonical(content)
    return Document(body, f'W/"{hashlib.sha256(body).hexdigest()}"')


def _packed(document: Document) -> Document:
    return replace(document, packed=gzip.compress(document.body, _PACKING, mtime=0))
