"""What a design must be: well-formed at any time, and fit to launch under its policy.

Each rule answers with problems, never raises; the field names are those of the doors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from zoneinfo import ZoneInfo

from experiments.core.design import allocation
from experiments.core.design.breakdowns import parse_breakdowns
from experiments.core.design.design import Design, DesignMetric, DesignVariant, parse_thresholds
from experiments.core.design.margins import margin_problem
from experiments.core.design.policies import PolicyRules
from experiments.core.errors import InvalidInput, Problem
from experiments.core.exact_numbers import inexact
from experiments.core.life.ramping import parse_ramp, percent
from experiments.core.targeting.conditions import parse_conditions, segments_in
from experiments.core.types import (
    DARK_BUCKETS,
    JSON,
    THOUSANDTHS,
    DarkMode,
    FlagType,
    GuardrailAction,
    GuardrailRule,
    MetricKind,
    MetricRole,
    Origin,
)
from experiments.core.units import check_unit_type

RESERVED_KEYS = frozenset({
    "analyze", "batch", "blockers", "conversions", "costs", "get-variant", "history", "metrics", "new", "none", "null",
    "offline-evaluations", "pause", "promote", "ramp", "record-result", "report", "resume", "start", "status", "stop", "summary",
})  # fmt: skip
"""Words that follow /experiments/ in the doors' paths; no experiment goes by one of them."""
_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")
_VARIANT_KEY = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}")

MOST_GRACE_SECONDS = 600
"""A longer wait than a browser's or a queue's means that clients should send the time."""


def problems(design: Design, rules: PolicyRules, *, for_launch: bool) -> list[Problem]:
    """Everything wrong with a design; a draft need only be well-formed, a launch must be whole."""
    found = [*key_problems(design.key), *_well_formed(design)]
    if for_launch:
        found += [*_launch(design, rules)]
    return found


def key_problems(key: str) -> list[Problem]:
    """Whether an experiment may go by this key: it must never read as an id, a UUID or a path."""
    if _KEY.fullmatch(key) is None:
        message = f"key {key[:64]!r}: expected 1 to 128 of a-z, 0-9 and . _ -, beginning with a letter or digit"
        return [_problem("key_invalid", message, "key")]
    if key.isdigit():
        return [
            _problem(
                "key_all_digits", f"key {key}: all digits would read as an id; add a letter", "key"
            )
        ]
    if _UUID.fullmatch(key):
        return [_problem("key_like_uuid", f"key {key}: would read as a UUID; take a name", "key")]
    if key in RESERVED_KEYS:
        return [
            _problem(
                "key_reserved",
                f"key {key}: a word that the API uses in its paths; take another",
                "key",
            )
        ]
    return []


def _problem(code: str, message: str, field: str) -> Problem:
    return Problem(code, message, field)


# ---- at any time


def _well_formed(design: Design) -> Iterator[Problem]:
    unit = check_unit_type(design.unit_type)
    if unit is not None:
        yield unit
    yield from _parses(design)
    if not 1 <= design.traffic <= THOUSANDTHS:
        yield _problem(
            "traffic_range",
            f"traffic is {design.traffic} thousandths of all units; expected 1 to {THOUSANDTHS}",
            "traffic",
        )
    if not _zone_exists(design.time_zone):
        yield _problem(
            "time_zone_unknown",
            f"time zone {design.time_zone!r} does not exist; take one like Europe/Berlin",
            "time_zone",
        )
    if design.dark_mode not in list(DarkMode):
        yield _problem(
            "dark_mode_unknown",
            f"dark mode {design.dark_mode!r}: expected {' or '.join(DarkMode)}",
            "dark_mode",
        )
    if not 0 <= design.arrival_grace_seconds <= MOST_GRACE_SECONDS:
        message = f"arrival_grace_seconds is {design.arrival_grace_seconds}; expected 0 to {MOST_GRACE_SECONDS}"
        yield _problem("arrival_grace_range", message, "arrival_grace_seconds")
    yield from _levels(design)
    yield from _variants(design)
    yield from _exact(design)
    if design.budget_micro is not None and design.budget_micro <= 0:
        yield _problem(
            "budget_range",
            f"a budget cap is above 0 USD micros, found {design.budget_micro}",
            "budget_micro",
        )
    for metric in design.metrics:
        yield from _metric(metric)


def _parses(design: Design) -> Iterator[Problem]:
    documents: tuple[tuple[Callable[[JSON], object], JSON], ...] = (
        (parse_conditions, design.targeting),
        (parse_thresholds, design.offline_thresholds),
        (parse_ramp, design.ramp),
        (parse_breakdowns, design.breakdowns),
    )
    for read, document in documents:
        try:
            read(document)
        except InvalidInput as error:
            yield _problem("ill_formed", error.message, error.field)
    known = design.segments if isinstance(design.segments, dict) else {}
    for key in sorted(segments_in(design.targeting) - known.keys()):
        yield _problem(
            "segment_unknown",
            f"targeting: there is no segment {key[:80]!r}; make it first",
            "targeting",
        )


def _zone_exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not found, a folder, or a path that leads out
        return False
    return True


def _levels(design: Design) -> Iterator[Problem]:
    for name, text, low in (
        ("confidence_level", design.confidence_level, 0.5),
        ("power", design.power, 0.0),
    ):
        try:
            inside = low < float(text) < 1
        except ValueError:
            inside = False
        if not inside:
            yield _problem(
                f"{name}_range", f"{name} is {text}; expected a number between {low:g} and 1", name
            )


def _variants(design: Design) -> Iterator[Problem]:
    for index, variant in enumerate(design.variants):
        path = f"variants[{index}]"
        if _VARIANT_KEY.fullmatch(variant.key) is None:
            message = f"variant key {variant.key[:64]!r}: expected 1 to 128 letters, digits, dots, dashes and underscores"
            yield _problem("variant_key_invalid", message, f"{path}.key")
        if isinstance(variant.weight, bool) or not 0 <= variant.weight <= THOUSANDTHS:
            yield _problem(
                "weight_range",
                f"variant {variant.key}: weight {variant.weight}; expected 0 to {THOUSANDTHS}",
                f"{path}.weight",
            )
    for name, values in (
        ("key", [v.key for v in design.variants]),
        ("name", [v.name for v in design.variants]),
    ):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            yield _problem(
                f"variant_{name}_twice", f"two variants have the {name} {twice[0]!r}", "variants"
            )


def _exact(design: Design) -> Iterator[Problem]:
    """Numbers that clients would round; each of a variant's values and of the targeting's."""
    documents = [(v.served, f"variants[{index}].value") for index, v in enumerate(design.variants)]
    for document, path in [*documents, (design.targeting, "targeting")]:
        message = inexact(document, path)
        if message is not None:
            yield _problem("number_inexact", message, path)


def _metric(metric: DesignMetric) -> Iterator[Problem]:
    path = f"metrics.{metric.key}"
    if metric.role == MetricRole.GUARDRAIL.value:
        yield from _guardrail(metric, path)
    if metric.mde is not None and not metric.mde > 0:
        yield _problem(
            "mde_range",
            f"{metric.key}: the smallest effect worth finding must be above 0, found {metric.mde:g}",
            f"{path}.mde",
        )
    if (
        metric.kind == MetricKind.PROPORTION.value
        and metric.baseline is not None
        and not 0 <= metric.baseline <= 1
    ):
        yield _problem(
            "baseline_range",
            f"{metric.key}: a share's baseline lies between 0 and 1, found {metric.baseline:g}",
            f"{path}.baseline",
        )
    if metric.baseline_sd is not None and metric.baseline_sd < 0:
        yield _problem(
            "baseline_sd_range",
            f"{metric.key}: a standard deviation is never negative",
            f"{path}.baseline_sd",
        )
    if metric.adjusted and metric.kind in (MetricKind.QUANTILE.value, MetricKind.DURATION.value):
        message = f"{metric.key}: covariates cannot adjust a {metric.kind}; let raw values decide"
        yield _problem("adjusted_kind", message, f"{path}.adjusted")
    yield from _worth(metric, path)
    yield from _required_improvement(metric, path)


def _worth(metric: DesignMetric, path: str) -> Iterator[Problem]:
    """Money belongs to an outcome that adds up over units, and only the primary metric's gain
    pays.
    """
    if metric.worth_micro is None:
        return
    if metric.role != MetricRole.PRIMARY.value:
        yield _problem(
            "worth_role",
            f"{metric.key}: only the primary metric's outcome is worth money",
            f"{path}.worth_micro",
        )
    if metric.kind in (MetricKind.QUANTILE.value, MetricKind.DURATION.value):
        yield _problem(
            "worth_kind",
            f"{metric.key}: a {metric.kind} does not add up to money",
            f"{path}.worth_micro",
        )
    if metric.worth_micro <= 0:
        message = f"{metric.key}: one unit of the outcome is worth more than 0 USD micros, found {metric.worth_micro}"
        yield _problem("worth_range", message, f"{path}.worth_micro")


def _guardrail(metric: DesignMetric, path: str) -> Iterator[Problem]:
    found = margin_problem(
        metric.kind, metric.direction, metric.margin, metric.margin_kind, baseline=metric.baseline
    )
    if found is not None:
        yield _problem(
            found.code, f"guardrail {metric.key}: {found.message}", f"{path}.{found.field}"
        )
    if metric.rule and metric.rule not in list(GuardrailRule):
        yield _problem(
            "guardrail_rule_unknown",
            f"guardrail {metric.key}: rule {metric.rule!r}; expected {' or '.join(GuardrailRule)}",
            f"{path}.rule",
        )
    if metric.action and metric.action not in list(GuardrailAction):
        message = f"guardrail {metric.key}: action {metric.action!r}; expected one of {', '.join(GuardrailAction)}"
        yield _problem("guardrail_action_unknown", message, f"{path}.action")


def _required_improvement(metric: DesignMetric, path: str) -> Iterator[Problem]:
    """d0 at or above the expected effect would leave a power of 2.5 %: chance alone decides."""
    expected = expected_effect(metric)
    if metric.required_improvement < 0:
        yield _problem(
            "d0_negative",
            f"{metric.key}: the required improvement is never negative",
            f"{path}.required_improvement",
        )
    if (
        expected is not None
        and metric.required_improvement > 0
        and metric.required_improvement >= expected * _ROUNDING
    ):
        message = (
            f"{metric.key}: the required improvement {metric.required_improvement:g} is not below the expected effect {expected:g}; "
            "such a test would almost never promote"
        )
        yield _problem("d0_too_large", message, f"{path}.required_improvement")


_ROUNDING = 1 - 1e-9
"""A tenth of .2 is not quite .02 in binary; equal means equal."""


def expected_effect(metric: DesignMetric) -> float | None:
    """The planned effect in the metric's own units; ``None`` when a relative one has no baseline to
    stand on.
    """
    if metric.mde is None:
        return None
    if metric.mde_kind == "absolute":
        return metric.mde
    return None if metric.baseline is None else abs(metric.mde * metric.baseline)


# ---- for a launch


def _launch(design: Design, rules: PolicyRules) -> Iterator[Problem]:
    if design.origin == Origin.LIVE.value:
        yield from _values_fit_the_flag(design)
    broken = list(_split(design))
    yield from broken
    if not broken:
        yield from _shares(design, rules)
        yield from _ramp(design, rules)


def _split(design: Design) -> Iterator[Problem]:
    if len(design.variants) < 2:
        yield _problem(
            "too_few_variants",
            f"{design.key} has {len(design.variants)} variant(s); at least two are compared",
            "variants",
        )
    controls = [variant.key for variant in design.variants if variant.is_control]
    if len(controls) != 1:
        yield _problem(
            "one_control", f"exactly one variant is the control, found {len(controls)}", "variants"
        )
    zero = [variant.key for variant in design.variants if variant.weight <= 0]
    if zero:
        yield _problem(
            "zero_weight",
            f"no units would get {', '.join(zero)}: give a weight or remove the variant",
            "variants",
        )
    total = sum(variant.weight for variant in design.variants)
    if design.variants and total != THOUSANDTHS:
        yield _problem(
            "weights_sum",
            f"the variants' weights sum to {total} thousandths; expected {THOUSANDTHS}",
            "variants",
        )


def _shares(design: Design, rules: PolicyRules) -> Iterator[Problem]:
    weights = [variant.weight for variant in design.variants]
    held = allocation.counts(weights, allocation.main_buckets(design.traffic, _reserved(rules)))
    empty = [
        variant.key for variant, count in zip(design.variants, held, strict=True) if count == 0
    ]
    if empty:
        yield _problem(
            "traffic_too_small",
            f"at {design.traffic} thousandths of all units, {', '.join(empty)} would get no bucket",
            "traffic",
        )
    if rules.dark_launch and len(design.test_arms) > DARK_BUCKETS:
        yield _problem(
            "too_many_arms",
            f"a dark launch has room for {DARK_BUCKETS} test arms, found {len(design.test_arms)}",
            "variants",
        )
    for variant, share in zip(
        design.variants, allocation.counts(weights, design.traffic), strict=True
    ):
        yield from _share(variant, share, rules)


def _share(variant: DesignVariant, share: int, rules: PolicyRules) -> Iterator[Problem]:
    """The policy's bounds are shares of all units: traffic times weight, in whole thousandths."""
    if variant.is_control and share < rules.min_control:
        message = f"control {variant.key} gets {percent(share)} of all units; the policy wants at least {percent(rules.min_control)}"
        yield _problem("control_share", message, "traffic")
    if not variant.is_control and not rules.min_test <= share <= rules.max_test:
        allowed = " to ".join(percent(bound) for bound in sorted({rules.min_test, rules.max_test}))
        message = f"test arm {variant.key} gets {percent(share)} of all units; the policy allows {allowed}"
        yield _problem("test_share", message, "traffic")


def _ramp(design: Design, rules: PolicyRules) -> Iterator[Problem]:
    """Steps rise to the planned share; the policy's bounds are about the last of them."""
    try:
        shares = [0, *(step.share for step in parse_ramp(design.ramp))]
    except InvalidInput:
        return  # said already
    for index, (before, share) in enumerate(pairwise(shares)):
        yield from _ramp_step(design, rules, index, before, share)
    if shares[1:] and shares[-1] != design.traffic:
        message = f"the last ramp step is {percent(shares[-1])}; expected the planned share, {percent(design.traffic)}"
        yield _problem("ramp_end", message, f"ramp[{len(shares) - 2}].share")


def _ramp_step(
    design: Design, rules: PolicyRules, index: int, before: int, share: int
) -> Iterator[Problem]:
    """A step brings every arm a bucket; without one there would be nothing new to compare."""
    path, step = f"ramp[{index}].share", f"ramp step {index + 1} ({percent(share)})"
    if share <= before:
        yield _problem(
            "ramp_not_rising",
            f"{step} comes after {percent(before)}; each step is larger than the one before",
            path,
        )
        return
    weights, reserved = [variant.weight for variant in design.variants], _reserved(rules)
    was, now = (
        allocation.counts(weights, allocation.main_buckets(one, reserved))
        for one in (before, share)
    )
    empty = [
        variant.key
        for variant, less, more in zip(design.variants, was, now, strict=True)
        if more <= less
    ]
    if empty:
        yield _problem(
            "ramp_step_too_small",
            f"{step} brings {', '.join(empty)} no bucket; take a larger step",
            path,
        )


def _reserved(rules: PolicyRules) -> int:
    """Buckets that a dark launch keeps beside the main ones."""
    return 2 * DARK_BUCKETS if rules.dark_launch else 0


def _values_fit_the_flag(design: Design) -> Iterator[Problem]:
    if not design.flag_key:
        yield _problem(
            "flag_missing",
            f"{design.key} has no flag; issue one, so that code has a key to ask for",
            "flag",
        )
        return
    for index, variant in enumerate(design.variants):
        if not value_fits(variant.served, design.flag_type):
            message = f"variant {variant.key}: flag {design.flag_key} is of type {design.flag_type}, its value is {variant.served!r:.80}"
            yield _problem("value_type", message, f"variants[{index}].value")


def value_fits(value: JSON, flag_type: str) -> bool:
    """Whether a value is of a flag's type; a boolean is no number, a whole number is a float
    too.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    return {
        FlagType.BOOLEAN.value: isinstance(value, bool),
        FlagType.STRING.value: isinstance(value, str),
        FlagType.INTEGER.value: whole,
        FlagType.FLOAT.value: whole or isinstance(value, float),
        FlagType.OBJECT.value: isinstance(value, dict),
    }.get(flag_type, False)
