"""A small company for stories: people with browsers, an application with a key, beat, and a clock
to turn.

Everything goes through public doors: forms of the admin, HTTP with real keys, beat's tasks, and the
two things that the web process does by itself (polling the catalogue, draining the exposure spool).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from itertools import count, islice
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client

from analytics import tasks as learning
from analytics.services.ingest.drain import drain_once
from experiments import tasks as serving_tasks
from experiments.core.clock import utc_now
from experiments.models import Experiment
from experiments.selectors import serving
from experiments.selectors.cast import CAST

ZONE = ZoneInfo("Europe/Berlin")
API = "/api/v1"
ADMIN = "/admin/experiments/experiment"
OUTSIDE = "outside"


def local(day: int, hour: int = 12, minute: int = 0) -> datetime:
    """A moment of March 2026 in Berlin; the 2nd is a Monday."""
    return datetime(2026, 3, day, hour, minute, tzinfo=ZONE)


def hire() -> None:
    """The cast, each in the group of their job."""
    for member in CAST:
        user = User.objects.create_user(
            member.username, is_staff=True, first_name=member.name.split()[0]
        )
        user.groups.set([Group.objects.get(name=member.role.value)])


def new_key(scope: str, owner: str = "ada") -> str:
    """A key as the command prints it."""
    printed = StringIO()
    call_command(
        "create_key",
        f"{owner} {scope}",
        "--scope",
        scope,
        "--owner",
        owner,
        stdout=printed,
        stderr=StringIO(),
    )
    serving.refresh(utc_now())
    return printed.getvalue().splitlines()[-1]


class Http:
    """JSON over HTTP with a key."""

    def __init__(self, key: str) -> None:
        self.client = Client(headers={"authorization": f"Bearer {key}"})

    def post(self, path: str, body: object = None) -> HttpResponse:
        return self.client.post(
            f"{API}/{path}", json.dumps(body or {}), content_type="application/json"
        )

    def patch(self, path: str, body: object) -> HttpResponse:
        return self.client.patch(f"{API}/{path}", json.dumps(body), content_type="application/json")

    def get(self, path: str) -> Any:
        return self.client.get(f"{API}/{path}").json()


@dataclass(frozen=True)
class Browser:
    """A person's browser in the workplace, on one experiment's pages."""

    client: Client
    pk: int

    def page(self, tab: str = "") -> str:
        return self.client.get(
            f"{ADMIN}/{self.pk}/change/" + (f"?tab={tab}" if tab else "")
        ).content.decode()

    def post(self, where: str, **form: str) -> HttpResponse:
        return self.client.post(f"{ADMIN}/{self.pk}/{where}/", form)

    def press(self, where: str, **form: str) -> None:
        """Post a form that must be taken; what stands against it is the failure's message."""
        answer = self.client.post(f"{ADMIN}/{self.pk}/{where}/", form, follow=True)
        context = answer.context or {}
        told = [m for m in context.get("messages") or () if m.level_tag == "error"]
        assert answer.redirect_chain and not told, [str(m) for m in told] or [
            p.message for p in context.get("problems") or ()
        ]

    def sign(self, item: str, verdict: str = "approved", comment: str = "read it") -> None:
        self.press(f"sign/{item}", verdict=verdict, comment=comment)

    def edit(self, **changes: str) -> HttpResponse:
        """The edit form as the page offers it, with some fields typed over."""
        context = self.client.get(f"{ADMIN}/{self.pk}/edit/").context
        lines = (*context["variant_lines"], *context["metric_lines"])
        fields = [f for group in (*context["sections"], *lines) for f in group.fields]
        form = {f.name: f.value for f in fields if f.kind != "checkbox" or f.value}
        form |= {
            "v-count": str(len(context["variant_lines"])),
            "m-count": str(len(context["metric_lines"])),
            "v-control": context["control"],
        }
        return self.client.post(f"{ADMIN}/{self.pk}/edit/", form | changes)


@dataclass
class Application:
    """What asks for variants and tells what happened; it knows nothing but what the doors
    answer.
    """

    http: Http
    experiment: str
    ids: Iterator[int] = field(default_factory=lambda: count(1))
    told: Iterator[int] = field(default_factory=lambda: count(1))

    def ask(self, units: Sequence[str], exposure: str = "none") -> list[dict[str, Any]]:
        body = {
            "batch": [{"unit": unit} for unit in units],
            "experiments": [self.experiment],
            "exposure": exposure,
        }
        answer = self.http.post("assignments", body)
        assert answer.status_code == 200, answer.content
        serving_tasks.publish_expired()
        return [items[0] for items in answer.json()["results"]]

    def newcomers(self, n: int) -> list[dict[str, Any]]:
        """New users as the door sees them, without meeting anything yet."""
        return self.ask([f"user-{i}" for i in islice(self.ids, n)])

    def visitors(self, each: int) -> dict[str, list[str]]:
        """``each`` new users of both arms and of nobody's; beside them those who keep what the dark
        launch gave them.
        """
        found: dict[str, list[str]] = {
            "control": [],
            "reranked": [],
            OUTSIDE: [],
            "dark": [],
            "twin": [],
        }
        while min(len(found["control"]), len(found["reranked"])) < each:
            for item in self.newcomers(500):
                found[_place(item)].append(item["unit"])
        return {place: units[:each] for place, units in found.items()}

    def tell(self, event_type: str, units: Iterable[str]) -> None:
        events = [
            {"event_id": f"e{next(self.told)}", "event_type": event_type, "user_id": unit}
            for unit in units
        ]
        for start in range(0, len(events), 1000):
            answer = self.http.post("events", {"events": events[start : start + 1000]})
            assert answer.json()["errors"] == [], answer.json()


def _place(item: Mapping[str, Any]) -> str:
    role = item["metadata"].get("role", OUTSIDE)
    return str(item["variant"]) if role == "main" else str(role)


def tick_web() -> None:
    """What the web process does by itself all the time: poll the catalogue, drain its spool."""
    serving.refresh(utc_now())
    drain_once(utc_now())


def tick_beat() -> None:
    """What beat wakes up, in its order."""
    serving_tasks.honour_planned_start_end()
    learning.analyse_due()
    learning.decide_due()
    serving_tasks.publish_expired()


def share(units: Sequence[str], part: float) -> list[str]:
    """Exactly this share of the users, spread evenly over them."""
    return [unit for i, unit in enumerate(units) if int((i + 1) * part) > int(i * part)]


@dataclass
class Company:
    """People, keys, the application and a clock; ``pk`` and ``key`` are the story's experiment."""

    clock: Any  # time_machine's traveller
    key: str
    pk: int = 0
    seen: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hire()
        self.tools = Http(new_key("management", "olivia"))
        self.app = Application(Http(new_key("server")), self.key)

    def at(self, moment: datetime) -> None:
        """Turn the clock; the web process wakes up."""
        self.clock.move_to(moment)
        tick_web()

    def person(self, username: str) -> Browser:
        client = Client()
        client.force_login(User.objects.get(username=username))
        return Browser(client, self.pk)

    @property
    def row(self) -> Experiment:
        return Experiment.objects.get(pk=self.pk)

    def draft(self, body: Mapping[str, object]) -> None:
        answer = self.tools.post("experiments", body)
        assert answer.status_code == 201, answer.content
        self.pk = answer.json()["id"]

    def blockers(self) -> set[str]:
        return {p["field"] for p in self.start().json()["error"]["problems"]}

    def start(self) -> HttpResponse:
        return self.tools.post(f"experiments/{self.key}/start")

    # The walk, one step each.

    def write_prd(self) -> None:
        wanted = {
            "hypothesis": "A cross-encoder ranks better.",
            "expected_effect": "+50 % applications",
            "prd_text": "What, why, for whom.",
        }
        assert self.person("olivia").edit(**wanted).status_code == 302

    def sign_prd(self) -> None:
        self.person("olivia").sign("prd")

    def compute_size(self) -> None:
        self.person("olivia").press("compute/sample_size")

    def evaluate(self, value: float = 0.53) -> None:
        scored = {
            "variant": "reranked",
            "metric": "ndcg@10",
            "value": value,
            "lower": value - 0.02,
            "upper": value + 0.02,
            "n": 900,
        }
        answer = self.tools.post(f"experiments/{self.key}/offline-evaluations", scored)
        assert answer.status_code == 201, answer.content

    def sign_offline(self) -> None:
        self.person("dmitri").sign("offline")

    def start_dark_launch(self) -> None:
        self.person("quinn").press("do/start_dark_launch")
        tick_web()

    def meet_dark_launch(self) -> list[dict[str, Any]]:
        """A morning's users; those of the dark launch and its twins come back often."""
        met = [
            item
            for item in self.app.newcomers(900) + self.app.newcomers(900)
            if item["stage"] == "dark_launch"
        ]
        dark = [item["unit"] for item in met if item["metadata"]["role"] == "dark"]
        twins = [item["unit"] for item in met if item["metadata"]["role"] == "twin"]
        visits = -(-1050 // len(dark))
        for _ in range(visits):
            self.app.ask(dark, "queued")
        self.app.ask(twins * 3, "queued")
        tick_web()
        return met

    def sign_dark_launch(self) -> None:
        self.person("quinn").sign("dark_launch")

    def request_launch(self) -> None:
        self.person("olivia").press("request-launch", note="ready")

    def approve(self) -> None:
        self.person("paula").sign("approval")

    def go_live(self) -> None:
        self.person("olivia").press("do/start")
        tick_web()

    def day(self, each: int, applying: Mapping[str, float]) -> None:
        """A day's visitors: ``each`` of every arm (and outsiders) meet it; some apply, a few
        complain or see an error.
        """
        arms = self.app.visitors(each)
        everybody = [unit for units in arms.values() for unit in units]
        self.app.ask(everybody, "queued")
        tick_web()
        self.clock.shift(timedelta(hours=1))
        for arm, units in arms.items():
            self.seen.setdefault(arm, []).extend(units)
            if arm in applying:
                self.app.tell("apply", share(units, applying[arm]))
        for arm in applying:
            self.app.tell("complaint", share(arms[arm], 0.025))
            self.app.tell("http_5xx", share(arms[arm], 0.025))
