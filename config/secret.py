"""A secret key for a machine that was given none: made once, kept in the state folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

SHORTEST = 50
FEWEST = 5
"""As ``check --deploy`` wants a key to be: so many characters, so many different ones."""


def of(text: str, state: Path) -> str:
    """The environment's key, or where it has none the state folder's."""
    return given(text) if text else kept_in(state)


def given(text: str) -> str:
    """The key of the environment. One that can be guessed lets nobody start: it signs sessions,
    webhooks and hashes of unit ids.
    """
    if len(text) >= SHORTEST and len(set(text)) >= FEWEST:
        return text
    raise ImproperlyConfigured(
        f"ASSAY_SECRET_KEY: wanted at least {SHORTEST} characters, {FEWEST} of them different; found {len(text)}. Make one with "
        'python -c "import secrets; print(secrets.token_urlsafe(64))"; a new key ends all sessions and changes the secrets of webhooks.'
    )


def kept_in(state: Path) -> str:
    """The key of this state folder; whoever comes first makes it, racing processes agree on one."""
    path = state / "secret_key"
    try:
        state.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"ASSAY_SECRET_KEY is not set and {path} cannot be kept ({error.strerror}). "
            "Set ASSAY_SECRET_KEY, or point ASSAY_STATE to a folder that this user may write."
        ) from None


def _make(path: Path) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(64))
    try:
        os.link(draft, path)  # atomic, and refuses to replace the key of a process that was faster
    except FileExistsError:
        pass
    finally:
        draft.unlink()
