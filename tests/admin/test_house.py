"""Metrics, exclusion lists, overrides, notes: each form calls its service and shows refusals."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from experiments.models import ExclusionList, Metric, Override
from tests.admin.conftest import page, url

METRIC = {
    "name": "Replies",
    "kind": "proportion",
    "source": "event",
    "event_types": "reply, answer",
    "aggregation": "any",
    "value_field": "value",
    "attribution": "unit",
    "direction": "increase",
    "scale": "share",
    "window_hours": "24",
    "lookback_days": "14",
}


def test_metric__defined_then_changed__makes_versions_and_keeps_the_first(browser):
    client = browser("dmitri")
    assert client.post("/admin/experiments/metric/add/", METRIC | {"key": "replies"}).status_code == 302
    first = Metric.objects.get(key="replies")
    assert first.event_types == ["reply", "answer"]
    assert client.post(f"/admin/experiments/metric/{first.pk}/version/", METRIC | {"window_hours": "48"}).status_code == 302
    assert list(Metric.objects.filter(key="replies").order_by("version").values_list("version", "window_hours", "current")) == [
        (1, 24, False),
        (2, 48, True),
    ]


def test_metric__unmeasurable_or_by_a_product_owner__is_refused(browser):
    assert browser("dmitri").post("/admin/experiments/metric/add/", METRIC | {"key": "bad", "kind": "magic"}).status_code == 400
    assert browser("olivia").post("/admin/experiments/metric/add/", METRIC | {"key": "mine"}).status_code == 403
    assert not Metric.objects.filter(key__in=["bad", "mine"]).exists()


def test_exclusion_list__made_filled_and_switched_off_by_an_admin(browser):
    client = browser("ada")
    client.post("/admin/experiments/exclusionlist/add/", {"name": "staff", "description": "us", "rule": ""})
    listed = ExclusionList.objects.get(name="staff")
    where = f"/admin/experiments/exclusionlist/{listed.pk}"
    client.post(f"{where}/units/", {"unit_type": "user", "units": "ann\nbob\n\n"})
    assert sorted(listed.units.values_list("unit_id", flat=True)) == ["ann", "bob"]
    client.post(f"{where}/switch/", {})
    listed.refresh_from_db()
    assert not listed.active


def test_exclusion_list__with_a_broken_rule__is_a_form_error(browser):
    answer = browser("ada").post("/admin/experiments/exclusionlist/add/", {"name": "staff", "rule": "[{]"})
    assert answer.status_code == 400
    assert "this is not JSON" in answer.content.decode()
    assert not ExclusionList.objects.exists()


def test_override__with_an_end__is_shown_and_removed(browser, draft):
    client = browser("quinn")
    arm = draft.variants.get(is_control=False)
    until = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    sent = {"variant": arm.key, "unit_id": "tester-1", "expires_at": until, "reason": "look"}
    assert client.post(url(draft, "override"), sent).status_code == 302
    assert "user:tester-1" in client.get(page(draft, "traffic")).content.decode()
    row = Override.objects.get()
    assert client.get(url(draft, f"override/{row.pk}/remove")).status_code == 302
    assert Override.objects.exists()
    client.post(url(draft, f"override/{row.pk}/remove"))
    assert not Override.objects.exists()


def test_override__without_an_end_or_by_a_viewer__is_refused(browser, draft):
    arm = draft.variants.last().key
    assert browser("quinn").post(url(draft, "override"), {"variant": arm, "unit_id": "t", "expires_at": ""}).status_code == 400
    until = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert browser("victor").post(url(draft, "override"), {"variant": arm, "unit_id": "t", "expires_at": until}).status_code == 403
    assert not Override.objects.exists()


def test_note__by_a_viewer__stands_in_the_history(browser, draft):
    client = browser("victor")
    answer = client.post(url(draft, "note"), {"text": "Please wait for the holiday."}, follow=True)
    assert "Please wait for the holiday." in answer.content.decode()
