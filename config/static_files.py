"""Static files under names that change with their content, packed; browsers keep them for good."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # WhiteNoise has no types
    """Links use the hashed names once the files were collected; before that (in tests, in commands) the plain ones."""

    manifest_strict = False

    def stored_name(self, name: str) -> str:
        key = self.hash_key(self.clean_name(name))
        return str(self.hashed_files.get(key) or name)
