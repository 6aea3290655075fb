"""Logins with a back-off. An attempt is counted before its password is looked at, so that many at
once gain nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction

from experiments.core.login_waits import FORGOTTEN, Counted, subjects, wait
from experiments.models import LoginCount

KNOWN = timedelta(days=180)
"""For so long an address is remembered from which an account has logged in."""


def begin(now: datetime, *, account: str, address: str) -> float:
    """Count an attempt as failed until ``succeeded`` says otherwise; 0.0. When it has to wait: how
    many seconds, and nothing is counted.
    """
    names = sorted(subjects(account, address))
    with transaction.atomic():
        _forget(now)
        LoginCount.objects.bulk_create(
            [LoginCount(subject=name, last_at=now) for name in names], ignore_conflicts=True
        )
        rows = LoginCount.objects.select_for_update().filter(subject__in=names).order_by("subject")
        counted = {row.subject: Counted(row.failures, row.last_at, row.known) for row in rows}
        seconds = wait(account, address, counted, now)
        if not seconds:
            _count(names, now)
    return seconds


def succeeded(now: datetime, *, account: str, address: str) -> None:
    """Take the attempt back, forget the failures of this account from this address, and remember
    the address.
    """
    names = subjects(account, address)
    pair = next(name for name in names if name.startswith("pair:"))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE login_counts SET failures = GREATEST(failures - 1, 0) WHERE subject = ANY(%s)",
            [sorted(names)],
        )
        LoginCount.objects.filter(subject=pair).update(failures=0, known=True, last_at=now)


def _count(names: list[str], now: datetime) -> None:
    statement = """
        UPDATE login_counts SET failures = CASE WHEN last_at < %s THEN 1 ELSE failures + 1 END, last_at = %s
        WHERE subject = ANY(%s)"""
    with connection.cursor() as cursor:
        cursor.execute(statement, [now - FORGOTTEN, now, names])


def _forget(now: datetime) -> None:
    """Strangers may invent accounts and addresses; nothing of them is kept for long."""
    old = LoginCount.objects.filter(last_at__lt=now - FORGOTTEN)
    old.exclude(known=True, last_at__gte=now - KNOWN).delete()
