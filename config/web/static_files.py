"""Static files under names that change with their content, packed; browsers keep them for good."""

from __future__ import annotations

import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from whitenoise.storage import CompressedManifestStaticFilesStorage

COLLECTED = ".collected"
"""What the folder was collected from."""


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # WhiteNoise has no types
    """Links use the hashed names once the files were collected; before that (in tests, in commands)
    the plain ones.
    """

    manifest_strict = False

    def stored_name(self, name: str) -> str:
        key = self.hash_key(self.clean_name(name))
        return str(self.hashed_files.get(key) or name)


def collect() -> None:
    """Collect the files, unless the folder holds what these sources gave: hashing and packing take
    two seconds.
    """
    kept, sources = Path(settings.STATIC_ROOT) / COLLECTED, _sources()
    if kept.is_file() and kept.read_text() == sources:
        return
    call_command("collectstatic", interactive=False, verbosity=0)
    kept.write_text(sources)


def _sources() -> str:
    """A hash of all files that are found, by path, size and time of change."""
    found = hashlib.sha256(repr(settings.STORAGES["staticfiles"]).encode())
    for finder in get_finders():
        for path, storage in finder.list([]):
            stat = Path(storage.path(path)).stat()
            found.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return found.hexdigest()
