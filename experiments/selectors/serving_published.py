"""The catalogue as clients that decide for themselves fetch it: its bytes and tag, made once per
version and environment.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from dataclasses import dataclass, field
from functools import lru_cache

from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.serving.catalogue_served import served_document
from experiments.core.types import Environment
from experiments.selectors.serving import ServingState


@dataclass(frozen=True)
class PublishedCatalogue:
    """``etag`` names the content, however it is packed on the way; ``packed`` is it gzipped."""

    version: int
    etag: str
    body: bytes = field(repr=False)
    packed: bytes = field(repr=False)


_building = threading.Lock()


def published(state: ServingState, environment: Environment) -> PublishedCatalogue | None:
    """What keys of this environment may fetch now; ``None`` while no catalogue was ever
    published.
    """
    if not state.version:
        return None
    # Many ask in the moment after a change; one builds.
    with _building:
        return _published(state.body, state.version, environment)


# Bytes remember their hash, so a look-up costs nothing; two versions of both environments can be
# asked for in a change-over.
@lru_cache(maxsize=4)
def _published(text: bytes, version: int, environment: Environment) -> PublishedCatalogue:
    body = catalogues.canonical(served_document(json.loads(text), environment))
    etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
    return PublishedCatalogue(version, etag, body, gzip.compress(body, mtime=0))
