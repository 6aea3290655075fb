"""What the nightly scan finds beside the verdicts: effects that wear, segments that differ, inputs
that drift, experiments that interact.

Everything here is for reading: it masks nothing, spends nothing and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from analytics.core.ground.observed import Observed
from analytics.core.ground.totals import NOTHING, Totals
from analytics.core.kinds import kind_of
from analytics.core.stats.exploring.drift import Drift, edges_of, find_drift
from analytics.core.stats.exploring.interactions import ALERT_AT, Interaction, Pair, interactions
from analytics.core.stats.exploring.novelty import Drawing, Novelty, draw, find_novelty
from analytics.core.stats.exploring.poststratification import Stratified, Stratum, post_stratify
from analytics.core.stats.exploring.segments import Segments, compare_segments
from analytics.core.stats.multiplicity import benjamini_hochberg
from experiments.core.figures import counted, p_is

Weight = Literal["info", "yellow", "red"]
Source = Literal["covariates", "embedding_stats"]
WEEK = timedelta(days=7)
DIFFER_AT = 0.05
"""Adjusted p of Cochran's Q at or below which segments are said to differ."""

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "interaction": (
        "Read each effect within the other experiment's control before believing either.",
        "Let one of them end first, or plan both into one shared layer, where no unit meets two.",
    ),
    "novelty": (
        "Run longer before promoting: what lasts is the later effect.",
        "Hold the winner against its holdback after promotion.",
    ),
    "learning": ("Run longer before calling it no effect: units are still learning.",),
    "segments": (
        "Plan an experiment of its own for the segment in question: this finding decides nothing.",
    ),
    "drift": (
        "Compare what the model is fed with the first week: a new source, language, client or campaign?",
        "Evaluate offline again on fresh data before trusting a promotion.",
    ),
}


@dataclass(frozen=True, slots=True)
class ScanFinding:
    """One thing worth knowing: a stable code, its severity, the evidence in words and numbers, and
    what one may do.
    """

    code: str
    severity: Weight
    evidence: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BreakdownResult:
    """The primary metric of one arm by the declared values of a covariate; ``adjusted_p`` of Q over
    all breakdowns asked.
    """

    by: str
    metric: str
    arm: str
    found: Segments
    adjusted_p: float | None


@dataclass(frozen=True, slots=True)
class ByStrata:
    """The primary metric of one arm as if both arms had the same mix of a declared covariate;
    stands beside raw and CUPED.
    """

    by: str
    metric: str
    arm: str
    found: Stratified


@dataclass(frozen=True, slots=True)
class Wearing:
    """Whether the effect of one arm on a metric wears off; differences oriented so that more is
    better.
    """

    metric: str
    arm: str
    found: Novelty


@dataclass(frozen=True, slots=True)
class SinceExposure:
    """The effect of one arm on a metric by day since its units' first exposure, to look at; as
    measured, whichever way is better.
    """

    metric: str
    arm: str
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class Baseline:
    """The first week of what is watched, in bins that never move: edges of numbers, or words; and
    how much lies in each.
    """

    source: Source
    name: str
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drifting:
    """What is watched, now against its baseline."""

    baseline: Baseline
    found: Drift


@dataclass(frozen=True, slots=True)
class AskedPair:
    """Two concurrent experiments on a metric that one of them (or both) decides by; ``metric`` is
    its key.
    """

    metric: str
    found: Interaction


@dataclass(frozen=True, slots=True)
class ScanResult:
    """One night's reading of one iteration."""

    findings: tuple[ScanFinding, ...] = ()
    breakdowns: tuple[BreakdownResult, ...] = ()
    wearing: tuple[Wearing, ...] = ()
    drift: tuple[Drifting, ...] = ()
    unsaid: tuple[str, ...] = ()
    since: tuple[SinceExposure, ...] = ()
    strata: tuple[ByStrata, ...] = ()


def read_breakdowns(
    metric: str,
    kind: str,
    control: str,
    tables: Mapping[str, Mapping[str, Mapping[str, Observed]]],
    alpha: float,
) -> tuple[BreakdownResult, ...]:
    """Every test arm by every declared covariate; ``tables``: covariate → value → arm → totals.

    A value without totals in both arms is left out.
    """
    compare = kind_of(kind).compare
    found: list[tuple[str, str, Segments]] = []
    for by, values in tables.items():
        arms = dict.fromkeys(arm for met in values.values() for arm in met if arm != control)
        for arm in arms:
            both = {
                value: (met[control], met[arm])
                for value, met in values.items()
                if control in met and arm in met
            }
            if both:
                found.append((by, arm, compare_segments(both, alpha, compare)))
    adjusted = benjamini_hochberg([one.heterogeneity.p for _, _, one in found])
    return tuple(
        BreakdownResult(by, metric, arm, one, q)
        for (by, arm, one), q in zip(found, adjusted, strict=True)
    )


def read_strata(
    metric: str,
    kind: str,
    control: str,
    tables: Mapping[str, Mapping[str, Mapping[str, Observed]]],
    whole: Mapping[str, Observed],
    alpha: float,
) -> tuple[ByStrata, ...]:
    """Every test arm post-stratified by every declared covariate, at ``alpha`` shared between the
    arms; ``whole`` totals every unit.

    Units of no declared value are a stratum of their own, so that all units count. Only for one
    number a unit.
    """
    tests = [arm for arm in whole if arm != control]
    if kind_of(kind).form != "unit" or control not in whole or not tests:
        return ()
    read = kind_of(kind).read
    way: Literal["mean", "proportion"] = "proportion" if kind_of(kind).sizing == "rate" else "mean"

    def strata(values: Mapping[str, Mapping[str, Observed]], arm: str) -> list[Stratum]:
        pair = (control, arm)
        told = {
            v: [read(met[one]).alone if one in met else NOTHING for one in pair]
            for v, met in values.items()
        }
        rest = [
            read(whole[one]).alone - _sum(met[place] for met in told.values())
            for place, one in enumerate(pair)
        ]
        return [Stratum(value, *met) for value, met in told.items()] + [Stratum(OTHERS, *rest)]

    return tuple(
        ByStrata(
            by,
            metric,
            arm,
            post_stratify(strata(values, arm), alpha / len(tests), kind=way, shares="sampled"),
        )
        for by, values in tables.items()
        for arm in tests
    )


OTHERS = "others"
"""The stratum of units whose covariate has no declared value, or is not known."""


def _sum(parts: Iterable[Totals]) -> Totals:
    return sum(parts, NOTHING)


def read_wearing(
    metric: str, better: str, control: str, contrasts: Mapping[str, Totals], alpha: float
) -> tuple[Wearing, ...]:
    """Every test arm's contrasts (first week − later, per unit) against control's, at ``alpha``
    shared between the arms.
    """
    tests = [arm for arm in contrasts if arm != control]
    if control not in contrasts or not tests:
        return ()
    oriented = (
        contrasts if better == "increase" else {arm: t.negated for arm, t in contrasts.items()}
    )
    return tuple(
        Wearing(metric, arm, find_novelty(oriented[control], oriented[arm], alpha / len(tests)))
        for arm in tests
    )


def read_since_exposure(
    metric: str,
    control: str,
    arms: Sequence[str],
    days: Mapping[tuple[str, int], Totals],
    alpha: float,
) -> tuple[SinceExposure, ...]:
    """Every test arm's effect on each day of which there are totals, from day 0 on without a
    gap.
    """
    last = max((day for _, day in days), default=-1)

    def course(arm: str) -> list[Totals]:
        return [days.get((arm, day), NOTHING) for day in range(last + 1)]

    return tuple(
        SinceExposure(metric, arm, draw(course(control), course(arm), alpha))
        for arm in arms
        if arm != control and last >= 0
    )


def baseline_edges(tenths: Sequence[float]) -> tuple[float, ...]:
    """Inner edges of a baseline's bins from its nine deciles and its largest number; none without
    numbers.
    """
    return edges_of(tenths[:-1], tenths[-1]) if tenths else ()


def in_words(baseline: Baseline, met: Mapping[str, int]) -> tuple[int, ...]:
    """Counts of words in a baseline's order; words that it does not know go to its last place,
    which is theirs.
    """
    known = baseline.words[:-1]
    return (
        *(met.get(word, 0) for word in known),
        sum(many for word, many in met.items() if word not in known),
    )


def read_drift(baseline: Baseline, current: Sequence[int]) -> Drifting:
    """What is watched against its first week."""
    return Drifting(baseline, find_drift(list(baseline.counts), list(current)))


def read_pairs(asked: Sequence[tuple[str, Pair]], alpha: float = 0.05) -> tuple[AskedPair, ...]:
    """All pairs of one night, Benjamini–Hochberg over them; (metric, pair) in the given order."""
    found = interactions([pair for _, pair in asked], alpha)
    return tuple(AskedPair(metric, one) for (metric, _), one in zip(asked, found, strict=True))


def findings_of(result: ScanResult) -> tuple[ScanFinding, ...]:
    """What an iteration's own readings say, the weightiest first."""
    found = [
        *(one for wearing in result.wearing if (one := _wearing(wearing)) is not None),
        *(one for breakdown in result.breakdowns if (one := _breakdown(breakdown)) is not None),
        *(one for drifting in result.drift if (one := _drift(drifting)) is not None),
    ]
    return weightiest_first(found)


def weightiest_first(findings: Sequence[ScanFinding]) -> tuple[ScanFinding, ...]:
    """Red, yellow, info; otherwise in the given order."""
    return tuple(sorted(findings, key=lambda one: ("red", "yellow", "info").index(one.severity)))


def pair_findings(pairs: Sequence[AskedPair], experiment: str) -> tuple[ScanFinding, ...]:
    """The alerts of a night that an experiment is part of."""
    alerts = [
        one
        for one in pairs
        if one.found.alert and experiment in (one.found.first, one.found.second)
    ]
    return tuple(_finding("interaction", "red", _interaction(one)) for one in alerts)


def _finding(code: str, severity: Weight, evidence: str) -> ScanFinding:
    return ScanFinding(code, severity, evidence, ACTIONS[code])


def _wearing(one: Wearing) -> ScanFinding | None:
    c = one.found.comparison
    if one.found.says is None or c.difference is None or c.p is None:
        return None
    units = f"{counted(c.control_n + c.treatment_n, 'unit')} followed for two weeks, {p_is(c.p)}"
    if one.found.says == "wears off":
        said = f"{one.metric}, {one.arm}: the gain over control wears off, it was larger in units' first week ({units})"
        return _finding("novelty", "yellow", said)
    said = f"{one.metric}, {one.arm}: the gain over control grows, it was smaller in units' first week ({units})"
    return _finding("learning", "info", said)


def _breakdown(one: BreakdownResult) -> ScanFinding | None:
    h = one.found.heterogeneity
    if one.adjusted_p is None or one.adjusted_p > DIFFER_AT or h.q is None or h.i2 is None:
        return None
    sizes = ", ".join(
        f"{s.key} {s.comparison.difference:+.3g}"
        for s in one.found.segments
        if s.comparison.difference is not None
    )
    numbers = f"Q = {h.q:.3g}, I² = {h.i2:.0%}, adjusted {p_is(one.adjusted_p)}"
    return _finding(
        "segments",
        "info",
        f"{one.metric}, {one.arm}: the effect differs by {one.by} ({sizes}; {numbers})",
    )


def _drift(one: Drifting) -> ScanFinding | None:
    if one.found.verdict not in ("yellow", "red") or one.found.psi is None:
        return None
    n = f"{one.found.n_baseline:,} then, {one.found.n_current:,} in the last week"
    said = f"{one.baseline.name} ({words(one.baseline.source)}): PSI {one.found.psi:.2f} against the first week ({n})"
    return _finding("drift", one.found.verdict, said)


def words(source: str) -> str:
    """A source's name for people."""
    return source.replace("_", " ")


def _interaction(one: AskedPair) -> str:
    i = one.found
    largest = min(i.contrasts, key=lambda contrast: contrast.p)
    return (
        f"{i.first} × {i.second}: on {one.metric}, the effect of {largest.first} is {largest.difference:+.3g} different "
        f"where {largest.second} is served (adjusted {p_is(i.adjusted_p or 0.0)}, alert at {ALERT_AT})"
    )
