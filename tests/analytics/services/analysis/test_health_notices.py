"""What speaks against an experiment's data is told once when it appears, and Prometheus sees it for
as long as it lasts.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.core.scans.findings import Finding
from analytics.models import Scan
from analytics.selectors.exposition import health_findings
from analytics.services.analysis import health_notices
from analytics.services.analysis.analysis import analyse
from experiments.models import OutboxMessage
from tests.analytics.stores.observed import START, World, crowd, plan, world

pytestmark = pytest.mark.django_db
NOW = START + timedelta(days=2)


def told() -> list[tuple[str, str]]:
    return [
        (m.kind, str(m.facts["finding"]))
        for m in OutboxMessage.objects.filter(kind="health").order_by("pk")
    ]


def lopsided() -> World:
    """Planned evenly, met at 2,000 to 600."""
    w = world("lopsided")
    plan(w, "primary", "apply_conversion", baseline=0.2, mde=0.1)
    crowd(w, "control", 2000, START, events={"apply": 400})
    crowd(w, "treatment", 600, START, events={"apply": 120})
    return w


def test_shares_off__are_told_once_with_what_to_do__and_are_a_series() -> None:
    w = lopsided()
    analyse(w.experiment.pk, now=NOW)
    analyse(w.experiment.pk, now=NOW + timedelta(days=1))
    assert told() == [("health", "srm")]
    message = OutboxMessage.objects.get(kind="health")
    assert "did not get their planned shares" in message.title
    assert "start a new iteration" in message.text and "masked" in message.text
    assert [
        (f.experiment, f.code, f.weight, f.masks) for f in health_findings() if f.code == "srm"
    ] == [("lopsided", "srm", "red", True)]


def test_findings__what_is_new_is_told__what_was_known_or_is_only_information_is_not() -> None:
    w = world()
    found = [
        Finding("crossover", "red", "12 of 300 units met more than one variant", masks=True),
        Finding("late_data", "yellow", "4 % came too late"),
        Finding("no_events", "yellow", "Booked: 1,200 matured units and not one event"),
        Finding("left_out", "info", "9 units are left out"),
    ]
    health_notices.unhealthy(w.experiment, w.iteration.pk, found, {"late_data"}, NOW)
    health_notices.unhealthy(
        w.experiment, w.iteration.pk, found, {"late_data"}, NOW + timedelta(hours=1)
    )
    assert told() == [("health", "crossover"), ("health", "no_events")]


def test_drift__of_the_newest_scan__is_a_series() -> None:
    w = world("drifting")
    found = [
        {"code": "drift", "severity": "yellow", "evidence": "language moved", "action": "look"}
    ]
    for day, findings, seen in ((1, found, [("drifting", "drift", "yellow")]), (2, [], [])):
        at = NOW + timedelta(days=day)
        Scan.objects.create(
            iteration=w.iteration,
            night=at.date(),
            scanned_at=at,
            data_cut=at,
            result={"findings": findings},
        )
        assert [(f.experiment, f.code, f.weight) for f in health_findings()] == seen
