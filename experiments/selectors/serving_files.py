"""The last good documents as files: replaced atomically, readable by this user alone, checked when
read.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import structlog
from django.conf import settings

from experiments.core.types import BUCKETS, JSON

log = structlog.get_logger(__name__)


class _Numbers(dict[str, int]):
    """From digits to number. A catalogue names each bucket hundreds of times: by the same object,
    which saves half of its memory.
    """

    def __missing__(self, digits: str) -> int:
        return int(digits)


_numbers = _Numbers({str(index): index for index in range(BUCKETS)})


@dataclass(frozen=True)
class StoredDocument:
    """A document as it is stored: its text, and the digest of that text."""

    kind: str
    version: int
    sha256: str
    body: str

    def content(self) -> dict[str, JSON]:
        """What the text says."""
        document = json.loads(self.body, parse_int=_numbers.__getitem__)
        if not isinstance(document, dict):
            raise TypeError(f"{self.kind} {self.version} is not an object")
        return cast("dict[str, JSON]", document)


def path_of(kind: str) -> Path:
    """Where the document of this kind lies."""
    return Path(settings.CATALOGUE_DIR) / f"{kind}.json"


def write(document: StoredDocument) -> bool:
    """Put the document in place of the one before; a full or missing disk is logged, never
    raised.
    """
    target = path_of(document.kind)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(target, _envelope(document))
    except OSError as error:
        log.warning("serving_file_not_written", path=str(target), error=str(error))
        return False
    return True


def read(kind: str) -> StoredDocument | None:
    """The document in the file, or ``None`` when there is none that can be trusted."""
    path = path_of(kind)
    try:
        document = _from_envelope(kind, path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("serving_file_unreadable", path=str(path), error=repr(error))
        return None
    return document


def _envelope(document: StoredDocument) -> bytes:
    return json.dumps(
        {"version": document.version, "sha256": document.sha256, "body": document.body}
    ).encode()


def _from_envelope(kind: str, data: bytes) -> StoredDocument:
    envelope = json.loads(data)
    document = StoredDocument(
        kind, int(envelope["version"]), str(envelope["sha256"]), str(envelope["body"])
    )
    if hashlib.sha256(document.body.encode()).hexdigest() != document.sha256:
        raise ValueError("the text is not the one that the digest belongs to")
    return document


def _replace(target: Path, data: bytes) -> None:
    """Write beside, then rename: a reader sees the old file or the new one, never half of
    either.
    """
    beside = target.with_name(f".{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
