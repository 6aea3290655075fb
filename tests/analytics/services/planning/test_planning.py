"""Sample-size plans: the sizes that tables give, refusals that name what is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from analytics.core.stats.sequential.group_sequential import inflation
from analytics.readings.prefill import MetricPast, TrafficPast
from analytics.services.planning.planning import experiment_plan, plan_sample_size, sample_plan
from experiments.core.design.design import Design, DesignMetric, DesignVariant
from experiments.core.design.policies import PolicyRules
from experiments.core.errors import InvalidInput
from tests.factories import METRICS, NOW, draft, person

PRIMARY = DesignMetric(
    "resolved",
    1,
    "proportion",
    "primary",
    "increase",
    72,
    baseline=0.75,
    mde=0.05,
    mde_kind="absolute",
)
COMPLAINED = DesignMetric(
    "complained",
    1,
    "proportion",
    "guardrail",
    "decrease",
    72,
    baseline=0.02,
    margin=0.15,
    margin_kind="relative",
    rule="safe",
)
DESIGN = Design(
    key="assistant",
    variants=(
        DesignVariant("control", "Control", True, 500),
        DesignVariant("test", "Test", False, 500),
    ),
    metrics=(PRIMARY,),
)
RULES = PolicyRules(weeks=1)


def test_sample_plan__75_to_80_percent__is_1094_an_arm_times_the_price_of_looking() -> None:
    found = sample_plan(DESIGN, RULES)
    assert found.control == found.treatment == pytest.approx(1094 * inflation(8), abs=1)
    assert found.n_planned == pytest.approx(found.control / 2)
    assert found.decided_by == "resolved"


def test_sample_plan__guardrail_must_be_safe__sets_the_size() -> None:
    found = sample_plan(replace(DESIGN, metrics=(PRIMARY, COMPLAINED)), RULES)
    assert found.decided_by == "complained"
    assert found.control > 40_000


def test_sample_plan__guardrail_must_only_not_be_breached__does_not() -> None:
    found = sample_plan(
        replace(DESIGN, metrics=(PRIMARY, replace(COMPLAINED, rule="no_breach"))), RULES
    )
    assert found.decided_by == "resolved"
    assert found.rows[1].size is None


def test_sample_plan__two_test_arms__need_more_an_arm() -> None:
    arms = (
        DesignVariant("control", "C", True, 334),
        DesignVariant("a", "A", False, 333),
        DesignVariant("b", "B", False, 333),
    )
    found = sample_plan(replace(DESIGN, variants=arms), RULES)
    assert found.treatment > sample_plan(DESIGN, RULES).treatment
    assert found.total == found.control + 2 * found.treatment


def test_sample_plan__floor_per_arm__is_kept() -> None:
    found = sample_plan(replace(DESIGN, min_sample_size=5000), RULES)
    assert (found.control, found.treatment) == (5000, 5000)


def test_sample_plan__units_per_day_known__gives_whole_weeks_and_never_less_than_the_clock() -> (
    None
):
    assert sample_plan(DESIGN, RULES, units_per_day=100_000).weeks == 1
    assert sample_plan(DESIGN, PolicyRules(weeks=2), units_per_day=100_000).weeks == 2
    assert sample_plan(DESIGN, RULES, units_per_day=100).weeks == 4
    assert sample_plan(DESIGN, RULES).weeks is None


@pytest.mark.parametrize(
    ("size", "policy_weeks", "weeks"),
    [("small", 1, 1), ("medium", 1, 1), ("large", 1, 2), ("small", 2, 2)],
)
def test_sample_plan__size_of_the_change__sets_the_weeks_but_never_below_the_policys(
    size: str, policy_weeks: int, weeks: int
) -> None:
    found = sample_plan(
        replace(DESIGN, size_class=size), PolicyRules(weeks=policy_weeks), units_per_day=100_000
    )
    assert found.weeks == weeks


def test_sample_plan__mean_with_its_spread__is_planned_too() -> None:
    spend = replace(
        PRIMARY,
        key="spend",
        kind="mean",
        baseline=10.0,
        baseline_sd=20.0,
        mde=0.1,
        mde_kind="relative",
    )
    assert sample_plan(replace(DESIGN, metrics=(spend,)), RULES).control == pytest.approx(
        6280 * inflation(8), rel=0.01
    )


@pytest.mark.parametrize(
    ("metrics", "codes"),
    [
        ((), {"primary_missing"}),
        ((replace(PRIMARY, mde=None, baseline=None),), {"mde_missing", "baseline_missing"}),
        ((PRIMARY, replace(COMPLAINED, baseline=None)), {"baseline_missing"}),
        (
            (replace(PRIMARY, kind="mean", baseline=None, mde_kind="relative"),),
            {"baseline_sd_missing", "baseline_missing"},
        ),
    ],
)
def test_sample_plan__something_is_missing__refuses_with_all_of_it(
    metrics: tuple[DesignMetric, ...], codes: set[str]
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        sample_plan(replace(DESIGN, metrics=metrics), RULES)
    assert {problem.code for problem in refusal.value.problems} == codes


def test_sample_plan__effect_beyond_a_rate__is_refused_as_input() -> None:
    with pytest.raises(InvalidInput, match="rates lie between"):
        sample_plan(replace(DESIGN, metrics=(replace(PRIMARY, mde=0.5),)), RULES)


def test_sample_plan__no_conversion_window__is_looked_at_once_and_pays_nothing_for_looks() -> None:
    found = sample_plan(replace(DESIGN, metrics=(replace(PRIMARY, window_hours=None),)), RULES)
    assert (found.looks, found.control) == (1, 1094)


def test_sample_plan__guardrail_out_of_reach__says_what_would_do() -> None:
    found = sample_plan(
        replace(DESIGN, metrics=(PRIMARY, COMPLAINED)), RULES, units_per_day=500, weeks=4
    )
    (advice,) = found.advice
    assert advice.startswith("complained: in 4 weeks you can prove a margin of +")
    assert "your margin of +15 % needs" in advice


def test_sample_plan__ratio_and_quantile_guardrails__are_sized_by_their_spread() -> None:
    errors = replace(
        COMPLAINED,
        key="error_rate",
        kind="ratio",
        baseline=0.03,
        baseline_sd=0.4,
        margin=0.02,
        margin_kind="points",
    )
    latency = replace(
        COMPLAINED,
        key="latency_p95",
        kind="quantile",
        baseline=900.0,
        baseline_sd=9000.0,
        margin=500.0,
        margin_kind="ms",
    )
    found = sample_plan(replace(DESIGN, metrics=(PRIMARY, errors, latency)), RULES)
    assert all(row.size is not None for row in found.rows)
    assert found.decided_by == "error_rate"


def test_sample_plan__past_of_a_metric__fills_what_nobody_entered_and_nothing_else() -> None:
    spend = replace(
        PRIMARY,
        key="spend",
        kind="mean",
        baseline=None,
        baseline_sd=None,
        mde=0.1,
        mde_kind="relative",
    )
    past = MetricPast("spend", "user", 10.0, 20.0, units=5000, silent=None, days=28)
    found = sample_plan(replace(DESIGN, metrics=(spend,)), RULES, known={"spend": past})
    entered = sample_plan(
        replace(DESIGN, metrics=(replace(spend, baseline=10.0, baseline_sd=20.0),)), RULES
    )
    assert found.control == entered.control
    other = sample_plan(
        replace(DESIGN, metrics=(replace(spend, baseline=20.0),)), RULES, known={"spend": past}
    )
    assert other.control == pytest.approx(entered.control / 4, abs=1)


def test_sample_plan__traffic_seen__gives_weeks_and_leaves_the_horizon_alone() -> None:
    seen = TrafficPast("user", units=28 * 5000, days=28, daily_units=9000.0)
    found = sample_plan(DESIGN, RULES, seen=seen)
    assert (found.weeks, found.n_planned) == (1, found.control / 2)


@pytest.mark.django_db
def test_plan_sample_size__recorded__keeps_what_a_launch_reads_and_says_the_rest() -> None:
    experiment = draft(metrics=(replace(METRICS[0], baseline=0.2, mde=0.1), METRICS[1]))
    evidence = plan_sample_size(
        person("owner"), NOW, experiment_id=experiment.pk, units_per_day=500
    )
    detail = evidence.detail
    assert {"n_planned", "control", "treatment", "total", "decided_by", "weeks", "metrics"} <= set(
        detail
    )
    assert evidence.green
    assert evidence.summary.startswith(
        f"{detail['total']:,} units in all: {detail['control']:,} in control"
    )
    primary = next(row for row in detail["metrics"] if row["role"] == "primary")
    assert {"key", "role", "control", "treatment", "note"} <= set(primary)
    assert primary["question"] == "find +10 % (20 % → 22 %)"
    assert detail["joint"]


@pytest.mark.django_db
def test_experiment_plan__planned_start_and_end__are_the_weeks_that_there_are() -> None:
    experiment = draft(planned_start=NOW, planned_end=NOW + timedelta(days=22))
    assert experiment_plan(experiment, NOW, units_per_day=500).plan.horizon_weeks == 3
    assert experiment_plan(experiment, NOW, units_per_day=500, weeks=5).plan.horizon_weeks == 5
