"""The keyring: which keys exist, what they may do, and for whom they act. Never served to anybody.

A key reads ``assay_<scope>_<selector>_<secret>``. The selector finds its entry; the verifier, a
SHA-256 of the whole key, checks it. The secret has 192 random bits, so a slow hash would add
nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from experiments.core.errors import InvalidInput, NotAuthenticated
from experiments.core.types import JSON, Actor, ActorKind, Environment, Role, Scope

SELECTOR_LENGTH = 12
SECRET_LENGTH = 48
_LONGEST = 200


@dataclass(frozen=True)
class KeyEntry:
    """One key as the keyring holds it; ``label`` and ``roles`` are its owner's."""

    key_id: int
    name: str
    selector: str
    verifier: str
    scope: Scope
    environment: Environment
    owner_id: int
    label: str
    roles: frozenset[Role] = frozenset()

    @cached_property
    def identity(self) -> KeyIdentity:
        """Who knocks with this key."""
        label = f"key {self.name} ({self.label})"
        actor = Actor(
            ActorKind.KEY,
            label,
            user_id=self.owner_id,
            roles=self.roles,
            scope=self.scope,
            key_id=self.key_id,
        )
        return KeyIdentity(self.key_id, self.name, self.scope, self.environment, actor)

    def as_json(self) -> dict[str, JSON]:
        """The form that ``parse`` reads back."""
        roles: list[JSON] = [role.value for role in sorted(self.roles)]
        return {
            "id": self.key_id,
            "name": self.name,
            "selector": self.selector,
            "verifier": self.verifier,
            "scope": self.scope.value,
            "environment": self.environment.value,
            "owner": {"id": self.owner_id, "label": self.label, "roles": roles},
        }


@dataclass(frozen=True)
class KeyIdentity:
    """Who knocks: the key, what it opens, and the actor it is."""

    key_id: int
    name: str
    scope: Scope
    environment: Environment
    actor: Actor


@dataclass(frozen=True)
class Keyring:
    """All keys that are not revoked, found by selector."""

    entries: Mapping[str, KeyEntry] = field(default_factory=dict)

    def authenticate(self, raw: str) -> KeyIdentity:
        """The identity behind a key as sent; refuses without saying which part was wrong."""
        entry = self.entries.get(_selector(raw))
        # Compared also for unknown selectors, so that the answer takes as long.
        known = hmac.compare_digest(verifier_of(raw), entry.verifier if entry else verifier_of(""))
        if entry is None or not known:
            raise NotAuthenticated("this key is not known, or it was revoked")
        return entry.identity


def new_key(scope: Scope, selector: str, secret: str) -> str:
    """A key's text from the caller's random selector and secret (hexadecimal)."""
    if len(selector) != SELECTOR_LENGTH or len(secret) != SECRET_LENGTH:
        raise ValueError("a selector has 12 and a secret 48 hexadecimal characters")
    return f"assay_{scope.value}_{selector}_{secret}"


def verifier_of(raw: str) -> str:
    """What is kept of a key: the SHA-256 of its text."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()


def keyring_document(entries: list[KeyEntry]) -> dict[str, JSON]:
    """The keyring as a document, in a stable order."""
    return {
        "schema": 1,
        "keys": [entry.as_json() for entry in sorted(entries, key=lambda entry: entry.selector)],
    }


def parse(document: JSON) -> Keyring:
    """The keyring of a document."""
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise InvalidInput("the keyring is of a schema this version does not read")
    rows = document.get("keys")
    entries = [_entry(row) for row in rows] if isinstance(rows, list) else []
    return Keyring({entry.selector: entry for entry in entries})


def _entry(row: JSON) -> KeyEntry:
    if (
        not isinstance(row, dict)
        or not isinstance(owner := row["owner"], dict)
        or not isinstance(roles := owner["roles"], list)
    ):
        raise InvalidInput("the keyring holds an entry that is not a key")
    return KeyEntry(
        key_id=int(str(row["id"])),
        name=str(row["name"]),
        selector=str(row["selector"]),
        verifier=str(row["verifier"]),
        scope=Scope(str(row["scope"])),
        environment=Environment(str(row["environment"])),
        owner_id=int(str(owner["id"])),
        label=str(owner["label"]),
        roles=frozenset(Role(str(role)) for role in roles),
    )


def _selector(raw: str) -> str:
    parts = raw[:_LONGEST].split("_")
    return parts[2] if len(parts) == 4 and parts[0] == "assay" else ""
