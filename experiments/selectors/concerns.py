"""What is wrong with an installation although it works; told by ``check --deploy``, by readyz and
in the admin. Serving never asks.
"""

from __future__ import annotations

import time

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Q

from experiments.models import ChangeLogEntry
from experiments.selectors.cast import CAST, HIRED

KEPT_SECONDS = 30.0
_NAMES = frozenset(member.username for member in CAST)
_known: tuple[float, list[str]] | None = None


def concerns() -> list[str]:
    """One sentence each, as of the last half minute."""
    global _known
    if _known is None or time.monotonic() - _known[0] > KEPT_SECONDS:
        _known = (time.monotonic(), found())
    return _known[1]


def found() -> list[str]:
    """The same, asked now."""
    return [*_one_database_role(), *_commits_that_may_be_lost(), *_demo_people_stay()]


def is_demo_user(user: User) -> bool:
    """Whether the demo made this account and its password is still the one that everybody knows."""
    return user.get_username() in _NAMES and user.pk in _with_demo_password()


def demo_people() -> list[str]:
    """The active accounts of the demo whose password is still the one that everybody knows."""
    people = User.objects.filter(pk__in=_with_demo_password(), username__in=_NAMES, is_active=True)
    return list(people.order_by("username").values_list("username", flat=True))


def _with_demo_password() -> set[int]:
    """Made by the demo, and no other password was set by an admin since."""
    lines = ChangeLogEntry.objects.filter(
        Q(action="create_user", reason=HIRED) | Q(action__in=("password_set", "password_taken"))
    )
    made: set[int] = set()
    for action, user in (
        lines.filter(object_type="user").order_by("id").values_list("action", "object_id")
    ):
        (made.add if action == "create_user" else made.discard)(int(user))
    return made


def _commits_that_may_be_lost() -> list[str]:
    """What is acknowledged must be on the disk: these settings let PostgreSQL say "committed"
    before it is.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes') AND setting = 'off'"
        )
        off = sorted(name for (name,) in cursor.fetchall())
    if not off:
        return []
    return [
        f"PostgreSQL has {' and '.join(off)} off, so a crash may lose what was acknowledged. Switch on what is off"
    ]


def _one_database_role() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege('changelog', 'TRUNCATE')")
        if not cursor.fetchone()[0]:
            return []
    what_to_do = "Name another one in DATABASE_URL, and the owner of the tables in DATABASE_OWNER_URL for migrations"
    return [f"the application's database role may erase the audit. {what_to_do}"]


def _demo_people_stay() -> list[str]:
    people = [] if settings.DEMO else demo_people()
    if not people:
        return []
    known = f"the demo's accounts {', '.join(people)} are here, and everybody knows their password"
    what_to_do = "Switch them off, or set other passwords, under House → Accounts"
    return [f"{known}; they cannot sign in without ASSAY_DEMO=1. {what_to_do}"]
