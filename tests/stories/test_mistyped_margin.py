"""A guardrail's margin was mistyped: every door refuses it and says what the metric takes."""

from __future__ import annotations

import pytest

from experiments.models import Experiment, ExperimentMetric
from tests.stories.company import Company

BOOKED = {
    "metric": "apply_conversion",
    "role": "guardrail",
    "margin": 0.05,
    "margin_kind": "relative",
    "rule": "no_breach",
}
ERRORS = {
    "metric": "ai_error_units",
    "role": "guardrail",
    "margin": 0.02,
    "margin_kind": "points",
    "rule": "safe",
}
DESIGN = {
    "name": "Better order of matches",
    "key": "rerank_v3",
    "policy": "ai-low",
    "traffic_allocation": 0.4,
    "variants": [
        {"name": "Control", "weight": 0.5, "config": {}},
        {"name": "Reranked", "weight": 0.5, "config": {"n": 1}},
    ],
    "metrics": [{"metric": "median_ttr", "role": "primary"}, BOOKED, ERRORS],
}
MISTYPED = [
    (BOOKED | {"margin": 5}, "relative (above 0, below 1; a fall stays below 100 %)"),
    (BOOKED | {"margin": 1}, "found 1 relative"),
    (
        ERRORS | {"margin": 500, "margin_kind": "ms"},
        "points (above 0, below 1; 0.02 = 2 percentage points) or relative",
    ),
    (ERRORS | {"margin": 2}, "found 2 points"),
    (ERRORS | {"margin": 0}, "found 0 points"),
    (
        ERRORS | {"margin": 15, "margin_kind": "relative"},
        "relative (above 0, below 10; 0.15 = 15 %)",
    ),
    (
        ERRORS | {"margin": 0.05, "margin_kind": "relative", "baseline": 0.97},
        "a share stays between 0 and 1",
    ),
]
PRIMARY = {"metric": "median_ttr", "role": "primary"}


def _plan(guardrail: dict[str, object]) -> list[dict[str, object]]:
    return [PRIMARY, guardrail]


@pytest.mark.parametrize(("guardrail", "said"), MISTYPED)
def test_mistyped_margin__through_the_api__is_refused_with_what_the_metric_takes(
    company: Company, guardrail, said
) -> None:
    created = company.tools.post("experiments", DESIGN | {"metrics": _plan(guardrail)})
    templated = company.tools.post(
        "experiments",
        {"name": "From a template", "template": "lora_boost_test", "metrics": _plan(guardrail)},
    )
    for answer in (created, templated):
        [problem] = answer.json()["error"]["problems"] or [answer.json()["error"]]
        assert (answer.status_code, problem["field"].rsplit(".", 1)[0]) == (
            400,
            f"metrics.{guardrail['metric']}",
        )
        assert said in problem["message"]
    assert not Experiment.objects.exists()
    company.draft(DESIGN)
    edited = company.tools.patch(f"experiments/{company.key}", {"metrics": _plan(guardrail)})
    assert edited.status_code == 400 and said in str(edited.json()["error"])
    assert ExperimentMetric.objects.filter(role="guardrail").count() == 2


@pytest.mark.parametrize(("guardrail", "said"), MISTYPED)
def test_mistyped_margin__in_the_form__is_refused_with_what_the_metric_takes(
    company: Company, guardrail, said
) -> None:
    company.draft(DESIGN)
    place = ["median_ttr", "apply_conversion", "ai_error_units"].index(guardrail["metric"])
    typed = {
        f"m-{place}-{name}": str(value)
        for name, value in guardrail.items()
        if name.startswith(("margin", "baseline"))
    }
    answer = company.person("olivia").edit(**typed)
    assert answer.status_code == 400
    assert said in " ".join(p.message for p in answer.context["problems"])


def test_bad_margin__stored_before_the_rule__keeps_nobody_from_editing_the_rest(
    company: Company,
) -> None:
    company.draft(DESIGN)
    ExperimentMetric.objects.filter(metric__key="apply_conversion").update(margin=5.0)
    assert (
        company.tools.patch(f"experiments/{company.key}", {"description": "still open"}).status_code
        == 200
    )
    assert "metrics.apply_conversion.margin" in company.blockers(), "but it cannot be launched"
    Experiment.objects.filter(pk=company.pk).update(status="running")
    amended = {
        "metrics": [*DESIGN["metrics"][:1], BOOKED | {"margin": 5}, ERRORS, {"metric": "csat"}],
        "reason": "to explore",
    }
    assert company.tools.patch(f"experiments/{company.key}", amended).status_code == 200
