"""From approval to the way back, by forms: request, approve, go live, hold, promote, return; and
what the pages say.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.services.analysis.dark_health import check_dark_launch
from experiments.core.types import Item, Status, Verdict
from experiments.models import ChangeLogEntry, Experiment, LaunchRequest, Rollout, SignOff
from experiments.selectors.actors import actor_for_user
from experiments.services.drafts import drafts
from experiments.services.life import checklist
from tests import factories
from tests.experiments.admin.conftest import page, url


def _olivias(experiment: Experiment, people) -> Experiment:
    Experiment.objects.filter(pk=experiment.pk).update(owner=people["olivia"])
    experiment.refresh_from_db()
    return experiment


@pytest.fixture
def dark(people) -> Experiment:
    """Olivia's, in dark launch, checked and signed by QA; nobody has asked for the launch."""
    made = _olivias(factories.experiment_in(Status.DARK_LAUNCH), people)
    checklist.record_evidence(
        factories.SYSTEM,
        factories.NOW,
        experiment_id=made.pk,
        item=Item.DARK_LAUNCH,
        green=True,
        summary="fine",
    )
    checklist.sign_off(
        factories.person("qa"),
        factories.NOW,
        experiment_id=made.pk,
        item=Item.DARK_LAUNCH,
        verdict=Verdict.APPROVED,
    )
    return made


@pytest.fixture
def running(people) -> Experiment:
    """Olivia's, running under Standard, with a planned holdback of none and nobody who asked for
    it.
    """
    return _olivias(factories.experiment_in(Status.RUNNING), people)


def test_launch__requested_approved_by_another_and_pressed__is_live(browser, dark):
    assert (
        browser("olivia").post(url(dark, "request-launch"), {"note": "Ready."}).status_code == 302
    )
    assert LaunchRequest.objects.get(experiment=dark).requested_by.username == "olivia"
    assert (
        browser("paula")
        .post(url(dark, "sign/approval"), {"verdict": "approved", "comment": "Go."})
        .status_code
        == 302
    )
    assert browser("olivia").post(url(dark, "do/start"), {"reason": ""}).status_code == 302
    dark.refresh_from_db()
    assert dark.status == Status.RUNNING
    logged = ChangeLogEntry.objects.filter(
        experiment=dark, actor_label__in=["olivia", "paula", "Olivia", "Paula"]
    )
    assert set(logged.values_list("action", flat=True)) >= {
        "launch_requested",
        "signed_off",
        "start",
    }


def test_approval__by_the_requester__is_refused_and_not_offered(browser, dark):
    client = browser("olivia")
    client.post(url(dark, "request-launch"), {"note": ""})
    text = client.get(page(dark)).content.decode()
    assert "Sign: Launch approval" not in text
    assert url(dark, "sign/approval") not in text
    answer = client.post(url(dark, "sign/approval"), {"verdict": "approved"})
    assert answer.status_code == 409
    assert "a second person must do this" in answer.content.decode()
    assert not SignOff.objects.filter(experiment=dark, item=Item.APPROVAL).exists()


def test_approval__asked_for__is_the_next_step_of_another_product_owner(browser, dark):
    assert "Launch approval" not in browser("paula").get("/admin/").content.decode()
    browser("olivia").post(url(dark, "request-launch"), {"note": ""})
    assert "Launch approval" in browser("paula").get("/admin/").content.decode()
    assert "Sign: Launch approval" in browser("paula").get(page(dark)).content.decode()


def test_go_live__without_the_approval__is_refused_with_the_item(browser, dark):
    answer = browser("olivia").post(url(dark, "do/start"), {})
    assert answer.status_code == 409
    assert "Launch approval: launch not requested" in answer.content.decode()
    dark.refresh_from_db()
    assert dark.status == Status.DARK_LAUNCH


def test_hold__then_release__is_kept_with_its_reason(browser, running):
    client = browser("dmitri")
    client.post(url(running, "hold"), {"reason": "a holiday"})
    running.refresh_from_db()
    assert running.promotion_held
    assert "promotion held" in client.get(page(running)).content.decode()
    assert "Release the promotion" in client.get(page(running)).content.decode()
    client.post(url(running, "hold"), {"reason": "over"})
    running.refresh_from_db()
    assert not running.promotion_held
    assert list(
        ChangeLogEntry.objects.filter(action="promotion_held")
        .order_by("at")
        .values_list("reason", flat=True)
    ) == [
        "a holiday",
        "over",
    ]


def test_promote__by_hand__rolls_out_and_the_page_says_what_users_see(browser, running):
    assert (
        browser("paula")
        .post(url(running, "do/promote"), {"variant": "treatment", "reason": "it is better"})
        .status_code
        == 302
    )
    rollout = Rollout.objects.get(experiment=running)
    text = browser("victor").get(page(running)).content.decode()
    assert "What users see now" in text
    assert "“treatment” since" in text
    assert f"one click, until {rollout.returnable_until:%d %b %Y, %H:%M} UTC" in text
    assert "Return to control</a>" not in text


def test_promote__asked__says_what_the_analysis_says(browser, running):
    assert (
        "analysis: now none, needed one"
        in browser("paula").get(url(running, "do/promote")).content.decode()
    )


def test_promote__control_or_nothing__is_refused(browser, running):
    client = browser("paula")
    assert (
        client.post(url(running, "do/promote"), {"variant": "control", "reason": ""}).status_code
        == 409
    )
    assert client.post(url(running, "do/promote"), {"variant": ""}).status_code in (400, 404)
    running.refresh_from_db()
    assert running.status == Status.RUNNING


def test_return_to_control__with_a_reason__serves_the_default_again_and_says_so(browser, running):
    browser("paula").post(
        url(running, "do/promote"), {"variant": "treatment", "reason": "it is better"}
    )
    client = browser("olivia")
    assert "Return to control</a>" in client.get(page(running)).content.decode()
    assert client.post(url(running, "do/return_to_control"), {"reason": ""}).status_code == 400
    assert (
        client.post(url(running, "do/return_to_control"), {"reason": "complaints"}).status_code
        == 302
    )
    running.refresh_from_db()
    assert running.outcome == "reverted"
    text = client.get(page(running)).content.decode()
    assert "the rollout is closed" in text
    assert "Return to control</a>" not in text


def test_resume__after_harm__says_that_units_are_randomised_anew(browser, running):
    browser("victor").post(url(running, "do/emergency_stop"), {"reason": "people complain"})
    assert (
        "randomised anew in a new iteration"
        in browser("dmitri").get(url(running, "do/resume")).content.decode()
    )
    assert (
        "This is for: product owner, data scientist, admin"
        in browser("victor").get(page(running)).content.decode()
    )


PAYLOAD = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}'
TABS = ("checklist", "plan", "offline", "traffic", "results", "history")


def test_every_text_field__with_markup__stays_text_on_every_tab(browser, people):
    """Names, configs, comments, reasons and notes are somebody's words, never markup."""
    client, owner = browser("olivia"), actor_for_user(people["olivia"])
    arms = tuple(
        factories.VariantSpec(
            f"{key}{PAYLOAD}",
            500,
            key=key,
            is_control=key == "control",
            config={"p": PAYLOAD},
            description=PAYLOAD,
            model_hash=PAYLOAD[:64],
        )
        for key in ("control", "treatment")
    )
    words = dict.fromkeys(
        ("name", "description", "hypothesis", "expected_effect", "prd_text"), PAYLOAD
    )
    spec = factories.spec(
        "xss", **words, variants=arms, policy_key="ai-low", traffic=100, tags=(PAYLOAD,)
    )
    made = drafts.create_experiment(owner, factories.NOW, spec=spec)
    client.post(url(made, "note"), {"text": PAYLOAD})
    client.post(url(made, "sign/prd"), {"verdict": "rejected", "comment": PAYLOAD})
    browser("dmitri").post(
        url(made, "evaluate"),
        {"variant": "treatment", "metric": PAYLOAD[:60], "value": "0.6", "dataset": PAYLOAD},
    )
    browser("quinn").post(
        url(made, "override"),
        {
            "variant": "treatment",
            "unit_id": "t<script>alert(1)",
            "expires_at": "2099-01-01T00:00",
            "reason": PAYLOAD,
        },
    )
    pages = [page(made, tab) for tab in TABS] + [
        url(made, "edit"),
        url(made, "do/start_dark_launch"),
        "/admin/",
        "/admin/experiments/experiment/",
    ]
    lists = [
        "/admin/experiments/changelogentry/",
        "/admin/experiments/override/",
        "/admin/experiments/flag/",
    ]
    for where in pages + lists:
        text = client.get(where).content.decode()
        assert "<script>alert(1)" not in text, where
        assert "<img src=x" not in text, where
        assert '"><script' not in text, where
    assert "&lt;script&gt;alert(1)" in client.get(page(made, "history")).content.decode()


def test_prd_link__that_runs_script__is_text_and_no_link(browser, people):
    client, owner = browser("olivia"), actor_for_user(people["olivia"])
    made = drafts.create_experiment(owner, factories.NOW, spec=factories.spec("link"))
    Experiment.objects.filter(pk=made.pk).update(prd_url="javascript:alert(1)")
    assert 'href="javascript:' not in client.get(page(made, "plan")).content.decode()


def test_checklist__dark_launch_checked__shows_arms_and_guardrails_beside_the_twins(
    browser, people
):
    made = factories.experiment_in(Status.DARK_LAUNCH)
    check_dark_launch(factories.SYSTEM, factories.NOW + timedelta(hours=1), experiment_id=made.pk)

    text = browser("quinn").get(page(made, "checklist")).content.decode()

    assert "<td>control twins</td>" in text
    assert ">Control twins</th>" in text
    assert "no control twin has been exposed" in text


def test_optional_item__is_signed_on_its_page__and_required_ones_are_not_waved_through(
    browser, people, dark
):
    light = _olivias(factories.draft(key="light", name="Light"), people)
    client = browser("olivia")
    shown = client.get(page(light) + "?tab=checklist").content.decode()
    assert url(light, "sign/prd") in shown
    assert url(light, "sign/approval") not in shown
    assert (
        client.post(
            url(light, "sign/prd"), {"verdict": "not_applicable", "comment": "A copy change."}
        ).status_code
        == 302
    )
    assert (
        "Optional; not applicable: A copy change."
        in client.get(page(light) + "?tab=checklist").content.decode()
    )
    required = client.post(
        url(dark, "sign/prd"), {"verdict": "not_applicable", "comment": "Why bother."}
    )
    assert required.status_code == 409
    assert "cannot be called not applicable" in required.content.decode()
    assert (
        '<option value="not_applicable">' not in client.get(url(dark, "sign/prd")).content.decode()
    )
