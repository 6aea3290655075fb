"""A policy's next version: what a risk class demands from now on. Launched iterations keep what
they froze.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from experiments.core.design.policies import PolicyRules
from experiments.core.errors import NotFound
from experiments.core.permissions import Action, check
from experiments.core.types import Actor
from experiments.models import Policy
from experiments.services.ground import audit
from experiments.services.ground.guarding import wanted_reason


def revise_policy(
    actor: Actor, now: datetime, *, key: str, rules: PolicyRules, reason: str
) -> Policy:
    """Make these rules the policy's current version; unchanged rules make none.

    Drafts follow on their next edit of the policy; new experiments get the new version.
    """
    with transaction.atomic():
        present = Policy.objects.select_for_update().filter(key=key, current=True).first()
        if present is None:
            raise NotFound(f"policy {key!r}: there is none of this key", field="policy")
        check(actor, Action.ADMINISTER, member=False, subject=f"policy {key}")
        why = wanted_reason(reason, f"policy {key}", "a new version")
        if present.rules == rules.as_json():
            return present
        return _supersede(actor, now, present, rules, why)


def _supersede(
    actor: Actor, now: datetime, present: Policy, rules: PolicyRules, reason: str
) -> Policy:
    Policy.objects.filter(pk=present.pk).update(current=False, is_default=False)
    following = Policy.objects.create(
        key=present.key,
        version=present.version + 1,
        name=present.name,
        description=present.description,
        rules=rules.as_json(),
        is_default=present.is_default,
        created_at=now,
    )
    audit.record(
        actor,
        now,
        action="revise_policy",
        obj=following,
        reason=reason,
        before=present.rules,
        after=following.rules,
    )
    return following
