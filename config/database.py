"""How long a process may wait for PostgreSQL, by what the process is for: ``ASSAY_WAITS`` names its
row of the table.

A lock that a stranger holds is an outage for whoever waits without end. So everything that serves
or works gives up after a while and tries again; only commands (above all migrations) wait for as
long as it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config import env

VARIABLE = "ASSAY_WAITS"
COMMAND = "command"


@dataclass(frozen=True)
class Waits:
    """Milliseconds until PostgreSQL gives up a lock, a statement, a transaction that does nothing;
    0: never.
    """

    lock: int = 0
    statement: int = 0
    idle: int = 0
    connect: int = 10
    """Seconds until a connection attempt is given up."""

    def options(self) -> str:
        """As the command line of a PostgreSQL session."""
        named = {
            "lock_timeout": self.lock,
            "statement_timeout": self.statement,
            "idle_in_transaction_session_timeout": self.idle,
        }
        return " ".join(f"-c {name}={value}" for name, value in named.items() if value)


TABLE: Mapping[str, Waits] = {
    "serve": Waits(lock=2_000, statement=15_000, idle=30_000, connect=3),
    "web": Waits(lock=2_000, statement=60_000, idle=60_000, connect=3),
    "drain": Waits(lock=5_000, statement=60_000, idle=60_000, connect=3),
    # A task may run for 230 s; its statements may take as long, a lock may not.
    "worker": Waits(lock=3_000, statement=230_000, idle=230_000, connect=5),
    "beat": Waits(lock=3_000, statement=30_000, idle=30_000, connect=5),
    COMMAND: Waits(),
}


_VANISHED = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""A server whose machine has vanished closes no connection: after some 25 s of silence of its
network we do.
"""


def waits() -> Waits:
    """This process's row, with what the environment says otherwise."""
    name = env.text(VARIABLE, COMMAND)
    if name not in TABLE:
        raise ImproperlyConfigured(f"{VARIABLE}: wanted one of {', '.join(TABLE)}; found {name!r}")
    usual = TABLE[name]
    if name == COMMAND:
        return usual
    return Waits(
        lock=env.integer("ASSAY_DB_LOCK_MS", usual.lock),
        statement=env.integer("ASSAY_DB_STATEMENT_MS", usual.statement),
        idle=env.integer("ASSAY_DB_IDLE_MS", usual.idle),
        connect=env.integer("ASSAY_DB_CONNECT_SECONDS", usual.connect),
    )


def bounded(
    database: dict[str, Any],
) -> dict[str, Any]:  # Any: Django's own dictionary of a database
    """The same database with this process's time-outs; what its address says of them comes last and
    wins.
    """
    ours, options = waits(), database.setdefault("OPTIONS", {})
    options.setdefault("connect_timeout", ours.connect)
    for name, value in _VANISHED.items():
        options.setdefault(name, value)
    options["options"] = " ".join(
        part for part in (ours.options(), options.get("options", "")) if part
    )
    return database
