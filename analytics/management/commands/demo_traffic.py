"""An application of the demo's: people and tenants who ask for variants over HTTP and do things
afterwards.
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from analytics.services.examples.acting import Body, Visit, activity, doings, language
from analytics.services.examples.base import Example
from analytics.services.examples.people import server_key
from analytics.services.examples.plans import BOOST, EXAMPLES
from experiments.core.clock import utc_now
from experiments.core.types import Status

PEOPLE, TENANTS = 20_000, 4_000
VISITED = tuple(
    example for example in EXAMPLES if example.truth and example.stage is not Status.COMPLETED
)
DOORS = ("events", "observations", "costs", "feedback")
ASKS_RECOMMENDER, OPENED, FINISHED = 0.1, 0.5, 0.4
"""How many visits also ask for recommendations, how many of those open the first, and how many
finish what they open.
"""
TRIES = 60
"""Seconds to wait for a door that does not answer yet, the first of them in silence."""
QUIET = 10


@dataclass
class KeptConnection:
    """One kept connection to the API; a broken one is opened anew."""

    url: str
    key: str = ""
    connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to one call; a refusal is an error with its text."""
        if self.connection is None:
            parts = urlsplit(self.url)
            self.connection = http.client.HTTPConnection(
                parts.hostname or "127.0.0.1", parts.port, timeout=10
            )
        try:
            self.connection.request("POST", path, json.dumps(body), self._headers())
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if answer.status >= 400:
            raise ConnectionError(f"{path}: {answer.status} {text[:300].decode(errors='replace')}")
        return dict(json.loads(text))

    def close(self) -> None:
        """Let the connection go; the next call opens another one."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}


class Command(BaseCommand):
    help = "Send live traffic to the examples through the HTTP doors, until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="http://127.0.0.1:8000")
        parser.add_argument(
            "--per-second", type=float, default=6.0, help="people and tenants who ask, a second"
        )
        parser.add_argument(
            "--seconds", type=float, default=None, help="stop by itself after so long"
        )
        parser.add_argument(
            "--recommender",
            default="",
            help="where the demo's recommender answers; users ask it as well",
        )
        parser.add_argument(
            "--every", type=float, default=15.0, help="seconds between lines of progress"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        door = KeptConnection(options["url"], server_key("demo traffic"))
        time.sleep(
            settings.POLL_SECONDS + 1
        )  # until whoever answers there already has read of the new key
        self._wait_for(door)
        recommender = KeptConnection(options["recommender"]) if options["recommender"] else None
        seen: Counter[str] = Counter()
        random = np.random.default_rng()
        ends = None if options["seconds"] is None else time.monotonic() + options["seconds"]
        line_at = time.monotonic() + options["every"]
        while ends is None or time.monotonic() < ends:
            try:
                seen.update(visit(door, random))
                if recommender is not None and random.random() < ASKS_RECOMMENDER:
                    seen.update(watch(recommender, random))
            except OSError as error:
                self.stderr.write(f"{error}")
                time.sleep(1)
            if time.monotonic() >= line_at:
                self.stdout.write(progress(seen))
                line_at += options["every"]
            time.sleep(1 / options["per_second"])

    def _wait_for(self, door: KeptConnection) -> None:
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


def visit(
    door: KeptConnection, random: np.random.Generator, examples: Sequence[Example] = VISITED
) -> Counter[str]:
    """One unit comes to the application of one example, asks for its variant, and does what the
    truth has it do.

    Each application has people of its own, as in the written history: what a unit did in two of
    them would count in both experiments, and the truth of one would blur that of the other.
    """
    tenant = random.random() < 0.2
    theirs = [one for one in examples if (one.spec.unit_type == "tenant") == tenant] or examples
    example = theirs[int(random.integers(len(theirs)))]
    units = _somebody(example, random)
    answer = door.post("/api/v1/assignments", {"units": units, "experiments": [example.key]})
    met = {entry["experiment"]: entry for entry in answer["assignments"]}
    sent = list(_does(example, met.get(example.key), units, random))
    for name in DOORS:
        if bodies := [body for where, body in sent if where == name]:
            door.post(f"/api/v1/{name}", {name: bodies})
    shown = Counter(
        {f"{key}={entry['variant']}": 1 for key, entry in met.items() if entry["variant"]}
    )
    return shown + Counter(events=sum(where == "events" for where, _ in sent), visits=1)


def _somebody(example: Example, random: np.random.Generator) -> dict[str, str]:
    """One of the people or tenants of an example's application: every n-th number is theirs."""
    kind = example.spec.unit_type
    several, place = len(EXAMPLES), EXAMPLES.index(example)
    number = (
        int(random.integers((TENANTS if kind == "tenant" else PEOPLE) // several)) * several + place
    )
    return {kind: f"{kind[0]}-live-{number:05d}"}


def watch(recommender: KeptConnection, random: np.random.Generator) -> Counter[str]:
    """A user asks for recommendations, may open the first one and may watch it to the end."""
    user = _somebody(BOOST, random)["user"]
    answer = recommender.post("/api/v1/recommendations", {"user_id": user})
    if random.random() < OPENED:
        first = answer["recommendations"][0]["title"]
        recommender.post(
            "/api/v1/watched",
            {"user_id": user, "title": first, "completed": bool(random.random() < FINISHED)},
        )
    return Counter(recommendations=1)


def _does(
    example: Example,
    entry: dict[str, Any] | None,
    units: dict[str, str],
    random: np.random.Generator,
) -> Iterator[tuple[str, Body]]:
    """A unit that meets no variant behaves like control; who comes again does less each time."""
    arm = (entry or {}).get("variant") or ""
    now = utc_now() + timedelta(milliseconds=1)
    met = arm in example.truth
    visited = Visit(
        units, arm if met else example.control.key, now, uuid.uuid4().hex[:16], activity(random), language(example, random),
        example.drift, eager=0.25, met=met, longest=timedelta(0),
    )  # fmt: skip
    return doings(example, visited, random).by_door()


def progress(seen: Counter[str]) -> str:
    """What has been shown so far, in a line."""
    arms: dict[str, list[str]] = {}
    for name, count in sorted(seen.items()):
        key, is_arm, variant = name.partition("=")
        if is_arm:
            arms.setdefault(key, []).append(f"{variant} {count}")
    shown = "".join(f"; {key}: {', '.join(counts)}" for key, counts in arms.items())
    return f"{seen['visits']} visits, {seen['events']} events{shown}"
