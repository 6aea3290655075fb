"""API keys, made and revoked. A key's text leaves this module once and is kept nowhere."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from experiments.core.errors import InvalidInput, NotFound, Refused
from experiments.core.figures import moment
from experiments.core.permissions import MAY_OWN_MANAGEMENT_KEYS, Action, check
from experiments.core.serving.keyring import SECRET_LENGTH, SELECTOR_LENGTH, new_key, verifier_of
from experiments.core.types import JSON, Actor, ActorKind, Environment, Scope
from experiments.models import ApiKey
from experiments.selectors.actors import roles_of
from experiments.services.ground import audit, publishing

_LONGEST_NAME = 120


def create_key(
    actor: Actor,
    now: datetime,
    *,
    name: str,
    scope: Scope,
    environment: Environment = Environment.PRODUCTION,
    owner: User,
) -> tuple[ApiKey, str]:
    """A new key and its text, which nobody can read again. It acts for its owner; who made it may
    not approve what it asks for.
    """
    _permit(actor, f"key {name}")
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise InvalidInput(
            f"name: a key needs a name of 1 to {_LONGEST_NAME} characters, so that it can be told apart",
            "name",
        )
    if not owner.is_active:
        raise Refused(
            f"key {name}: its owner {owner.get_username()} is switched off; choose somebody who answers for it",
            "owner",
        )
    if scope is Scope.MANAGEMENT and not roles_of(owner) & MAY_OWN_MANAGEMENT_KEYS:
        jobs = " or ".join(sorted(role.value.replace("_", " ") for role in MAY_OWN_MANAGEMENT_KEYS))
        raise Refused(
            f"key {name}: a management key starts and stops experiments for its owner, and "
            f"{owner.get_username()} is no {jobs}; choose somebody who is, or another scope",
            "owner",
        )
    selector = secrets.token_hex(SELECTOR_LENGTH // 2)
    text = new_key(scope, selector, secrets.token_hex(SECRET_LENGTH // 2))
    with transaction.atomic():
        key = ApiKey.objects.create(
            name=name.strip(),
            selector=selector,
            verifier=verifier_of(text),
            scope=scope.value,
            environment=environment.value,
            owner=owner,
            made_by_id=actor.user_id,
            created_at=now,
        )
        facts: dict[str, JSON] = {
            "name": key.name,
            "scope": key.scope,
            "environment": key.environment,
            "owner": owner.get_username(),
        }
        audit.record(actor, now, action="create_key", obj=key, after=facts)
        publishing.publish_keyring(now, reason=f"key {key.name} created")
    return key, text


def revoke_key(actor: Actor, now: datetime, *, key_id: int, reason: str) -> ApiKey:
    """Close a key for good; every process refuses it after its next poll."""
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().filter(pk=key_id).first()
        if key is None:
            raise NotFound(f"key {key_id}: there is none of this id", "key")
        _permit(actor, f"key {key.name}")
        if not reason.strip():
            raise InvalidInput(f"key {key.name}: say why it is revoked", "reason")
        if key.revoked_at is not None:
            raise Refused(f"key {key.name}: revoked already, at {moment(key.revoked_at)}")
        key.revoked_at = now
        key.save(update_fields=["revoked_at"])
        audit.record(
            actor,
            now,
            action="revoke_key",
            obj=key,
            reason=reason,
            before={"revoked": False},
            after={"revoked": True},
        )
        publishing.publish_keyring(now, reason=f"key {key.name} revoked")
    return key


def _permit(actor: Actor, subject: str) -> None:
    # The machine here is somebody with a shell on the server, who could write to the tables anyway.
    if actor.kind is not ActorKind.MACHINE:
        check(actor, Action.ADMINISTER, member=False, subject=subject)
