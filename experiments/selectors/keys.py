"""API keys, read: checked against the keyring in memory, never against the database."""

from __future__ import annotations

from experiments.core.errors import AssayError
from experiments.core.serving.keyring import KeyEntry, KeyIdentity
from experiments.core.types import Environment, Role, Scope
from experiments.models import ApiKey
from experiments.selectors import serving


def authenticate(raw_key: str) -> KeyIdentity:
    """Who this key is; a process that has never seen a keyring says that it cannot know yet."""
    state = serving.current()
    if state.keyring_version == 0 and state.stale:
        raise AssayError(
            "no keyring has been read yet, since the database does not answer; try again",
            code="not_available",
        )
    return state.keyring.authenticate(raw_key)


def live_entries() -> list[KeyEntry]:
    """Every key that opens doors now: not revoked, and of an owner who is active."""
    rows = (
        ApiKey.objects.filter(revoked_at__isnull=True, owner__is_active=True)
        .select_related("owner")
        .prefetch_related("owner__groups")
    )
    return [_entry(row) for row in rows]


def _entry(row: ApiKey) -> KeyEntry:
    names = {group.name for group in row.owner.groups.all()}
    return KeyEntry(
        key_id=row.pk,
        name=row.name,
        selector=row.selector,
        verifier=row.verifier,
        scope=Scope(row.scope),
        environment=Environment(row.environment),
        owner_id=row.owner_id,
        label=row.owner.get_username(),
        roles=frozenset(role for role in Role if role.value in names),
    )
