"""An arm that wins, beside a guardrail of which nothing is known: nothing known is never a pass."""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.models import AnalysisRun, Decision
from analytics.services.analysis.analysis import analyse
from tests.analytics.stores.observed import START, World, crowd, plan, world

pytestmark = pytest.mark.django_db
AFTER_CLOCK = START + timedelta(days=8, hours=1)


def winning(
    rule: str, guardrail: str = "complained", kind: str = "points", margin: float = 0.05
) -> World:
    """18 % against 24 % of 3,000 an arm, and not one row of the guardrail."""
    w = world(auto_promote=True)
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    plan(w, "guardrail", guardrail, margin=margin, margin_kind=kind, rule=rule, action="stop")
    crowd(w, "control", 3000, START, events={"apply": 540})
    crowd(w, "treatment", 3000, START, events={"apply": 720})
    return w


def said_of_guardrail(run: AnalysisRun) -> tuple[bool | None, str]:
    [item] = [item for item in run.readiness["items"] if item["topic"] == "guardrail"]
    return item["met"], item["now"]


@pytest.mark.parametrize("rule", ["safe", "no_breach"])
@pytest.mark.parametrize(
    ("guardrail", "kind", "margin"),
    [
        ("complained", "points", 0.05),
        ("cost_per_unit", "relative", 0.2),
        ("latency_p95", "ms", 500.0),
    ],
)
def test_guardrail_without_any_row__is_not_promoted_under_either_rule(
    rule, guardrail, kind, margin
) -> None:
    w = winning(rule, guardrail, kind, margin)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    met, now = said_of_guardrail(run)
    assert met is False and now.startswith("no data: ")
    decision = Decision.objects.get()
    assert (decision.verdict, decision.look is not None) == ("escalate", True)


def test_zero_of_an_event_that_others_send__is_data_and_is_promoted() -> None:
    w = winning("no_breach")
    w.event("somebody else", "complaint", START + timedelta(days=1))
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert said_of_guardrail(run)[0] is True
    assert Decision.objects.get().verdict == "promote"
