"""How a plan is said: effects and margins with their units, what is out of reach, what would do
instead.
"""

from __future__ import annotations

import math

from analytics.core.planner.inputs import MetricInputs
from experiments.core.figures import counted

_UNITS = {"ms": " ms", "money": "", "points": "", "absolute": ""}

NEEDED = {
    "baseline": "today's rate, mean or quantile (baseline)",
    "sd": "the standard deviation over units (sd)",
    "effect": "the smallest effect worth finding (effect)",
    "margin": "the harm allowed (margin)",
}
"""What a size cannot be computed without, in words."""

LABELS = {
    "baseline": "“Baseline today”",
    "sd": "“Standard deviation”",
    "effect": "“Effect worth finding”",
    "margin": "“Guardrail margin”",
}
"""The same by the labels of the form."""


def number(value: float) -> str:
    """Whole numbers grouped, others to four significant digits."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:,.4g}"


def share(value: float) -> str:
    """A share as per cent, to three significant digits."""
    return f"{_short(100 * value)} %"


def level(metric: MetricInputs, value: float) -> str:
    """A rate as per cent, anything else as a number."""
    return share(value) if metric.is_rate else number(value)


def size_of(metric: MetricInputs, value: float) -> str:
    """An effect or a margin in its own kind, with the sign of what it is: the better way of an
    effect, the worse of a margin.
    """
    up = (metric.better == "increase") == (metric.role != "guardrail")
    sign = "+" if up else "−"
    if metric.relative:
        return f"{sign}{share(abs(value))}"
    if metric.is_rate:
        return f"{sign}{_short(100 * abs(value))} p.p."
    return f"{sign}{number(_rounded(abs(value)))}{_UNITS.get(metric.margin_kind if metric.role == 'guardrail' else 'absolute', '')}"


def chance(value: float) -> str:
    """A power to hundredths, rounded down: what is not certain is not said to be."""
    return f"{math.floor(100 * value + 1e-6) / 100:.2f}"


def question(metric: MetricInputs) -> str:
    """What the metric's units are to answer."""
    if metric.target is None:
        return "shown, without an effect to find"
    if metric.role == "guardrail":
        return f"SAFE within {size_of(metric, metric.target)} when there is no harm"
    return f"find {size_of(metric, metric.target)}{_from_to(metric)}"


def lacking(metric: MetricInputs) -> str:
    """What is missing, in words."""
    return " and ".join(NEEDED[name] for name in metric.lacking)


def weeks(count: int) -> str:
    """1 week, 2 weeks."""
    return f"{count:,} week{'' if count == 1 else 's'}"


def in_reach(metric: MetricInputs, smallest: float, horizon: int) -> str:
    """What the traffic that there is answers."""
    verb = "shows a margin of {} to be kept" if metric.role == "guardrail" else "finds {}"
    return f"in {weeks(horizon)} this traffic {verb.format(size_of(metric, smallest))}"


def events(metric: MetricInputs, safe: int, detect: int) -> str:
    """A guardrail's size as bad events, and the older question beside it."""
    increase = size_of(metric, metric.margin or 0.0)
    return f"as rare events SAFE needs {safe:,} in control; to detect {increase} against zero at power 0.8 takes {detect:,}"


def out_of_reach(
    metric: MetricInputs, *, needed: int | None, horizon: int, smallest: float | None
) -> str:
    """What the horizon can find, and how many weeks the plan needs."""
    verb, thing = ("prove", "margin of ") if metric.role == "guardrail" else ("find", "")
    can = (
        f"you cannot {verb} anything"
        if smallest is None
        else f"you can {verb} {thing and f'a {thing}'}{size_of(metric, smallest)}"
    )
    asked = thing + size_of(metric, metric.target or 0.0)
    takes = f"needs {weeks(needed)}" if needed is not None else "is out of reach without traffic"
    return f"{metric.key}: in {weeks(horizon)} {can}; your {asked} {takes}"


def joint(
    found: float, primary: float | None, guardrails: int, lowest: float | None, control: int
) -> str:
    """What the whole plan achieves at its size."""
    parts = [] if primary is None else [f"the effect is found with power {chance(primary)}"]
    if guardrails and lowest is not None:
        one = guardrails == 1
        parts.append(
            f"{'the required guardrail is' if one else f'each of {guardrails} required guardrails is'} SAFE without harm"
            f" with {'' if one else 'at least '}{chance(lowest)}"
        )
    together = f": together at least {chance(found)}" if len(parts) > 1 or guardrails > 1 else ""
    return f"With {counted(control, 'unit')} in control {' and '.join(parts)}{together}"


def _from_to(metric: MetricInputs) -> str:
    if metric.baseline is None or metric.effect is None:
        return ""
    return f" ({level(metric, metric.baseline)} → {level(metric, metric.baseline + metric.change)})"


def _rounded(value: float) -> float:
    """Four significant digits, whole ones from a thousand on."""
    return round(value) if value >= 1000 else float(f"{value:.4g}")


def _short(value: float) -> str:
    """Three significant digits, whole ones from a hundred on, never an exponent for what people
    read.
    """
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
