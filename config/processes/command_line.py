"""One command, run so that it just works: the database is there, up to date, and gone again
afterwards.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from config import roles
from config.processes import services

NEED_NOTHING = frozenset(
    {
        *(
            "check",
            "collectstatic",
            "compilemessages",
            "diffsettings",
            "findstatic",
            "help",
            "makemessages",
        ),
        *("makemigrations", "spectacular", "startapp", "startproject", "version"),
        "calibrate",  # simulates
        *(
            "demo",
            "runstack",
        ),  # these look after the services themselves, once the port is known to be free
        "prepare_stack",  # one of those runs it, and holds the services
    }
)
"""Commands that run without any server."""
LEAVE_SCHEMA_ALONE = frozenset(
    {
        *(
            "dbshell",
            "migrate",
            "optimizemigration",
            "showmigrations",
            "sqlflush",
            "sqlmigrate",
            "squashmigrations",
        ),
        "drain_spool",  # runs beside a web process; migrations would stay in its memory
    }
)
"""Commands that want the database as it stands."""


def run(argv: Sequence[str]) -> None:
    """Run the command line; a refusal of the services is a message, not a traceback."""
    roles.leave_out()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a script's background job begins with it ignored
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _leave)
    try:
        _run(list(argv))
    except services.ServiceError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _run(argv: list[str]) -> None:
    from django.core.management import execute_from_command_line

    command = argv[1] if len(argv) > 1 else "help"
    if command.startswith("-") or command in NEED_NOTHING or {"-h", "--help"} & set(argv):
        execute_from_command_line(argv)
        return
    with services.lease():
        if services.embedded() and command not in LEAVE_SCHEMA_ALONE:
            _bring_up_to_date()
        execute_from_command_line(argv)


def _bring_up_to_date() -> None:
    import django

    django.setup()
    from config import schema

    applied = schema.bring_up_to_date()
    if applied:
        print(f"Set up the embedded database: {applied} migrations applied.", file=sys.stderr)


def _leave(signum: int, frame: FrameType | None) -> None:
    """SIGTERM and a closed terminal unwind like Ctrl-C, so that services are stopped on the way
    out.
    """
    raise SystemExit(128 + signum)
