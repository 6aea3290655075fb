"""The examples of a new installation: loaded once, then left to beat and to the doors."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import time_machine
from django.db import connection

from analytics.models import AnalysisRun, Decision
from analytics.selectors.reporting.reports import report_of
from analytics.services.analysis.analysis import analyse
from analytics.services.examples import load
from analytics.services.examples.pilot import EFFECT
from analytics.tasks import write_due_reports
from experiments.core.hashing import new_seed
from experiments.core.life.lifecycle import Verb
from experiments.models import (
    ChangeLogEntry,
    Experiment,
    ExperimentMetric,
    Iteration,
    RampStay,
    Rollout,
)
from experiments.selectors import serving
from experiments.selectors.checklist import blockers
from tests.stories.company import Http, local, new_key, tick_beat, tick_web

NOW = local(25, 12)
MATCHING, COACH, SPAM, DISPUTES = (
    "matching_rerank_v1",
    "ai_coach_personalization",
    "spam_guard_v2",
    "dispute_router_ml",
)
SPAM_3, TONE, DISPUTES_LLM = "spam_guard_v3", "ai_coach_tone", "dispute_router_llm"
FOLLOWUP, PREDICTION, BOOST, CONFIDENCE = (
    "followup_timing",
    "prediction_threshold",
    "lora_boost_optimization",
    "confidence_threshold",
)
PLAN = (MATCHING, COACH, SPAM, DISPUTES)
"""The four experiments of the plan for AI features."""
MESSAGE, MODELS, RETRIEVAL, AA_TEST, PILOT = (
    "message_template",
    "llm_model_comparison",
    "rag_top_k",
    "aa_test",
    "geo_posters",
)
RUNNING = (COACH, SPAM, DISPUTES, FOLLOWUP, PREDICTION, BOOST, CONFIDENCE, MODELS, RETRIEVAL)
LIVE = {SPAM_3: "dark_launch", TONE: "draft", DISPUTES_LLM: "draft"} | dict.fromkeys(
    RUNNING, "running"
)
OVER = {MESSAGE: "completed", AA_TEST: "completed", PILOT: "completed"}
DRAFTS = {
    "cache_ttl", "enrichment_model", "recommendation_algo_v2", "prompt_few_shot", "assistant_model", "agent_config", "smart_routing",
    "claude_vs_gpt4",
}  # fmt: skip


@pytest.fixture
def loaded(db, settings, tmp_path, monkeypatch):
    """The examples with seeds that are the same at every run, and two ticks of beat."""
    settings.CATALOGUE_DIR, settings.SPOOL = tmp_path / "catalogue", tmp_path / "spool"
    serving.forget()
    numbers = count(1)
    monkeypatch.setattr(
        "experiments.services.life.buckets.new_seed",
        lambda _: new_seed(next(numbers).to_bytes(6, "big")),
    )
    with time_machine.travel(NOW, tick=False) as clock:
        told: list[str] = []
        load(NOW, progress=told.append)
        yield clock, told
    serving.forget()


def _row(key: str) -> Experiment:
    return Experiment.objects.get(key=key)


def _ask(http: Http, experiment: str, units: list[dict[str, str]]) -> list[dict]:
    answer = http.post(
        "assignments", {"batch": [{"units": u} for u in units], "experiments": [experiment]}
    )
    assert answer.status_code == 200, answer.content
    return [items[0] for items in answer.json()["results"]]


@pytest.mark.slow
def test_examples__loaded_and_left_to_beat__stand_where_they_should(loaded) -> None:
    clock, told = loaded
    _each_at_its_stage()
    _plan_of_the_source_is_measured_whole()
    _harmful_was_stopped_and_concluded()
    _dear_one_is_escalated_and_slow_one_holds_its_ramp()
    _nothing_was_found_in_the_a_a_test_and_the_pilot_is_read()
    tick_web()
    app = Http(new_key("server"))
    users = [{"user": f"u{i}"} for i in range(1000)]
    before = {item["unit"]: item for item in _ask(app, MATCHING, users)}
    for _ in range(2):
        tick_beat()
        clock.shift(60)
    write_due_reports()
    tick_web()
    _matching_is_promoted_once()
    assert (
        report_of(_row(MATCHING)).stored and "cross_encoder" in report_of(_row(MATCHING)).markdown
    )
    _winner_is_served(before, _ask(app, MATCHING, users))
    _others_go_on(app)
    again: list[str] = []
    load(NOW, progress=again.append)
    assert [line.split(": ", 1)[1] for line in again] == [
        "already there"
    ] * Experiment.objects.count()
    assert len(told) > 20


def _each_at_its_stage() -> None:
    statuses = {e.key: e.status for e in Experiment.objects.all()}
    assert statuses == {MATCHING: "running", **LIVE, **OVER, **dict.fromkeys(DRAFTS, "draft")}
    assert _row(COACH).flag_id == "ai_coach_v2"
    against = blockers(_row(TONE), Verb.START_DARK_LAUNCH, NOW)
    assert [p.code for p in against] == ["offline_rejected"]
    assert "win_rate" in against[0].message


FIVE = {"error_rate", "complaints_per_1k_sessions", "ai_opt_out", "latency_p95", "cost_per_request"}


def _plan_of_the_source_is_measured_whole() -> None:
    """Each of the four has the five guardrails with data in every arm; their events keep what the
    source asks for.
    """
    for key in PLAN:
        row = _row(key)
        assert {
            use.metric.key
            for use in ExperimentMetric.objects.filter(experiment=row, role="guardrail")
        } | ({"ai_opt_out"} if key == COACH else set()) == FIVE
        found = {one["key"]: one for one in _analysed(row)["metrics"]}
        assert all(arm["mean"] is not None for metric in FIVE for arm in found[metric]["arms"]), key
    past = {
        arm["arm"]: arm["sums"]["y0 (with past)"]
        for one in _analysed(_row(MATCHING))["metrics"]
        if one["role"] == "primary"
        for arm in one["arms"]
    }
    assert min(past.values()) > 100
    with connection.cursor() as cursor:
        for name, statement in KEPT.items():
            cursor.execute(statement)
            assert cursor.fetchone()[0] > 100, name


KEPT = {
    "job ids": "SELECT count(*) FROM ai_events WHERE payload ? 'job_id'",
    "profile ids": "SELECT count(*) FROM ai_events WHERE payload ? 'profile_id'",
    "dispute ids": "SELECT count(*) FROM ai_events WHERE payload ? 'dispute_id'",
    "languages": "SELECT count(*) FROM ai_events WHERE language IN ('de', 'en', 'ru')",
    "embeddings": "SELECT count(*) FROM ai_events WHERE embedding_stats ? 'norm'",
    "tokens by model": "SELECT min(n) FROM (SELECT count(*) AS n FROM ai_request_costs WHERE tokens_in > 0 GROUP BY model) counts",
    "feedback": "SELECT least(count(*) FILTER (WHERE label = 'useful'), count(*) FILTER (WHERE manual_edit_flag)) FROM ai_feedback",
    "covariates": "SELECT count(*) FROM experiment_assignments WHERE covariates ? 'language'",
}


def _analysed(row: Experiment) -> dict[str, Any]:
    analyse(row.pk, now=NOW)
    return AnalysisRun.objects.filter(experiment=row).latest("pk").results


def _harmful_was_stopped_and_concluded() -> None:
    row, decision = _row(MESSAGE), _decision(_row(MESSAGE))
    assert (row.outcome, decision.verdict, decision.arms) == ("stopped_harm", "stop", ["friendly"])
    assert "guardrail breached (complained on friendly)" in decision.rule
    assert decision.applied.done
    stop = ChangeLogEntry.objects.get(experiment=row, action="emergency_stop")
    assert (stop.actor_kind, stop.at) == ("machine", decision.made_at)
    assert "complained" in report_of(row).markdown and report_of(row).stored


def _dear_one_is_escalated_and_slow_one_holds_its_ramp() -> None:
    escalated, held = _decision(_row(MODELS)), _decision(_row(RETRIEVAL))
    assert (escalated.verdict, escalated.rule) == (
        "escalate",
        "guardrail breached (cost_per_request on claude): a person decides",
    )
    assert (held.verdict, held.arms) == ("hold", ["top_7"])
    first, second = RampStay.objects.filter(iteration__experiment__key=RETRIEVAL).order_by("pk")
    assert (first.share, second.share, second.held_by) == (100, 300, "machine")
    assert second.held_reason == "guardrail breached (latency_mean on top_7)"
    assert not any(report_of(_row(key)).final for key in (MODELS, RETRIEVAL))


def _nothing_was_found_in_the_a_a_test_and_the_pilot_is_read() -> None:
    aa, pilot = _row(AA_TEST), _row(PILOT)
    assert aa.outcome == "no_effect"
    assert {(d.verdict, d.outcome) for d in Decision.objects.filter(iteration__experiment=aa)} == {
        ("keep", ""),
        ("conclude", "no_effect"),
    }
    found = AnalysisRun.objects.get(experiment=pilot).results["did"]
    assert abs(found["estimate"] - EFFECT) < 2 and found["decision_p"] < 0.01
    assert all(report_of(row).stored for row in (aa, pilot))


def _matching_is_promoted_once() -> None:
    row = _row(MATCHING)
    assert (row.status, row.outcome) == ("completed", "promoted")
    assert Rollout.objects.get().variant.key == "cross_encoder"
    promoted = ChangeLogEntry.objects.get(experiment=row, action="promote")
    assert (promoted.actor_kind, promoted.reason) == (
        "machine",
        f"decision {_decision(row).pk}: {_decision(row).rule}",
    )


def _decision(row: Experiment) -> Decision:
    return Decision.objects.get(iteration__experiment=row)


def _winner_is_served(before: dict[str, dict], after: list[dict]) -> None:
    """Whom the experiment had gets the winner, but for a twentieth that keeps control; nobody else
    notices.
    """
    tested = [item for item in after if before[item["unit"]]["variant"]]
    held = [item for item in tested if item["reason"] == "holdback"]
    assert 300 < len(tested) < 500
    assert 0 < len(held) < 60
    assert (
        {before[item["unit"]]["variant"] for item in held}
        == {item["variant"] for item in held}
        == {"control"}
    )
    assert {(item["variant"], item["reason"]) for item in tested if item not in held} == {
        ("cross_encoder", "rollout")
    }
    others = [item for item in after if not before[item["unit"]]["variant"]]
    assert {(item["variant"], item["value"]["reranker"]) for item in others} == {(None, "none")}


def _others_go_on(app: Http) -> None:
    assert {
        e.key: e.status for e in Experiment.objects.exclude(key=MATCHING).exclude(key__in=DRAFTS)
    } == LIVE | OVER
    assert (
        _decision(_row(FOLLOWUP)).rule
        == "aggressive meets every condition; automatic promotion is off, a person promotes"
    )
    assert _decision(_row(PREDICTION)).verdict == "keep"
    assert Iteration.objects.get(experiment__key=SPAM_3).started_at is None
    spam = [
        item
        for item in _ask(app, SPAM_3, [{"user": f"u{i}"} for i in range(1000)])
        if item["variant"]
    ]
    assert {(item["variant"], item["stage"]) for item in spam} == {("control", "dark_launch")}
    assert any(item["shadow"] for item in spam)
    tenants = _ask(app, FOLLOWUP, [{"tenant": f"t{i}", "user": "u1"} for i in range(50)])
    assert {item["variant"] for item in tenants} == {"control", "aggressive"}
    assert _ask(app, FOLLOWUP, [{"user": "u1"}])[0]["reason"] == "unit_missing"
    page = Http(new_key("client"))
    assert {
        item["variant"] for item in _ask(page, CONFIDENCE, [{"user": f"u{i}"} for i in range(50)])
    } == {"threshold_60", "threshold_70"}
    assert page.post("assignments", {"unit": "u1", "experiments": [FOLLOWUP]}).status_code == 404
