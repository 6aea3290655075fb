"""Both databases away for half an hour, for real: ``python -m benchmarks.outage [--minutes 30]``.

A live installation stands behind gates that refuse every connection to PostgreSQL and Redis. All
the while it is asked for assignments, each answer is compared with the one before the outage, and
half-way it is stopped and started again. Afterwards every exposure must be in the table, once.
``tests/chaos/test_outage.py`` is the short version.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, field
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402 (after the set-up)

from config.processes.services import lease  # noqa: E402
from tests.chaos.test_outage import Cut, gated, stale  # noqa: E402
from tests.live import Live  # noqa: E402

UNITS = 200
PAUSE = 0.25
"""Seconds between two requests: the outage is long, not busy."""


@dataclass
class Asked:
    """What came of the requests."""

    sent: int = 0
    failed: list[int] = field(default_factory=list)
    changed: int = 0
    met: int = 0
    slowest: float = 0.0


def ask(live: Live, turn: int, known: dict[str, Any], into: Asked) -> None:
    """One assignment of a unit, held against what it got before."""
    unit, began = f"unit-{turn % UNITS}", time.monotonic()
    answer = live.post("/api/v1/assignments", {"unit": unit, "experiments": ["outage"]})
    into.slowest = max(into.slowest, time.monotonic() - began)
    into.sent += 1
    if answer.status != 200:
        into.failed.append(answer.status)
        return
    found = answer.json()["assignments"][0]
    into.met += found["variant"] is not None
    into.changed += known.setdefault(unit, found["variant"]) != found["variant"]


def outage(cut: Cut, seconds: float) -> tuple[Asked, float, float]:
    """The requests of the outage; seconds of the cold start, and until the installation had noticed
    that all is back.
    """
    live, known, asked = cut.live, dict[str, Any](), Asked()
    for turn in range(UNITS):
        ask(live, turn, known, asked)
    cut.shut()
    end, cold, turn = time.monotonic() + seconds, 0.0, 0
    while time.monotonic() < end:
        if not cold and time.monotonic() > end - seconds / 2:
            live.stop()
            began = time.monotonic()
            live.start()
            cold = time.monotonic() - began
        ask(live, turn, known, asked)
        turn += 1
        time.sleep(PAUSE)
    cut.open()
    began = time.monotonic()
    while stale(live):
        time.sleep(0.1)
    return asked, cold, time.monotonic() - began


def stored(live: Live) -> int:
    """Exposures in the table, repeated ones too."""
    return int(
        live.sql("SELECT coalesce(sum(exposure_count), 0) FROM experiment_assignments")[0][0]
    )


def all_stored(live: Live, wanted: int, seconds: float = 600) -> float:
    """Seconds until so many exposures are in the table, or until we give up."""
    began = time.monotonic()
    while stored(live) < wanted and time.monotonic() - began < seconds:
        time.sleep(0.5)
    return time.monotonic() - began


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--minutes", type=float, default=30.0)
    minutes = given.parse_args().minutes
    with lease() as services, gated(services, settings.REDIS_URL, "serve") as cut:
        asked, cold, noticed = outage(cut, minutes * 60)
        waited = all_stored(cut.live, asked.met)
        found = stored(cut.live)
    report = {
        "minutes": minutes,
        "requests": asked.sent,
        "not 2xx": len(asked.failed),
        "changed answers": asked.changed,
        "slowest answer, ms": round(asked.slowest * 1000),
        "cold start, s": round(cold, 1),
        "noticed after, s": round(noticed, 1),
        "exposures": asked.met,
        "stored": found,
        "all stored after, s": round(waited, 1),
    }
    print(json.dumps(report, indent=2))
    return int(bool(asked.failed or asked.changed or found != asked.met))


if __name__ == "__main__":
    raise SystemExit(main())
