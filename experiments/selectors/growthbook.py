"""The documents that GrowthBook's SDKs fetch, as bytes with their tag."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from experiments.core import catalogue as catalogues
from experiments.core import growthbook, growthbook_remote
from experiments.core.assignment import Assignment
from experiments.core.catalogue import Catalogue
from experiments.core.types import Environment


@dataclass(frozen=True)
class Document:
    """``etag`` is taken from the bytes, so it changes with what is said and with nothing else. ``packed`` is it gzipped."""

    body: bytes = field(repr=False)
    etag: str
    packed: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Kept:
    catalogue: Catalogue
    until: datetime | None
    document: Document


_kept: dict[tuple[Environment, bool], _Kept] = {}
"""The newest of each kind of key. Two threads may build the same one at once; either will do."""


def features(catalogue: Catalogue, environment: Environment, now: datetime, *, client: bool) -> Document:
    """What keys of this kind evaluate locally; built once per catalogue and once more when something in it runs out."""
    kept = _kept.get((environment, client))
    if kept is None or kept.catalogue is not catalogue or (kept.until is not None and kept.until <= now):
        payload = growthbook.payload(catalogue, environment, now, client=client)
        kept = _Kept(catalogue, payload.until, _packed(_document(payload.as_json())))
        _kept[environment, client] = kept
    return kept.document


def evaluated(
    catalogue: Catalogue, environment: Environment, attributes: Mapping[str, object], now: datetime, *, client: bool
) -> tuple[Document, tuple[Assignment, ...]]:
    """Every flag answered for these attributes, and the answers themselves."""
    answers = growthbook_remote.answers(catalogue, environment, attributes, now, client=client)
    shown = {
        key: growthbook_remote.feature(answer, catalogue.flags[key].served_to(environment), attributes) for key, answer in answers.items()
    }
    since, _ = growthbook.validity(catalogue, now)
    return _document(growthbook.envelope(shown, since)), tuple(answers.values())


def _document(content: Mapping[str, object]) -> Document:
    body = catalogues.canonical(content)
    return Document(body, f'W/"{hashlib.sha256(body).hexdigest()}"')


def _packed(document: Document) -> Document:
    return replace(document, packed=gzip.compress(document.body, mtime=0))
