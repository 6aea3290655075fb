"""An application of the demo's: people and tenants who ask for variants over HTTP and do things afterwards."""

from __future__ import annotations

import http.client
import json
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandParser

from analytics.services.examples.base import Example
from analytics.services.examples.history import spread
from analytics.services.examples.plans import EXAMPLES
from experiments.core.clock import utc_now
from experiments.core.types import Environment, Scope
from experiments.models import ApiKey
from experiments.selectors.actors import actor_for_user
from experiments.services import keys

PEOPLE, TENANTS = 20_000, 4_000
TRIES = 60
"""Seconds to wait for a door that does not answer yet, the first of them in silence."""
QUIET = 10


@dataclass
class Door:
    """One kept connection to the API; a broken one is opened anew."""

    url: str
    key: str
    connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to one call; a refusal is an error with its text."""
        if self.connection is None:
            parts = urlsplit(self.url)
            self.connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=10)
        try:
            self.connection.request("POST", path, json.dumps(body), self._headers())
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise
        if answer.status >= 400:
            raise ConnectionError(f"{path}: {answer.status} {text[:300].decode(errors='replace')}")
        return dict(json.loads(text))

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}


class Command(BaseCommand):
    help = "Send live traffic to the examples through the HTTP doors, until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="http://127.0.0.1:8000")
        parser.add_argument("--per-second", type=float, default=6.0, help="people and tenants who ask, a second")
        parser.add_argument("--seconds", type=float, default=None, help="stop by itself after so long")
        parser.add_argument("--every", type=float, default=15.0, help="seconds between lines of progress")

    def handle(self, *args: Any, **options: Any) -> None:
        door = Door(options["url"], _server_key())
        time.sleep(settings.POLL_SECONDS + 1)  # until whoever answers there already has read of the new key
        self._wait_for(door)
        seen: Counter[str] = Counter()
        chance = random.Random()  # play, not secrets
        ends = None if options["seconds"] is None else time.monotonic() + options["seconds"]
        line_at = time.monotonic() + options["every"]
        while ends is None or time.monotonic() < ends:
            try:
                seen.update(visit(door, chance))
            except OSError as error:
                self.stderr.write(f"{error}")
                time.sleep(1)
            if time.monotonic() >= line_at:
                self.stdout.write(progress(seen))
                line_at += options["every"]
            time.sleep(1 / options["per_second"])

    def _wait_for(self, door: Door) -> None:
        for left in range(TRIES, 0, -1):
            try:
                door.post("/api/v1/assignments", {"unit": "traffic-probe", "exposure": "none"})
            except OSError as error:
                if left == 1:
                    raise
                if left <= TRIES - QUIET:
                    self.stdout.write(f"waiting for {door.url} ({error.__class__.__name__})")
                time.sleep(1)
            else:
                return


def visit(door: Door, chance: random.Random) -> Counter[str]:
    """One unit asks for everything that serves its kind, meets it, and does what the truth has it do."""
    tenant = chance.random() < 0.2
    units = {"tenant": f"t-live-{chance.randrange(TENANTS):05d}"} if tenant else {"user": f"u-live-{chance.randrange(PEOPLE):05d}"}
    asked = [example for example in EXAMPLES if example.truth and (example.spec.unit_type == "tenant") == tenant]
    answer = door.post("/api/v1/assignments", {"units": units, "experiments": [example.key for example in asked]})
    met = {entry["experiment"]: entry for entry in answer["assignments"]}
    events = [event for example in asked for event in _events(example, met.get(example.key), units, chance)]
    if events:
        door.post("/api/v1/events", {"events": events})
    rated = [rating for example in asked for rating in _ratings(example, met.get(example.key), units, chance)]
    if rated:
        door.post("/api/v1/observations", {"observations": rated})
    shown = Counter({f"{key}={entry['variant']}": 1 for key, entry in met.items() if entry["variant"]})
    return shown + Counter(events=len(events), visits=1)


def _events(example: Example, entry: dict[str, Any] | None, units: dict[str, str], chance: random.Random) -> list[dict[str, Any]]:
    """A unit that meets no variant behaves like control; who comes again does less each time."""
    arm = (entry or {}).get("variant") or ""
    at = (utc_now() + timedelta(milliseconds=1)).isoformat()
    truth = example.truth.get(arm, example.truth[example.control.key])
    done: list[dict[str, Any]] = [{"event_type": event_type} for event_type, share in truth.items() if chance.random() < share / 4]
    asked = example.asked.get(arm)
    if asked is not None:
        cost, latency = spread(asked, chance.random())
        done.append({"event_type": "ai_request", "cost_micro": cost, "latency_ms": latency})
    return [{"event_id": uuid.uuid4().hex, "units": units, "timestamp": at, **event} for event in done]


def _ratings(example: Example, entry: dict[str, Any] | None, units: dict[str, str], chance: random.Random) -> list[dict[str, Any]]:
    """What a unit that meets a variant thinks of it."""
    rated = example.rated.get((entry or {}).get("variant") or "", {})
    return [
        {
            "event_id": uuid.uuid4().hex,
            "units": units,
            "experiment": example.key,
            "metric": metric,
            "value": float(chance.random() < share),
        }
        for metric, share in rated.items()
    ]


def progress(seen: Counter[str]) -> str:
    """What has been shown so far, in a line."""
    arms: dict[str, list[str]] = {}
    for name, count in sorted(seen.items()):
        key, is_arm, variant = name.partition("=")
        if is_arm:
            arms.setdefault(key, []).append(f"{variant} {count}")
    shown = "".join(f"; {key}: {', '.join(counts)}" for key, counts in arms.items())
    return f"{seen['visits']} visits, {seen['events']} events{shown}"


def _server_key() -> str:
    """A key of its own for each run; the ones of earlier runs are revoked."""
    now = utc_now()
    admin = User.objects.get(username="ada")
    actor = actor_for_user(admin)
    for old in ApiKey.objects.filter(name="demo traffic", revoked_at__isnull=True):
        keys.revoke_key(actor, now, key_id=old.pk, reason="a new run of the demo's traffic")
    return keys.create_key(actor, now, name="demo traffic", scope=Scope.SERVER, environment=Environment.PRODUCTION, owner=admin)[1]
