"""Accounts: who may log in, under which name, with which jobs. Passwords are set here and told to
nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.contrib.auth.models import Group, User
from django.db import transaction

from experiments.core.errors import NotFound, Problem, Refused
from experiments.core.permissions import Action, check
from experiments.core.types import JSON, Actor, Role
from experiments.services.ground import audit

TOLD = ("username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser")


def save_account(
    actor: Actor, now: datetime, *, account: User, jobs: Collection[Group] | None = None
) -> User:
    """Store a new account, or the changes of one that stands; ``jobs`` are all the groups it is to
    have, ``None`` leaves them.

    Raises ``Refused`` when nobody who may administer would be left.
    """
    check(actor, Action.ADMINISTER, member=False, subject=f"account {account.get_username()[:80]}")
    with transaction.atomic():
        stood = _locked(account.pk) if account.pk else None
        before = _told(stood) if stood else None
        account.save()
        if jobs is not None:
            account.groups.set(jobs)
        after = _told(account)
        if before == after:
            return account
        _refuse_without_administrators(account, before)
        audit.record(
            actor,
            now,
            action="account_changed" if stood else "account_created",
            obj=account,
            before=before,
            after=after,
        )
    return account


def set_password(actor: Actor, now: datetime, *, account_id: int, password: str | None) -> User:
    """Another password; ``None``: none at all, so that the account logs in by other means or not.
    Its rules are the caller's form's.
    """
    check(actor, Action.ADMINISTER, member=False, subject="accounts")
    with transaction.atomic():
        row = _locked(account_id)
        if password is None:
            row.set_unusable_password()
        else:
            row.set_password(password)
        row.save(update_fields=["password"])
        audit.record(
            actor, now, action="password_taken" if password is None else "password_set", obj=row
        )
    return row


def _locked(account_id: int) -> User:
    row = User.objects.select_for_update().filter(pk=account_id).first()
    if row is None:
        raise NotFound(f"account {account_id}: there is none of this id", field="account")
    return row


def _told(row: User) -> JSON:
    return {name: getattr(row, name) for name in TOLD} | {
        "jobs": sorted(row.groups.values_list("name", flat=True))
    }


def _refuse_without_administrators(account: User, before: JSON) -> None:
    left = User.objects.filter(
        groups__name=Role.ADMIN.value, is_active=True, is_staff=True
    ).exists()
    if before is not None and not left:
        message = f"account {account.get_username()}: nobody who may administer would be left; give somebody else the job admin first"
        raise Refused(message, field="jobs", problems=[Problem("last_admin", message, "jobs")])
