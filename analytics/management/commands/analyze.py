"""``manage.py analyze KEY``: analyse an experiment now and print what came out. Never a look."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.core.ground.encoding import plain
from analytics.core.stats.exploring.omnibus import Omnibus
from analytics.management.geo_text import geo_lines
from analytics.management.scan_text import scan_lines
from analytics.selectors import geo
from analytics.selectors.cards import card_of
from analytics.selectors.results import ComparisonView, MetricRow, ResultsView, view_of
from analytics.selectors.scans import ScanView, scan_of
from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.scanning import scan
from analytics.services.ingest.drain import drain_now
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.figures import moment, p_is_short, p_short
from experiments.selectors.experiments import resolve

SHARES = ("proportion",)
SECONDS_TO_DRAIN = 30.0
"""Exposures queued on this host are stored first, for at most so long."""
RARE = 0.02
"""Below this a rate is rare."""


class Command(BaseCommand):
    help = "Analyse an experiment and print its arms, metrics, shares and guardrails. Spends nothing: it is never a look."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="Key, name, id or UUID of the experiment.")
        parser.add_argument("--json", action="store_true", help="The whole result as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            now = utc_now()
            waiting = drain_now(now, SECONDS_TO_DRAIN)
            now = utc_now()
            run = analyse(resolve(options["key"]).pk, now=now)
        except AssayError as refusal:
            raise CommandError(str(refusal)) from refusal
        pilot = geo.view_of(run)
        if pilot is not None:
            self.stdout.write(as_json(pilot) if options["json"] else "\n".join(geo_lines(pilot)))
            return
        scan(run.experiment_id, now=now)
        view, found = view_of(run), scan_of(run.iteration, masked=run.masked)
        if options["json"]:
            self.stdout.write(as_json(view, found, waiting))
        else:
            self.stdout.write(
                "\n".join(
                    [
                        *lines_of(view, card_of(run.experiment, now).sentence),
                        *scan_lines(found),
                        *_waiting(waiting),
                    ]
                )
            )


def _waiting(lines: int) -> list[str]:
    """What is not counted yet."""
    return (
        [
            f"{lines:,} queued exposures of this host are not stored yet, so they are not counted here."
        ]
        if lines
        else []
    )


def as_json(
    view: ResultsView | geo.GeoView, found: ScanView | None = None, waiting: int = 0
) -> str:
    """The whole of it; of what was scanned too, under ``scan``; ``exposures_waiting`` are queued on
    this host and not counted.
    """
    scanned: dict[str, object] = (
        {} if found is None else {"scan": plain(found), "exposures_waiting": waiting}
    )
    return json.dumps(
        plain(dataclasses.asdict(view)) | scanned, indent=2, ensure_ascii=False, default=str
    )


def lines_of(view: ResultsView, card: str) -> list[str]:
    """The result as a person reads it; ``card`` is the sentence that every page says."""
    lines = [f"{view.experiment}, iteration {view.iteration}, data up to {moment(view.as_of)}", ""]
    lines += [f"  {'arm':<24}{'units':>10}{'exposures':>12}{'planned':>10}"]
    lines += [
        f"  {arm.name[:23]:<24}{arm.units:>10,}{arm.exposures:>12,}{arm.expected_share:>10.1%}{'  control' if arm.is_control else ''}"
        for arm in view.arms
    ]
    lines += ["", *_health(view)]
    if view.masked:
        lines += ["", "Results are masked and decisions blocked: " + view.masked_why]
    names = {arm.key: arm.name for arm in view.arms}
    several = Counter(
        c.adjustment
        for metric in view.metrics
        for c in metric.comparisons
        if c.adjusted_p is not None
    )
    for metric in view.metrics:
        lines += ["", *_metric(metric, names, several)]
    return [*lines, "", card]


def _health(view: ResultsView) -> list[str]:
    srm = view.srm
    lines = []
    if srm is not None:
        said = (
            f"cannot say: {srm.reason}" if srm.p is None else f"{p_is_short(srm.p)} ({srm.verdict})"
        )
        lines.append(f"Shares (SRM): {said}")
    return [
        *lines,
        *(
            f"{finding.severity}: {finding.evidence}. {finding.what_to_do}"
            for finding in view.findings
        ),
    ]


def _metric(metric: MetricRow, names: Mapping[str, str], several: Mapping[str, int]) -> list[str]:
    window = (
        "until the data cut" if metric.window_hours is None else f"within {metric.window_hours} h"
    )
    lines = [f"{metric.key} ({metric.role}, {metric.kind}, {window}; {metric.direction} is better)"]
    lines += [
        f"  {names.get(arm.arm, arm.arm)[:23]:<24}n {arm.n:>9,}   {shown(metric, arm.mean)}"
        for arm in metric.arms
    ]
    for against in metric.comparisons:
        lines += _comparison(metric, against, names.get(against.arm, against.arm), several)
    if metric.omnibus is not None:
        lines.append(f"  all arms together (decides nothing): {_omnibus(metric.omnibus)}")
    lines += [f"  guardrail on {v.arm}: {v.verdict} ({v.reason})" for v in metric.guardrails]
    return lines


def _omnibus(all_arms: Omnibus) -> str:
    if all_arms.p is None:
        return f"cannot say, {all_arms.reason}"
    return f"χ² = {all_arms.chi2:.4g} on {all_arms.df} df, {p_is_short(all_arms.p)}"


def _comparison(
    metric: MetricRow, against: ComparisonView, arm: str, several: Mapping[str, int]
) -> list[str]:
    if against.difference is None:
        return [f"  control vs {arm}: cannot say, {against.reason}"]
    rates = f"{shown(metric, against.control_mean)} vs {shown(metric, against.mean)}"
    interval = (
        ""
        if against.low is None or against.high is None
        else f" [{signed(metric, against.low)}, {signed(metric, against.high)}]"
    )
    lift = "" if against.lift is None else f", lift {against.lift:+.1%}"
    p = "p cannot be said" if against.p is None else p_is_short(against.p)
    alone = against.adjusted_p is None or several.get(against.adjustment, 0) < 2
    adjusted = (
        ""
        if alone or against.adjusted_p is None
        else f", {against.adjustment} {p_short(against.adjusted_p)}"
    )
    level = "" if against.level is None else f" at {against.level:.1%}"
    difference = f"{signed(metric, against.difference)}{interval}{level}"
    fixed = f"  control vs {arm}: {rates}, difference {difference}{lift}, {p}{adjusted}: {against.verdict}"
    return [
        fixed,
        _cuped(metric, against),
        _sequential(metric, against),
        *(f"    {note}" for note in against.notes),
    ]


def _cuped(metric: MetricRow, against: ComparisonView) -> str:
    """What is left once each unit's past is taken out."""
    cuped = against.cuped
    if (
        cuped is None
        or cuped.difference is None
        or cuped.low is None
        or cuped.high is None
        or cuped.p is None
    ):
        return f"    with covariates (CUPED): cannot say, {against.cuped_reason}"
    interval = f"[{signed(metric, cuped.low)}, {signed(metric, cuped.high)}]"
    saved = "" if cuped.saved is None else f", {cuped.saved:.1%} of the variance taken out"
    notes = "".join(f"; {note}" for note in cuped.notes)
    return f"    {cuped.method}: difference {signed(metric, cuped.difference)} {interval}, {p_is_short(cuped.p)}{saved}{notes}"


def _sequential(metric: MetricRow, against: ComparisonView) -> str:
    """What may be read however often one looks."""
    always = against.always
    if always is None:
        return f"    sequential: cannot say, {against.always_reason}"
    changed = (
        "; the effect changed over time: the interval is the present one alone"
        if always.effect_changed
        else ""
    )
    interval = f"[{signed(metric, always.interval.low)}, {signed(metric, always.interval.high)}]"
    return f"    sequential (valid at any time): {interval}, {p_is_short(always.p)}{changed}"


def shown(metric: MetricRow, value: float | None) -> str:
    """A mean as text: rates in percent."""
    if value is None:
        return "cannot say"
    return (
        f"{value:.{_decimals(metric)}%}".replace("%", " %")
        if metric.kind in SHARES
        else f"{value:.4g}"
    )


def signed(metric: MetricRow, value: float) -> str:
    """A difference as text: of rates in percentage points."""
    return (
        f"{100 * value:+.{_decimals(metric)}f} p.p." if metric.kind in SHARES else f"{value:+.4g}"
    )


def _decimals(metric: MetricRow) -> int:
    """Rates are read to hundredths of a percent, rare ones to thousandths: .573 and .884 % are not
    .6 and .9.
    """
    return 3 if all((arm.mean or 0.0) < RARE for arm in metric.arms) else 2
