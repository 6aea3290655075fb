"""Files of the client's own: the last good catalogue, and what was told and has not arrived."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from experiments.sdk.journal import Journal

log = logging.getLogger("assay")


@dataclass(frozen=True)
class Backup:
    """A catalogue as it was fetched."""

    etag: str
    body: str


class Folder:
    """The folder of one server and key; nothing here raises, since a full disk must not stop an
    application.
    """

    def __init__(self, path: str | os.PathLike[str], url: str, key: str) -> None:
        self._path = Path(path)
        self._mark = hashlib.sha256(f"{url} {key}".encode()).hexdigest()[:16]

    @property
    def _catalogue(self) -> Path:
        return self._path / f"catalogue-{self._mark}.json"

    def keep(self, backup: Backup) -> bool:
        """Put the catalogue in place of the one before."""
        envelope = {"sha256": _digest(backup.body), "etag": backup.etag, "body": backup.body}
        return self._write(self._catalogue, json.dumps(envelope).encode())

    def kept(self) -> Backup | None:
        """The last good catalogue; ``None`` when there is none that can be trusted."""
        try:
            envelope = json.loads(self._catalogue.read_bytes())
            backup = Backup(etag=str(envelope["etag"]), body=str(envelope["body"]))
            if _digest(backup.body) != envelope["sha256"]:
                raise ValueError("the text is not the one that the digest belongs to")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s cannot be used: %r", self._catalogue, error)
            return None
        return backup

    def journal(self) -> Journal:
        """Where what was told is kept until it has arrived."""
        return Journal(self._path, self._mark)

    def _write(self, target: Path, data: bytes) -> bool:
        """Write beside, then rename: a reader sees the old file or the new one, and nobody else may
        read either.
        """
        beside = None
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=self._path)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(target)
        except OSError as error:
            log.warning("%s cannot be written: %r", target, error)
            if beside is not None:
                Path(beside).unlink(missing_ok=True)
            return False
        return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
