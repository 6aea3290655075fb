"""The planner as a page: the numbers that the command prints, and refusals beside the form."""

from __future__ import annotations

import pytest

from analytics.readings.sizing import MetricAsked, SizingQuestion, size
from experiments.core.clock import utc_now

PAGE = "/admin/experiments/experiment/sample-size/"
ASKED = {
    "kind": "proportion",
    "baseline": "0.75",
    "effect": "0.05",
    "effect_kind": "absolute",
    "units_per_day": "3000",
    "clock_weeks": "1",
}


def test_calculator__a_share__says_what_the_planner_says(browser):
    metric = MetricAsked(
        metric="proportion", kind="proportion", baseline=0.75, effect=0.05, effect_kind="absolute"
    )
    plan = size(SizingQuestion(metrics=(metric,), units_per_day=3000), utc_now()).plan
    text = browser("victor").get(PAGE, ASKED).content.decode()
    assert f"<b>{plan.control:,}</b>" in text and f"<b>{plan.total:,}</b>" in text
    assert "1 week</b>" in text and "as-course" in text
    assert "What is found in how long" in text


def test_calculator__with_a_guardrail_and_three_arms__has_a_row_for_it(browser):
    text = (
        browser("victor")
        .get(PAGE, ASKED | {"margin": "0.15", "guardrail_baseline": "0.05", "shares": "50, 25, 25"})
        .content.decode()
    )
    assert text.count('<span class="strong">') >= 2 and "guardrail" in text


def test_calculator__opened__offers_the_usual(browser):
    answer = browser("victor").get(PAGE)
    assert answer.status_code == 200 and 'value="50, 50"' in answer.content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseline": "x"},
        {"baseline": "2"},
        {"shares": "100"},
        {"shares": "0, 1"},
        {"effect": "nan"},
        {"power": "1"},
        {"kind": "sofa"},
    ],
)
def test_calculator__impossible_numbers__are_refused_with_the_reason(browser, wrong):
    answer = browser("victor").get(PAGE, ASKED | wrong)
    assert answer.status_code == 400
    assert "This cannot be planned." in answer.content.decode()
