"""What a dark launch must show before it goes live, and what it can show at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analytics.core.deciding.dark_stage import (
    DarkArm,
    DarkHealth,
    TwinComparison,
    problems,
    sentence,
)
from analytics.core.deciding.verdicts import GuardrailResult

ARM = DarkArm("treatment", 500, 2000, 10)
TWINS = DarkArm("control twins", 500, 2000, 10)
GREEN = DarkHealth(
    hours=25.0, min_hours=24, min_requests=1000, arms=(ARM,), twins=TWINS, stamped=1000
)
BREACH = GuardrailResult(
    "errors",
    "treatment",
    "breach",
    True,
    False,
    None,
    0.001,
    0.05,
    0.01,
    0.1,
    False,
    "beyond the margin",
)


def test_problems__long_enough_clean_and_complete__are_none():
    assert (problems(GREEN), GREEN.green) == ((), True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hours": 3.0}, "3.0 of 24 hours"),
        ({"arms": (replace(ARM, requests=40),)}, "40 of 1,000 requests"),
        (
            {"arms": (ARM, DarkArm("second", 0, 0, 5))},
            "no unit has met second yet: check labels and exposure logging",
        ),
        (
            {"twins": replace(TWINS, units=0)},
            "no control twin has been exposed: there is nothing to compare with",
        ),
        (
            {"unlabelled": 11},
            "11 of 1,000 events name the experiment without a variant: labels are missing",
        ),
        (
            {"guardrails": (TwinComparison("Errors", 0.2, 0.01, BREACH),)},
            "errors on treatment: breached, harm beyond the margin is proven",
        ),
        (
            {"twins": replace(TWINS, units=300)},
            "units are not in the shares of their buckets (500 treatment / 300 control twins): check exposure logging of every arm",
        ),
    ],
)
def test_problems__one_thing_amiss__is_the_only_one_named(change, says):
    found = replace(GREEN, **change)

    assert problems(found) == (says,)
    assert sentence(found).endswith(f"; not yet: {says}")


def test_problems__one_label_in_a_hundred_missing__is_let_pass():
    assert replace(GREEN, unlabelled=10).green


def test_sentence__says_what_so_few_requests_can_show():
    assert "2,000 requests can miss a fault that hits fewer than 0.15% of them" in sentence(GREEN)
    assert "miss" not in sentence(replace(GREEN, arms=(replace(ARM, requests=2),)))


def test_sentence__errors_beside_it__are_never_denied():
    seen = TwinComparison(
        "Error rate", 0.0077, 0.008, replace(BREACH, verdict="unknown", breach=False)
    )
    assert "no error" not in sentence(replace(GREEN, guardrails=(seen,)))


def test_sentence__rule_of_three__is_the_exact_bound_to_a_tenth():
    """1 − .05^(1/n), the exact upper 95 % bound of a rate that was never seen."""
    assert pytest.approx(1 - 0.05 ** (1 / 2000), rel=0.1) == 3 / 2000


def test_breached__names_guardrail_and_arm():
    assert replace(GREEN, guardrails=(TwinComparison("Errors", 0.2, 0.01, BREACH),)).breached == (
        "errors on treatment",
    )
