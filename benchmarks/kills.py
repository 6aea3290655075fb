"""Nothing acknowledged is lost, nothing is counted twice: ``python -m benchmarks.kills [--seconds
60]``.

Events are sent to a live installation, each one to three times, while its web process and its
drainer are killed with SIGKILL and its connections to PostgreSQL are cut. Every event that was
answered with 2xx must be stored, once; every exposure that an answer caused too. ``--unsafe``
forgets a part of what was acknowledged, to show that this would be noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402 (after the set-up)

from config.processes.services import lease  # noqa: E402
from tests.live import Live, installation  # noqa: E402

SENDERS = 4
PAUSE = 3.0
"""Seconds between two kills."""


@dataclass
class Told:
    """What the senders were told."""

    acknowledged: set[str] = field(default_factory=set)
    met: int = 0
    sent: int = 0
    refused: int = 0
    broken: int = 0


def send(live: Live, told: Told, stop: threading.Event, seed: int) -> None:
    """Events with ids, some of them again, and an assignment with each; a broken connection is no
    acknowledgement.
    """
    dice = random.Random(seed)
    while not stop.is_set():
        body = {
            "event_id": str(uuid.UUID(int=dice.getrandbits(128))),
            "event_type": "opened",
            "units": {"user": f"u{dice.randrange(500)}"},
        }
        for _ in range(dice.choice((1, 1, 2, 3))):
            told.sent += 1
            try:
                answer = live.post("/api/v1/events", body)
                met = live.post(
                    "/api/v1/assignments",
                    {"unit": f"m-{body['event_id']}", "experiments": ["kills"]},
                )
            except OSError:
                told.broken += 1
                stop.wait(0.1)
                continue
            if answer.status < 300:
                told.acknowledged.add(body["event_id"])
            else:
                told.refused += 1
            told.met += met.status == 200


def kill(live: Live, what: str) -> bool:
    """SIGKILL for every process of this installation whose command line has these words."""
    found = subprocess.run(
        ["pgrep", "-f", what], capture_output=True, text=True, check=False
    ).stdout.split()
    mine = [int(pid) for pid in found if _belongs(int(pid), live)]
    for pid in mine:
        os.kill(pid, signal.SIGKILL)
    return bool(mine)


def _belongs(pid: int, live: Live) -> bool:
    try:
        return f"ASSAY_STATE={live.state}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def cut(live: Live) -> bool:
    """End every connection of the installation to its database."""
    live.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return True


def count(live: Live, query: str) -> int:
    return int(live.sql(query)[0][0])


def disturb(live: Live, seconds: float) -> dict[str, int]:
    """Kill one after the other, again and again; how often each was killed."""
    kills = {"web": 0, "drain": 0, "connections": 0}
    ways = {
        "web": lambda: kill(live, "granian"),
        "drain": lambda: kill(live, "drain_spool"),
        "connections": lambda: cut(live),
    }
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, way in ways.items():
            time.sleep(PAUSE)
            kills[name] += way()
            until_answering(live)
    return kills


def until_answering(live: Live, seconds: float = 60) -> None:
    """Until the web process is back, so that something is at work when the next is killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if live.get("/livez", key=None).status == 200:
                return
        except OSError:
            time.sleep(0.1)


def until_drained(live: Live, seconds: float = 180) -> None:
    """Until nothing waits in the spool any more."""
    end = time.monotonic() + seconds
    while list((live.state / "spool").glob("*.jsonl")) and time.monotonic() < end:
        time.sleep(0.5)


def report(live: Live, told: Told, kills: dict[str, int]) -> dict[str, object]:
    """What was sent, told and stored."""
    stored = {str(row[0]) for row in live.sql("SELECT event_id FROM ai_events")}
    return {
        "sent": told.sent,
        "acknowledged events": len(told.acknowledged),
        "refused": told.refused,
        "broken off": told.broken,
        "kills": kills,
        "lost": len(told.acknowledged - stored),
        "stored twice": count(live, "SELECT count(*) - count(DISTINCT event_id) FROM ai_events"),
        "assignments answered": told.met,
        "exposures counted": count(
            live, "SELECT coalesce(sum(exposure_count), 0) FROM experiment_assignments"
        ),
    }


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--seconds", type=float, default=60.0)
    given.add_argument("--unsafe", action="store_true")
    options = given.parse_args()
    told, stop = Told(), threading.Event()
    with (
        lease() as services,
        installation(services, settings.DATABASE_URL, settings.REDIS_URL) as live,
    ):
        live.experiment("kills", flag=live.flag("kills")["key"])
        live.settle()
        senders = [
            threading.Thread(target=send, args=[live, told, stop, seed]) for seed in range(SENDERS)
        ]
        for sender in senders:
            sender.start()
        kills = disturb(live, options.seconds)
        stop.set()
        for sender in senders:
            sender.join()
        until_drained(live)
        if options.unsafe:
            live.sql(
                "DELETE FROM ai_events WHERE event_id IN (SELECT event_id FROM ai_events LIMIT 3)"
            )
        found = report(live, told, kills)
    print(json.dumps(found, indent=2))
    # Where a connection broke, the exposure may be written and its answer lost on the way: it
    # counts then, once.
    fair = told.met <= int(str(found["exposures counted"])) <= told.met + told.broken
    return int(bool(found["lost"] or found["stored twice"] or not fair or not told.acknowledged))


if __name__ == "__main__":
    raise SystemExit(main())
