"""Whatever people or applications wrote, in every text column of every table: the workplace's pages
show it as text.
"""

from __future__ import annotations

from datetime import timedelta

import pgtrigger
import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Model

from analytics.models import AnalysisRun, RefusedItem
from experiments.core.clock import utc_now
from experiments.core.types import SYSTEM, Scope
from experiments.models import Experiment
from experiments.outgoing.channels import Channel
from experiments.selectors.actors import actor_for_user
from experiments.services.audience import audience, segments
from experiments.services.drafts import drafts
from experiments.services.people import comments, keys, subscriptions, timeline_notes
from tests.analytics.admin.test_results import _measured, url
from tests.experiments.admin.conftest import page

PAYLOAD = "</script><b id=own>{{7*7}}\"'"
"""Of 28 characters, so that it fits every column worth writing to; raw it would be an element of
that id.
"""
RAW, SHOWN = "<b id=own>", "&lt;b id=own&gt;"
MACHINE = {
    "verifier", "password", "salt", "sha256", "judged_sha256", "config_sha256", "design_sha256", "request_sha256", "body_hash", "body",
    "html", "markdown", "json", "task", "slot", "idempotency_key", "codename", "time_zone", "unit_type", "action", "object_type",
    "object_id", "code", "event_id", "request_id", "subject", "value_field", "covariate", "qps_bucket", "environment", "origin",
}  # fmt: skip
"""Columns that the platform itself writes, or that it reads as words of its own."""
NAMES = {
    ("Metric", "key"),
    ("Policy", "key"),
    ("Variant", "key"),
    ("GeoPilot", "metric"),
    ("Experiment", "experiment_type"),
}
"""Keys that code looks up: their own alphabet keeps markup out, which tests of the services hold.
"""
BESIDE = {
    ("Experiment", "name"),
    ("ExclusionList", "name"),
    ("Variant", "name"),
    ("Assignment", "user_id"),
}
"""Unique, so of one row alone."""
TOOLS = ("timeline", "events", "calibration", "why", "sample-size")
TABS = (
    "checklist",
    "plan",
    "offline",
    "traffic",
    "results",
    "cost",
    "health",
    "wiring",
    "history",
    "settings",
)


def _columns() -> list[tuple[type[Model], str]]:
    found = []
    for app in ("experiments", "analytics", "auth"):
        for model in apps.get_app_config(app).get_models():
            for field in model._meta.concrete_fields:
                text = (
                    isinstance(field, models.CharField | models.TextField)
                    and not field.choices
                    and not field.primary_key
                )
                fits = text and (field.max_length or 1000) >= len(PAYLOAD)
                named = (model.__name__, field.name)
                if named in BESIDE or (
                    fits and not field.unique and field.name not in MACHINE and named not in NAMES
                ):
                    found.append((model, field.name))
    return found


@pytest.fixture
def world(browser, people, owner) -> Experiment:
    """An analysed experiment with a row of everything that people write around it."""
    now = utc_now()
    ada = actor_for_user(people["ada"])
    experiment = _measured(owner, 60)
    browser("olivia").post(url(experiment, "analyse"))
    timeline_notes.put_note(
        owner, now, kind="campaign", first_day=now.date(), text="x", experiment_id=experiment.pk
    )
    timeline_notes.put_note(owner, now, kind="campaign", first_day=now.date(), text="x")
    comments.comment(owner, now, experiment_id=experiment.pk, text="x")
    drafts.add_note(owner, now, experiment_id=experiment.pk, text="x")
    audience.create_exclusion_list(ada, now, name="x", rule=None)
    segments.create_segment(ada, now, key="x", name="x")
    keys.create_key(SYSTEM, now, name="x", scope=Scope.SERVER, owner=people["ada"])
    subscriptions.subscribe(
        ada,
        now,
        name="x",
        channel=Channel.EMAIL,
        address="ada@example.org",
        experiment=None,
        kinds=[],
    )
    browser("olivia").post(
        url(experiment, "override"),
        {
            "variant": "friendly",
            "unit_id": "t",
            "expires_at": f"{now + timedelta(days=1):%Y-%m-%dT%H:%M}",
        },
    )
    RefusedItem.objects.create(
        at=now,
        kind="event",
        environment="production",
        experiment=experiment,
        sent_experiment="x",
        code="unknown",
        message="x",
    )
    AnalysisRun.objects.update(failed_at=now, error="x")
    with pgtrigger.ignore():
        for model, name in _columns():
            rows = model._default_manager.all()
            if (model.__name__, name) in BESIDE:
                rows = rows.filter(pk=rows.values("pk")[:1])
            rows.update(**{name: PAYLOAD})
    experiment.refresh_from_db()
    return experiment


def _addresses(experiment: Experiment) -> list[str]:
    found = ["/admin/", *(page(experiment, tab) for tab in TABS)]
    found += [
        url(experiment, part)
        for part in (
            "edit",
            "compare",
            "explore",
            "tail",
            "report",
            "work/minutes",
            "unmask",
            "do/pause",
            "hold",
        )
    ]
    today = utc_now().date()
    found += [f"/admin/experiments/experiment/{tool}/" for tool in TOOLS]
    found += [
        f"/admin/experiments/experiment/events/?source=observation&day={today - timedelta(days=back)}"
        for back in range(4)
    ]
    for model, pages in admin.site._registry.items():
        base = f"/admin/{model._meta.label_lower.replace('.', '/')}/"
        found.append(base)
        found += [
            f"{base}{pk}/change/"
            for pk in pages.model._default_manager.values_list("pk", flat=True)[:2]
        ]
    return found


def test_everything_written__stays_text_on_every_page(browser, world):
    ada, dmitri = browser("ada"), browser("dmitri")
    shown, raw, broken = [], [], []
    for address in _addresses(world):
        client = dmitri if "unmask" in address else ada
        answer = client.get(address)
        text = answer.content.decode()
        broken += [(address, answer.status_code)] if answer.status_code >= 500 else []
        raw += [address] if RAW in text or "49" in text.split("own&gt;")[-1][:4] else []
        shown += [address] if SHOWN in text else []
    assert not broken and not raw
    assert len(shown) >= 30, shown


def test_columns__are_found() -> None:
    names = {(model.__name__, name) for model, name in _columns()}
    assert {
        ("Experiment", "hypothesis"),
        ("Variant", "name"),
        ("RefusedItem", "message"),
        ("User", "first_name"),
    } <= names
    assert len(names) >= 60
    assert User in {model for model, _ in _columns()}
