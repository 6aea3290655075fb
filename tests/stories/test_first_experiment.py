"""One experiment from an idea to everybody's benefit, through public doors and beat alone."""

from __future__ import annotations

import pytest

from analytics.models import AnalysisRun, Assignment, Decision, Look
from experiments.models import ChangeLogEntry, Rollout
from tests.stories.company import OUTSIDE, Company, local, tick_beat, tick_web

NEW, OLD = {"ranker": "cross-encoder"}, {"ranker": "bi-encoder"}
DESIGN = {
    "name": "Better order of matches",
    "key": "rerank_v3",
    "experiment_type": "ranking",
    "policy": "ai-low",
    "traffic_allocation": 0.4,
    "time_zone": "Europe/Berlin",
    "auto_promote": True,
    "variants": [
        {"name": "Control", "key": "control", "is_control": True, "weight": 0.5, "config": OLD},
        {"name": "Reranked", "key": "reranked", "weight": 0.5, "config": NEW, "model_hash": "ce-3"},
    ],
    "metrics": [
        {"metric": "apply_conversion", "role": "primary", "baseline": 0.2, "mde": 0.5},
        {
            "metric": "ai_error_units",
            "role": "guardrail",
            "baseline": 0.02,
            "margin": 0.05,
            "margin_kind": "points",
            "rule": "safe",
        },
        {
            "metric": "complained",
            "role": "guardrail",
            "baseline": 0.02,
            "margin": 0.5,
            "margin_kind": "relative",
            "rule": "no_breach",
        },
    ],
    "offline_thresholds": [{"metric": "ndcg@10", "op": ">=", "value": 0.5}],
}
EACH = 40
"""Visitors of each arm a day: ten matured days make 400 an arm, more than planned."""


def test_first_experiment__from_draft_to_rollout(company: Company) -> None:
    _prepare(company)
    _dark_launch(company)
    _approve_and_go_live(company)
    _two_weeks(company, {"control": 0.2, "reranked": 0.4})
    _decided_but_not_yet(company)
    _promoted_once(company)
    _serves_what_was_won(company)
    _frozen(company)


def _prepare(company: Company) -> None:
    """Monday: a draft through the API, then everybody's part, each by the one whose job it is."""
    company.draft(DESIGN)
    assert company.row.owner.username == "olivia"
    assert company.row.flag_id == "rerank_v3"
    company.write_prd()
    company.sign_prd()
    company.compute_size()
    company.evaluate()
    assert company.person("olivia").post("sign/offline", verdict="approved").status_code == 403
    company.sign_offline()


def _dark_launch(company: Company) -> None:
    """One per cent of users in the shadow beside as many twins; a day later its health is computed
    by beat and signed by QA.
    """
    company.at(local(2, 11))
    company.start_dark_launch()
    met = company.meet_dark_launch()
    assert 0.005 < len(met) / 1800 < 0.04
    assert {item["metadata"]["role"] for item in met} == {"dark", "twin"}
    assert {item["variant"] for item in met} == {"control"}
    assert {item["shadow"] for item in met if item["metadata"]["role"] == "dark"} == {True}
    tick_beat()
    assert "0.0 of 24 hours" in company.person("quinn").page("checklist")
    assert company.person("quinn").post("sign/dark_launch", verdict="approved").status_code == 409
    company.at(local(3, 11, 30))
    tick_beat()
    assert company.person("olivia").post("sign/dark_launch", verdict="approved").status_code == 403
    company.sign_dark_launch()


def _approve_and_go_live(company: Company) -> None:
    """Tuesday: asked for by one, approved by another; then live."""
    company.at(local(3, 12))
    company.request_launch()
    own = company.person("olivia").post("sign/approval", verdict="approved")
    assert own.status_code == 409
    assert company.start().status_code == 409
    company.approve()
    company.at(local(3, 13))
    company.go_live()
    assert company.row.status == "running"


def _two_weeks(company: Company, applying: dict[str, float]) -> None:
    """Visitors come, beat analyses every night, and nothing is looked at before the clock is
    complete.
    """
    for day in range(3, 18):
        company.at(local(day, 14))
        company.day(EACH, applying)
        company.at(local(day, 23))
        tick_beat()
    assert Assignment.objects.filter(phase="main").count() == 15 * 2 * EACH
    assert not Look.objects.exists()
    assert not Decision.objects.exists()
    assert "Tuesday 1 of 2" in company.person("olivia").page("results")


def _decided_but_not_yet(company: Company) -> None:
    """Wednesday, half past eight: the clock is complete, the first look decides, and promotion
    waits for the window.
    """
    company.at(local(18, 8, 30))
    tick_beat()
    decision = Decision.objects.get()
    assert (decision.verdict, decision.variant.key) == ("promote", "reranked")
    company.at(local(18, 9, 59))
    tick_beat()
    assert company.row.status == "running"


def _promoted_once(company: Company) -> None:
    """Inside the window beat promotes, and however often it wakes up, once."""
    for minute in (1, 2, 3):
        company.at(local(18, 10, minute))
        tick_beat()
    row = company.row
    assert (row.status, row.outcome) == ("completed", "promoted")
    assert row.end_ts == local(18, 10, 1)
    assert Decision.objects.count() == Rollout.objects.count() == 1
    lines = ChangeLogEntry.objects.filter(experiment=row).order_by("at", "id")
    assert [
        (e.actor_kind, f"decision {Decision.objects.get().pk}" in e.reason)
        for e in lines.filter(action="promote")
    ] == [("machine", True)]
    acts = list(lines.values_list("action", flat=True))
    wanted = ["signed_off", "start_dark_launch", "launch_requested", "start", "promote"]
    assert [acts.index(act) for act in wanted] == sorted(acts.index(act) for act in wanted)


def _serves_what_was_won(company: Company) -> None:
    """The tested audience gets the winner, but for its holdback; everybody else gets what they
    had.
    """
    tick_web()
    tested = company.app.ask((company.seen["control"] + company.seen["reranked"])[:1000])
    held = [item for item in tested if item["reason"] == "holdback"]
    assert {(item["variant"], item["value"]["ranker"]) for item in held} == {
        ("control", "bi-encoder")
    }
    assert {item["unit"] for item in held} <= set(company.seen["control"])
    won = [item for item in tested if item["reason"] == "rollout"]
    assert len(won) + len(held) == len(tested)
    assert all((item["variant"], item["config"]) == ("reranked", NEW) for item in won)
    rollout = Rollout.objects.get()
    assert len(rollout.holdback_buckets) / len(rollout.audience["buckets"]) == pytest.approx(
        0.05, abs=0.002
    )
    dark = company.app.ask(company.seen["dark"] + company.seen["twin"])
    assert {item["variant"] for item in dark} == {"reranked"}
    others = company.app.ask(company.seen[OUTSIDE])
    assert {(item["variant"], item["value"]["ranker"], item["reason"]) for item in others} == {
        (None, "bi-encoder", "default")
    }


def _frozen(company: Company) -> None:
    """What comes later changes no result."""
    final = AnalysisRun.objects.get(experiment=company.row, latest=True)
    company.at(local(19, 12))
    company.app.tell("apply", company.seen["control"])
    tick_beat()
    after = AnalysisRun.objects.get(experiment=company.row, latest=True)
    assert (after.pk, after.computed_at, after.totals) == (
        final.pk,
        final.computed_at,
        final.totals,
    )
    assert Decision.objects.count() == 1


def test_null_effect__is_never_promoted(company: Company) -> None:
    _to_the_first_look(company, DESIGN, {"control": 0.2, "reranked": 0.2})
    assert Look.objects.count() == 1
    assert Decision.objects.get().verdict != "promote"
    assert (company.row.status, company.row.outcome) == ("completed", "no_effect")
    assert not Rollout.objects.exists()
    answers = company.app.ask(company.seen["reranked"] + company.seen["control"])
    assert {(item["variant"], item["value"]["ranker"]) for item in answers} == {
        (None, "bi-encoder")
    }


def test_winner__auto_promote_off__waits_for_a_person_who_did_not_ask_for_the_launch(
    company: Company,
) -> None:
    _to_the_first_look(company, DESIGN | {"auto_promote": False}, {"control": 0.2, "reranked": 0.4})
    assert Decision.objects.get().verdict == "escalate"
    assert company.row.status == "running"
    assert company.person("olivia").post("do/promote", variant="reranked").status_code in (403, 409)
    assert not Rollout.objects.exists()
    company.person("paula").press("do/promote", variant="reranked", reason="it won")
    tick_web()
    assert (company.row.status, company.row.outcome) == ("completed", "promoted")
    assert {item["variant"] for item in company.app.ask(company.seen["reranked"])} == {"reranked"}


def _to_the_first_look(
    company: Company, design: dict[str, object], applying: dict[str, float]
) -> None:
    """The same walk, with five days of visitors, then nights of beat in and around the promotion
    window.
    """
    company.draft(design)
    for step in (
        company.write_prd,
        company.sign_prd,
        company.compute_size,
        company.evaluate,
        company.sign_offline,
    ):
        step()
    company.start_dark_launch()
    company.meet_dark_launch()
    company.at(local(3, 11, 30))
    tick_beat()
    for step in (
        company.sign_dark_launch,
        company.request_launch,
        company.approve,
        company.go_live,
    ):
        step()
    for day in range(4, 9):
        company.at(local(day, 14))
        company.day(2 * EACH, applying)
    for hour in (1, 10, 11, 15):
        company.at(local(18, hour))
        tick_beat()
