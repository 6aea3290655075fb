"""Designs that may not be, each named by its code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.core.design.design import Design, DesignMetric, DesignVariant
from experiments.core.design.policies import SHIPPED
from experiments.core.design.rules import (
    RESERVED_KEYS,
    expected_effect,
    key_problems,
    problems,
    value_fits,
)

RULES = {shipped.key: shipped.rules for shipped in SHIPPED}
CONTROL = DesignVariant("control", "control", True, 500, {"n": 1})
TREATMENT = DesignVariant("treatment", "treatment", False, 500, {"n": 2})
PRIMARY = DesignMetric(
    "apply_conversion", 1, "proportion", "primary", "increase", 72, baseline=0.2, mde=0.1
)
GUARD = DesignMetric(
    "errors", 1, "proportion", "guardrail", "decrease", margin=0.02, margin_kind="points"
)
DESIGN = Design(
    key="rerank",
    flag_key="rerank",
    flag_type="object",
    variants=(CONTROL, TREATMENT),
    metrics=(PRIMARY, GUARD),
)


def codes(design: Design, policy: str = "standard", *, for_launch: bool = True) -> set[str]:
    return {problem.code for problem in problems(design, RULES[policy], for_launch=for_launch)}


def weights(control: int, *tests: int) -> tuple[DesignVariant, ...]:
    arms = (DesignVariant(f"t{i}", f"t{i}", False, weight, {}) for i, weight in enumerate(tests))
    return (replace(CONTROL, weight=control), *arms)


def test_whole_design__under_standard__has_no_problem():
    assert codes(DESIGN) == set()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"variants": (CONTROL,)}, "too_few_variants"),
        ({"variants": ()}, "too_few_variants"),
        ({"variants": (replace(CONTROL, is_control=False), TREATMENT)}, "one_control"),
        ({"variants": (CONTROL, replace(TREATMENT, is_control=True))}, "one_control"),
        ({"variants": weights(1000, 0)}, "zero_weight"),
        ({"variants": weights(500, 400)}, "weights_sum"),
        ({"variants": (CONTROL, replace(TREATMENT, key="control"))}, "variant_key_twice"),
        ({"variants": (CONTROL, replace(TREATMENT, key="a b"))}, "variant_key_invalid"),
        ({"variants": (CONTROL, replace(TREATMENT, weight=1001))}, "weight_range"),
        ({"flag_key": ""}, "flag_missing"),
        ({"flag_type": "boolean"}, "value_type"),
        ({"traffic": 0}, "traffic_range"),
        ({"traffic": 1}, "traffic_too_small"),
        ({"time_zone": "Mars/Olympus"}, "time_zone_unknown"),
        ({"time_zone": "../etc/passwd"}, "time_zone_unknown"),
        ({"unit_type": "User Name"}, "unit_type_invalid"),
        ({"targeting": [{"attribute": "a", "op": "matches", "value": "x"}]}, "ill_formed"),
        ({"offline_thresholds": [{"metric": "a"}]}, "ill_formed"),
        ({"confidence_level": "1.5"}, "confidence_level_range"),
        ({"power": "x"}, "power_range"),
        ({"dark_mode": "grey"}, "dark_mode_unknown"),
        ({"metrics": (replace(GUARD, margin=None),)}, "margin_missing"),
        ({"metrics": (replace(GUARD, margin_kind="furlongs"),)}, "margin_missing"),
        ({"metrics": (replace(GUARD, margin_kind="ms"),)}, "margin_kind"),
        ({"metrics": (replace(GUARD, margin=2.0),)}, "margin_range"),
        ({"metrics": (replace(GUARD, margin=15.0, margin_kind="relative"),)}, "margin_range"),
        ({"metrics": (replace(GUARD, baseline=0.99),)}, "margin_range"),
        (
            {
                "metrics": (
                    replace(GUARD, direction="increase", margin=1.0, margin_kind="relative"),
                )
            },
            "margin_range",
        ),
        ({"metrics": (replace(GUARD, direction="increase", baseline=0.01),)}, "margin_range"),
        (
            {"metrics": (replace(GUARD, kind="duration", margin=20.0, margin_kind="money"),)},
            "margin_kind",
        ),
        ({"metrics": (replace(GUARD, kind="mean", margin=float("inf")),)}, "margin_range"),
        ({"metrics": (replace(GUARD, margin=float("nan")),)}, "margin_missing"),
        ({"metrics": (replace(GUARD, rule="hope"),)}, "guardrail_rule_unknown"),
        ({"metrics": (replace(GUARD, action="pray"),)}, "guardrail_action_unknown"),
        ({"metrics": (replace(PRIMARY, mde=0),)}, "mde_range"),
        ({"metrics": (replace(PRIMARY, baseline=1.2),)}, "baseline_range"),
        ({"metrics": (replace(PRIMARY, baseline_sd=-1.0),)}, "baseline_sd_range"),
        ({"metrics": (replace(PRIMARY, required_improvement=-0.1),)}, "d0_negative"),
        ({"metrics": (replace(PRIMARY, required_improvement=0.02),)}, "d0_too_large"),
    ],
)
def test_launch__with_this_wrong__is_told_so(change, code):
    assert code in codes(replace(DESIGN, **change))


def test_required_improvement__below_the_expected_effect__is_fine():
    assert codes(replace(DESIGN, metrics=(replace(PRIMARY, required_improvement=0.019),))) == set()


def test_expected_effect__relative_without_baseline__cannot_be_said():
    assert expected_effect(replace(PRIMARY, baseline=None)) is None
    assert expected_effect(replace(PRIMARY, mde=0.03, mde_kind="absolute")) == 0.03


def test_draft__unfinished__is_no_problem_yet():
    assert codes(Design(key="rerank"), for_launch=False) == set()


def test_import__without_flag__may_launch():
    assert codes(replace(DESIGN, origin="import", flag_key="", flag_type="")) == set()


@pytest.mark.parametrize(
    ("policy", "traffic", "arms", "expected"),
    [
        ("ai-low", 250, weights(200, 800), set()),  # 5 % control, 20 % test
        ("ai-low", 250, weights(160, 840), {"control_share", "test_share"}),  # 4 % and 21 %
        ("ai-low", 80, weights(500, 500), {"control_share", "test_share"}),  # 4 % each
        ("ai-medium", 200, weights(500, 500), set()),
        ("ai-medium", 220, weights(500, 500), {"test_share"}),
        ("ai-high", 100, weights(500, 500), set()),
        (
            "ai-high",
            1000,
            weights(950, 50),
            set(),
        ),  # the other 980 buckets are divided, the share stays declared
        ("ai-high", 120, weights(500, 500), {"test_share"}),
        ("ai-high", 200, weights(250, 250, 250, 250), set()),
        ("standard", 1000, weights(10, 990), set()),
    ],
)
def test_shares__of_all_units__stay_in_the_policys_bounds(policy, traffic, arms, expected):
    assert codes(replace(DESIGN, traffic=traffic, variants=arms), policy) == expected


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("12345", "key_all_digits"),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "key_like_uuid"),
        ("3f2504e04f8911d39a0c0305e82c3301", "key_like_uuid"),
        ("Upper", "key_invalid"),
        ("", "key_invalid"),
        ("-x", "key_invalid"),
        ("a" * 129, "key_invalid"),
        ("a\n", "key_invalid"),
        *((word, "key_reserved") for word in sorted(RESERVED_KEYS)),
    ],
)
def test_key__that_reads_as_something_else__is_refused(key, code):
    assert [problem.code for problem in key_problems(key)] == [code]


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        (True, {"boolean"}),
        (1, {"integer", "float"}),
        (1.5, {"float"}),
        ("x", {"string"}),
        ({}, {"object"}),
        (None, set()),
        ([], set()),
    ],
)
def test_value__by_flag_type__fits_only_its_own(value, fits):
    assert {
        t for t in ("boolean", "string", "integer", "float", "object") if value_fits(value, t)
    } == fits


def ramp(*shares: int) -> list[dict[str, int]]:
    return [{"share": share, "hours": 24} for share in shares]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"ramp": ramp(10, 10, 1000)}, "ramp_not_rising", "ramp[1].share"),
        ({"ramp": ramp(200, 50, 1000)}, "ramp_not_rising", "ramp[1].share"),
        ({"ramp": ramp(10, 500)}, "ramp_end", "ramp[1].share"),
        ({"ramp": ramp(1, 1000)}, "ramp_step_too_small", "ramp[0].share"),
        ({"ramp": ramp(10, 11, 1000)}, "ramp_step_too_small", "ramp[1].share"),
        (
            {"ramp": ramp(10, 40, 1000), "variants": weights(980, 20)},
            "ramp_step_too_small",
            "ramp[0].share",
        ),
        ({"ramp": [{"share": 10, "hours": "long"}]}, "ill_formed", "ramp[0].hours"),
    ],
)
def test_ramp__that_may_not_be__is_named_with_its_place(change, code, field):
    found = {
        (p.code, p.field)
        for p in problems(replace(DESIGN, **change), RULES["standard"], for_launch=True)
    }

    assert (code, field) in found


def test_ramp__rising_to_the_planned_share__has_no_problem():
    assert codes(replace(DESIGN, ramp=ramp(10, 50, 200, 1000))) == set()
    assert codes(replace(DESIGN, traffic=300, ramp=ramp(300))) == set()


def test_ramp__beside_a_dark_launch__a_step_into_the_reserved_buckets_is_refused():
    """At 100 % the dark launch's twenty buckets are all that is left: 98 % is already everybody."""
    whole = replace(DESIGN, traffic=1000, ramp=ramp(10, 980, 1000), policy_key="ai-low")

    assert "ramp_step_too_small" in codes(whole, "ai-low")
