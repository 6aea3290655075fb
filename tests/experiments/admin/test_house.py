"""Metrics, exclusion lists, overrides, notes: each form calls its service and shows refusals."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from experiments.models import (
    ChangeLogEntry,
    ExclusionList,
    GlobalHoldout,
    Metric,
    Override,
    PublicAttribute,
    Segment,
)
from experiments.selectors import serving
from experiments.selectors.serving import ServingState
from experiments.services.drafts import drafts
from experiments.services.life import lifecycle
from tests.experiments.admin.conftest import NOW, page, url
from tests.experiments.core.serving.catalogues import catalogue, experiment, flag

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
    assert (
        client.post("/admin/experiments/metric/add/", METRIC | {"key": "replies"}).status_code
        == 302
    )
    first = Metric.objects.get(key="replies")
    assert first.event_types == ["reply", "answer"]
    assert (
        client.post(
            f"/admin/experiments/metric/{first.pk}/version/", METRIC | {"window_hours": "48"}
        ).status_code
        == 302
    )
    assert list(
        Metric.objects.filter(key="replies")
        .order_by("version")
        .values_list("version", "window_hours", "current")
    ) == [
        (1, 24, False),
        (2, 48, True),
    ]


def test_metric__unmeasurable_or_by_a_product_owner__is_refused(browser):
    assert (
        browser("dmitri")
        .post("/admin/experiments/metric/add/", METRIC | {"key": "bad", "kind": "magic"})
        .status_code
        == 400
    )
    assert (
        browser("olivia")
        .post("/admin/experiments/metric/add/", METRIC | {"key": "mine"})
        .status_code
        == 403
    )
    assert not Metric.objects.filter(key__in=["bad", "mine"]).exists()


def test_exclusion_list__made_filled_and_switched_off_by_an_admin(browser):
    client = browser("ada")
    client.post(
        "/admin/experiments/exclusionlist/add/", {"name": "staff", "description": "us", "rule": ""}
    )
    listed = ExclusionList.objects.get(name="staff")
    where = f"/admin/experiments/exclusionlist/{listed.pk}"
    client.post(f"{where}/units/", {"unit_type": "user", "units": "ann\nbob\n\n"})
    assert sorted(listed.units.values_list("unit_id", flat=True)) == ["ann", "bob"]
    client.post(f"{where}/switch/", {})
    listed.refresh_from_db()
    assert not listed.active


def test_exclusion_list__with_a_broken_rule__is_a_form_error(browser):
    answer = browser("ada").post(
        "/admin/experiments/exclusionlist/add/", {"name": "staff", "rule": "[{]"}
    )
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
    assert (
        browser("quinn")
        .post(url(draft, "override"), {"variant": arm, "unit_id": "t", "expires_at": ""})
        .status_code
        == 400
    )
    until = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert (
        browser("victor")
        .post(url(draft, "override"), {"variant": arm, "unit_id": "t", "expires_at": until})
        .status_code
        == 403
    )
    assert not Override.objects.exists()


def test_comment__by_a_viewer__is_read_in_order_and_changes_nothing(browser, draft):
    before = draft.notes
    assert (
        browser("victor")
        .post(url(draft, "comment"), {"text": "Why <b>this</b> margin?"})
        .status_code
        == 302
    )
    client = browser("olivia")
    client.post(url(draft, "comment"), {"text": "Support asked\nfor it."})
    shown = (
        client.get(page(draft, "history"))
        .content.decode()
        .split('id="comments"')[1]
        .split("</section>")[0]
    )
    assert shown.index("Why &lt;b&gt;this&lt;/b&gt; margin?") < shown.index("Support asked")
    for refused in (" ", "x" * 4001):
        assert (
            "a comment has 1 to 4,000 characters"
            in client.post(url(draft, "comment"), {"text": refused}, follow=True).content.decode()
        )
    draft.refresh_from_db()
    assert draft.notes == before
    said = ChangeLogEntry.objects.filter(action="commented").order_by("pk")
    assert list(said.values_list("actor_label", "reason")) == [
        ("Victor", "Why <b>this</b> margin?"),
        ("Olivia", "Support asked\nfor it."),
    ]


def test_note__by_a_viewer__stands_in_the_history(browser, draft):
    client = browser("victor")
    answer = client.post(url(draft, "note"), {"text": "Please wait for the holiday."}, follow=True)
    assert "Please wait for the holiday." in answer.content.decode()


def test_segment__made_filled_edited_and_shown_as_frozen(browser, simple, owner):
    client = browser("ada")
    rule = '[[{"attribute": "plan", "op": "eq", "value": "beta"}]]'
    client.post("/admin/experiments/segment/add/", {"key": "beta", "name": "Beta", "rules": rule})
    segment = Segment.objects.get(key="beta")
    where = f"/admin/experiments/segment/{segment.pk}"
    client.post(f"{where}/units/", {"unit_type": "user", "units": "ann\nbob\n"})
    client.post(f"{where}/units/", {"unit_type": "user", "units": "bob", "remove": "on"})
    assert list(segment.units.values_list("unit_id", flat=True)) == ["ann"]
    assert client.post(f"{where}/edit/", {"name": "Testers", "rules": ""}).status_code == 302
    segment.refresh_from_db()
    assert (segment.name, segment.rules) == ("Testers", [])

    drafts.edit_experiment(
        owner,
        NOW,
        experiment_id=simple.pk,
        changes={"targeting": [{"op": "in_segment", "value": "beta"}]},
    )
    assert "Drafts that name it: simple" in client.get(f"{where}/change/").content.decode()
    lifecycle.start(owner, NOW, experiment_id=simple.pk)
    refused = client.post(f"{where}/units/", {"unit_type": "user", "units": "cy"})
    assert refused.status_code == 409
    assert "experiment simple (running) relies on it" in refused.content.decode()
    assert (
        "experiment simple (running)" in browser("victor").get(f"{where}/change/").content.decode()
    )
    assert browser("victor").get("/admin/experiments/segment/add/").status_code == 403
    assert browser("olivia").post(f"{where}/edit/", {"name": "Mine"}).status_code == 403


def test_holdout__opened_and_ended_by_an_admin(browser):
    client = browser("ada")
    until = (timezone.now() + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M")
    sent = {"unit_type": "user", "share": "5", "until": until, "reason": "the year's effect"}
    assert browser("olivia").post("/admin/experiments/globalholdout/add/", sent).status_code == 403
    assert (
        client.post("/admin/experiments/globalholdout/add/", sent | {"share": ""}).status_code
        == 400
    )
    assert client.post("/admin/experiments/globalholdout/add/", sent).status_code == 302
    row = GlobalHoldout.objects.get()
    assert (row.share, row.ended_at) == (50, None)
    assert "5 % of users" in client.get("/admin/experiments/globalholdout/").content.decode()
    where = f"/admin/experiments/globalholdout/{row.pk}/change/"
    assert client.get(where).status_code == 200
    assert client.post(where, {"reason": "over"}).status_code == 302
    assert GlobalHoldout.objects.get().ended_at is not None


def test_flag__shown_to_clients_and_hidden_again_with_a_reason(browser, draft):
    client, where = browser("olivia"), f"/admin/experiments/flag/{draft.flag.pk}"
    assert "Show to clients" in client.get(f"{where}/change/").content.decode()
    assert client.post(f"{where}/clients/", {"reason": ""}).status_code == 400
    assert browser("victor").post(f"{where}/clients/", {"reason": "why"}).status_code == 403
    assert client.post(f"{where}/clients/", {"reason": "the app reads it"}).status_code == 302
    assert "Hide from clients" in client.get(f"{where}/change/").content.decode()


def test_flag__kept_from_sdks_and_given_back_with_a_reason(browser, draft):
    client, where = browser("olivia"), f"/admin/experiments/flag/{draft.flag.pk}"
    assert "Decide here only" in client.get(f"{where}/change/").content.decode()
    assert client.post(f"{where}/remote/", {"reason": ""}).status_code == 400
    assert browser("victor").post(f"{where}/remote/", {"reason": "why"}).status_code == 403
    assert client.post(f"{where}/remote/", {"reason": "ids in Cyrillic"}).status_code == 302
    assert "Let SDKs decide" in client.get(f"{where}/change/").content.decode()


def test_public_attribute__the_form_lists_what_becomes_public_and_the_row_names_who_declared_it(
    browser, monkeypatch
):
    rule = [{"attribute": "country", "op": "eq", "value": "Atlantis"}]
    built = catalogue(flag("checkout", client_visible=True, experiment=experiment(targeting=rule)))
    monkeypatch.setattr(serving, "current", lambda: ServingState(catalogue=built))
    client = browser("ada")
    form = client.get("/admin/experiments/publicattribute/add/").content.decode()
    assert "country: Atlantis (flag checkout)" in form and "client key" in form
    client.post(
        "/admin/experiments/publicattribute/add/", {"name": "country", "reason": "no secret"}
    )
    row = PublicAttribute.objects.get(name="country")
    page = client.get(f"/admin/experiments/publicattribute/{row.pk}/change/").content.decode()
    assert "no secret" in page and str(row.declared_by) in page
    client.post(
        f"/admin/experiments/publicattribute/{row.pk}/change/", {"reason": "secret after all"}
    )
    assert not PublicAttribute.objects.exists()
