"""Flags: issue one, switch it, change its default."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from experiments.core.design.rules import value_fits
from experiments.core.errors import Conflict, InvalidInput, Refused
from experiments.core.exact_numbers import inexact
from experiments.core.life.lifecycle import SERVING
from experiments.core.permissions import Action, check
from experiments.core.serving.value_schema import parse_schema
from experiments.core.types import JSON, Actor, FlagType
from experiments.models import Experiment, Flag
from experiments.selectors.experiments import is_member
from experiments.services.ground import audit
from experiments.services.ground.guarding import checked, locked_flag, once, publish, wanted_reason


def create_flag(
    actor: Actor,
    now: datetime,
    *,
    key: str,
    value_type: FlagType | str = FlagType.OBJECT,
    default_value: JSON = None,
    client_visible: bool = False,
    description: str = "",
) -> Flag:
    """Issue a flag; it answers its default value from the next poll on."""
    check(actor, Action.SWITCH_FLAG, member=True, subject=f"flag {key}")
    with transaction.atomic():
        flag = Flag(
            key=key,
            value_type=str(value_type),
            default_value=default_value,
            client_visible=client_visible,
            description=description,
        )
        issue(actor, now, flag)
        publish(now, f"flag {key} issued")
    return flag


def issue(actor: Actor, now: datetime, flag: Flag) -> Flag:
    """Store a new flag with its line; the caller has checked permission and publishes."""
    flag.owner_id, flag.created_at = actor.user_id, now
    if flag.default_value is None and flag.value_type == FlagType.OBJECT:
        flag.default_value = {}
    checked(flag, exclude=("owner",))
    _refuse_wrong_type(flag, flag.default_value)
    if Flag.objects.filter(key=flag.key).exists():
        raise Conflict(f"flag {flag.key}: is issued already", field="key")
    with once(f"flag {flag.key}: is issued already", "key"):
        flag.save(force_insert=True)
    audit.record(
        actor,
        now,
        action="flag_created",
        obj=flag,
        after={"value_type": flag.value_type, "default_value": flag.default_value},
    )
    return flag


def switch(actor: Actor, now: datetime, *, flag_key: str, enabled: bool, reason: str) -> Flag:
    """Switch a flag on or off. Off, everybody gets the default value within one poll, whatever runs
    on it.
    """
    with transaction.atomic():
        flag = locked_flag(flag_key)
        _permit(actor, flag)
        wanted_reason(reason, f"flag {flag.key}", "switching")
        if flag.enabled == enabled:
            raise Refused(
                f"flag {flag.key}: is {'on' if enabled else 'off'} already", field="enabled"
            )
        flag.enabled = enabled
        flag.save(update_fields=["enabled"])
        before: JSON = {"enabled": not enabled}
        audit.record(
            actor,
            now,
            action="flag_switched",
            obj=flag,
            reason=reason,
            before=before,
            after={"enabled": enabled},
        )
        publish(now, f"flag {flag.key} switched {'on' if enabled else 'off'}")
    return flag


def show_to_clients(
    actor: Actor, now: datetime, *, flag_key: str, visible: bool, reason: str
) -> Flag:
    """Let client keys read a flag's values, which lie open in browsers then, or hide them again."""
    with transaction.atomic():
        flag = locked_flag(flag_key)
        _permit(actor, flag)
        wanted_reason(reason, f"flag {flag.key}", "another visibility")
        if flag.client_visible == visible:
            raise Refused(
                f"flag {flag.key}: is {'open to' if visible else 'hidden from'} client keys already",
                field="client_visible",
            )
        flag.client_visible = visible
        flag.save(update_fields=["client_visible"])
        before: JSON = {"client_visible": not visible}
        audit.record(
            actor,
            now,
            action="flag_visibility_changed",
            obj=flag,
            reason=reason,
            before=before,
            after={"client_visible": visible},
        )
        publish(now, f"flag {flag.key} {'shown to' if visible else 'hidden from'} clients")
    return flag


def decide_remotely(
    actor: Actor, now: datetime, *, flag_key: str, remote_only: bool, reason: str
) -> Flag:
    """Leave a flag out of what GrowthBook's SDKs decide by themselves, or put it back in."""
    with transaction.atomic():
        flag = locked_flag(flag_key)
        _permit(actor, flag)
        wanted_reason(reason, f"flag {flag.key}", "changing who decides it")
        if flag.remote_only == remote_only:
            found = "is decided by Assay only" if remote_only else "may be decided by SDKs"
            raise Refused(f"flag {flag.key}: {found} already", field="remote_only")
        flag.remote_only = remote_only
        flag.save(update_fields=["remote_only"])
        before: JSON = {"remote_only": not remote_only}
        after: JSON = {"remote_only": remote_only}
        audit.record(
            actor,
            now,
            action="flag_remote_only_changed",
            obj=flag,
            reason=reason,
            before=before,
            after=after,
        )
        publish(now, f"flag {flag.key}: who decides it changed")
    return flag


def set_default(
    actor: Actor, now: datetime, *, flag_key: str, default_value: JSON, reason: str
) -> Flag:
    """Change what everybody gets who is in nothing; refused while an experiment serves on the
    flag.
    """
    with transaction.atomic():
        flag = locked_flag(flag_key)
        _permit(actor, flag)
        wanted_reason(reason, f"flag {flag.key}", "another default")
        _refuse_wrong_type(flag, default_value)
        serving = _on(flag).filter(status__in=SERVING).values_list("key", flat=True).first()
        if serving is not None:
            raise Refused(
                f"flag {flag.key}: {serving} serves on it; conclude that before changing the default",
                field="default_value",
            )
        change_default(actor, now, flag, default_value, reason)
        publish(now, f"default of flag {flag.key} changed")
    return flag


def set_schema(actor: Actor, now: datetime, *, flag_key: str, schema: JSON, reason: str) -> Flag:
    """Say which keys the flag's objects have, or (the empty object) no longer. What is served stays
    as it is.
    """
    with transaction.atomic():
        flag = locked_flag(flag_key)
        _permit(actor, flag)
        wanted_reason(reason, f"flag {flag.key}", "another schema")
        if flag.value_type != FlagType.OBJECT:
            raise Refused(
                f"flag {flag.key}: is of type {flag.value_type}; only objects have keys that a schema describes",
                field="schema",
            )
        parse_schema(schema)
        refuse_inexact(schema, "schema", f"flag {flag.key}")
        before: JSON = {"schema": flag.schema}
        flag.schema = schema
        flag.save(update_fields=["schema"])
        audit.record(
            actor,
            now,
            action="flag_schema_changed",
            obj=flag,
            reason=reason,
            before=before,
            after={"schema": schema},
        )
    return flag


def change_default(
    actor: Actor, now: datetime, flag: Flag, default_value: JSON, reason: str
) -> None:
    """Store another default with its line; the caller holds the lock and publishes."""
    before: JSON = {"default_value": flag.default_value}
    flag.default_value = default_value
    flag.save(update_fields=["default_value"])
    after: JSON = {"default_value": default_value}
    audit.record(
        actor,
        now,
        action="flag_default_changed",
        obj=flag,
        reason=reason,
        before=before,
        after=after,
    )


def _on(flag: Flag) -> QuerySet[Experiment]:
    return Experiment.objects.filter(flag_id=flag.key)


def _permit(actor: Actor, flag: Flag) -> None:
    """One's own flag: issued by oneself, or of an experiment whose team one is in."""
    mine = flag.owner_id is not None and flag.owner_id == actor.user_id
    check(
        actor,
        Action.SWITCH_FLAG,
        member=mine or any(is_member(actor, e) for e in _on(flag)),
        subject=f"flag {flag.key}",
    )


def _refuse_wrong_type(flag: Flag, value: JSON) -> None:
    if not value_fits(value, str(flag.value_type)):
        raise InvalidInput(
            f"flag {flag.key}: its type is {flag.value_type}, the default sent is {value!r:.80}",
            field="default_value",
        )
    refuse_inexact(value, "default_value", f"flag {flag.key}")


def refuse_inexact(value: JSON, field: str, subject: str) -> None:
    """Refuse a document with a number that clients would round."""
    message = inexact(value, field)
    if message is not None:
        raise InvalidInput(f"{subject}: {message}", field=field)
