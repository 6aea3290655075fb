"""The nightly scan end to end: from rows to findings on the page, in the API and on the command
line.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command

from analytics.core.ground.encoding import plain, restored
from analytics.core.report import results as report_results
from analytics.core.report.blocks import Table
from analytics.core.scans.scans import ScanResult
from analytics.models import AiEvent, Assignment, PairScan, Scan
from analytics.selectors import due, scans
from analytics.selectors.reporting.report_facts import facts_of
from analytics.selectors.scans import scan_of
from analytics.selectors.significance import latest_run
from analytics.services.analysis.scanning import scan, scan_pairs
from analytics.tasks import scan_due
from experiments.models import Experiment
from tests.analytics.stores.observed import START, World, day_exists, plan, world

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = START + 22 * DAY
LANGUAGE = [{"name": "language", "values": ["de", "en"]}]


def meet(
    of: World,
    arm: str,
    names: list[str],
    *,
    converted: int,
    at: datetime = START + HOUR,
    **fields: Any,
) -> None:
    """Units meet an arm; the first so many of them apply an hour later."""
    Assignment.objects.bulk_create(
        Assignment(
            user_id=name,
            unit_type="user",
            experiment=of.experiment,
            iteration=of.iteration,
            variant=of.arms[arm],
            assigned_ts=at,
            exposure_ts=at,
            **fields,
        )
        for name in names
    )
    then = at + HOUR
    day_exists("ai_events", then)
    applied = {
        "event_type": "apply",
        "environment": "production",
        "origin": "live",
        "unit_type": "user",
    }
    AiEvent.objects.bulk_create(
        AiEvent(
            event_date=then.date(),
            event_id=f"{of.experiment.key}{name}",
            ts=then,
            received_ts=then,
            user_id=name,
            **applied,
        )
        for name in names[:converted]
    )


def names(prefix: str, many: int) -> list[str]:
    return [f"{prefix}{n}" for n in range(many)]


def freeze(of: World, **changes: object) -> None:
    """The design as launched, with these changes."""
    Experiment.objects.filter(pk=of.experiment.pk).update(**changes)
    of.experiment.refresh_from_db()
    plan(of, "primary", "apply_conversion")


def test_scan_pairs__an_effect_only_where_the_other_is_served__alerts_both_alone() -> None:
    one, two, alone = world("one"), world("two"), world("alone", unit_type="tenant")
    for of in (one, two, alone):
        freeze(of)
    for mine, theirs, applied in (
        ("control", "control", 40),
        ("control", "treatment", 40),
        ("treatment", "control", 40),
        ("treatment", "treatment", 90),
    ):
        units = names(f"{mine}-{theirs}-", 200)
        meet(one, mine, units, converted=applied)
        meet(two, theirs, units, converted=0)

    row = scan_pairs(now=NOW)
    scan(one.experiment.pk, now=NOW)
    scan(alone.experiment.pk, now=NOW)

    view, other = scan_of(one.iteration, masked=False), scan_of(alone.iteration, masked=False)
    assert len(row.pairs) == 1
    assert view is not None and [f.code for f in view.findings] == ["interaction"]
    assert "one × two" in view.findings[0].evidence or "two × one" in view.findings[0].evidence
    assert other is not None and other.pairs == ()
    hidden = scan_of(one.iteration, masked=True)
    assert hidden is not None and hidden.findings == () == hidden.pairs


def test_scan__declared_language_differs__and_its_mix_has_shifted_since_the_first_week() -> None:
    w = world()
    freeze(w, breakdowns=LANGUAGE)
    for arm, language, applied, first, last in (
        ("control", "de", 30, 300, 20),
        ("control", "en", 30, 100, 300),
        ("treatment", "de", 90, 300, 20),
        ("treatment", "en", 10, 100, 300),
    ):
        meet(
            w,
            arm,
            names(f"{arm}{language}", first),
            converted=applied,
            covariates={"language": language},
        )
        later = START + 16 * DAY
        meet(
            w,
            arm,
            names(f"{arm}{language}later", last),
            converted=0,
            at=later,
            covariates={"language": language, "rare": 1},
        )

    result = restored(scan(w.experiment.pk, now=NOW).result, ScanResult)

    found = {finding.code: finding for finding in result.findings}
    assert set(found) == {"segments", "drift"}
    assert "language" in found["segments"].evidence and found["segments"].severity == "info"
    assert found["drift"].severity == "red" and found["drift"].actions
    assert result.wearing == () and "wears off" in result.unsaid[0]
    [asked] = result.breakdowns
    assert [line.key for line in asked.found.segments] == ["de", "en"]
    assert {one.baseline.name: one.found.verdict for one in result.drift} == {
        "language": "red",
        "rare": None,
    }


def test_scan__the_next_night__holds_the_baseline_of_the_first() -> None:
    w = world()
    freeze(w)
    meet(w, "control", names("early", 400), converted=0, covariates={"age": 30})
    meet(w, "control", names("late", 400), converted=0, at=START + 16 * DAY, covariates={"age": 30})
    first = restored(scan(w.experiment.pk, now=NOW).result, ScanResult)
    Assignment.objects.filter(user_id__startswith="early").update(covariates={"age": 99})

    second = restored(scan(w.experiment.pk, now=NOW + DAY).result, ScanResult)

    assert first.drift[0].baseline == second.drift[0].baseline
    assert second.drift[0].found.verdict == "green"


def test_scan_due__twice_in_a_night__scans_once__and_again_the_next() -> None:
    w, over = world("goes_on"), world("is_over")
    for of in (w, over):
        freeze(of)
    over.iteration.ended_at = START + 20 * DAY
    over.iteration.save(update_fields=["ended_at"])
    for moment in (NOW + 3 * HOUR, NOW + 4 * HOUR, NOW + 12 * HOUR, NOW + DAY + 3 * HOUR):
        with mock.patch("analytics.tasks.utc_now", return_value=moment):
            scan_due()

    assert Scan.objects.filter(iteration=w.iteration).count() == 2
    assert Scan.objects.filter(iteration=over.iteration).count() == 1
    assert PairScan.objects.count() == 2
    assert due.to_scan((NOW + DAY).date()) == []


def test_analyze__prints_what_the_scan_found() -> None:
    w = world()
    freeze(w, breakdowns=LANGUAGE)
    for arm, language, applied in (
        ("control", "de", 30),
        ("control", "en", 60),
        ("treatment", "de", 90),
        ("treatment", "en", 10),
    ):
        meet(
            w,
            arm,
            names(f"{arm}{language}", 200),
            converted=applied,
            covariates={"language": language},
        )
    out = StringIO()
    with mock.patch("analytics.management.commands.analyze.utc_now", return_value=NOW):
        call_command("analyze", w.experiment.key, stdout=out)
    assert "the effect differs by language" in out.getvalue()
    assert "Plan an experiment of its own" in out.getvalue()


def test_scan__what_treatment_gained_in_the_first_week_is_gone_in_the_second__novelty() -> None:
    w = world()
    freeze(w)
    plan(w, "secondary", "bookings")
    for arm, early in (("control", 0), ("treatment", 150)):
        meet(w, arm, names(arm, 200), converted=0)
        for n in range(early):
            w.event(f"{arm}{n}", "booked", START + 2 * DAY)

    result = restored(scan(w.experiment.pk, now=NOW).result, ScanResult)

    assert [finding.code for finding in result.findings] == ["novelty"]
    assert result.wearing[0].found.comparison.difference == pytest.approx(150 / 200 / 7)


def test_scan__the_effect_by_day_since_exposure__stands_on_the_day_when_units_acted() -> None:
    w = world()
    freeze(w)
    plan(w, "secondary", "bookings")
    for arm, early in (("control", 50), ("treatment", 150)):
        meet(w, arm, names(arm, 200), converted=0)
        for n in range(early):
            w.event(f"{arm}{n}", "booked", START + 2 * DAY + timedelta(hours=1))

    scan(w.experiment.pk, now=NOW)

    found = scans.latest(w.experiment, 1, masked=False)
    assert found is not None
    [(arm, points)] = scans.since_exposure(found, "bookings")
    assert arm == "treatment"
    # Where nobody did anything there is no spread, and nothing to say.
    assert [(one.day, one.units, one.difference) for one in points] == [
        (0, 400, None),
        (1, 400, None),
        (2, 400, 0.5),
    ]
    hidden = scans.latest(w.experiment, 1, masked=True)
    assert hidden is not None
    assert scans.since_exposure(hidden, "bookings") == []


def test_scan__declared_strata__stand_beside_raw_on_the_command_line_in_the_api_and_in_the_report() -> (
    None
):
    """Rates are alike within each language; treatment met more speakers of the one that applies
    more often.
    """
    w = world()
    freeze(w, breakdowns=LANGUAGE)
    for arm, language, many, applied in (
        ("control", "de", 300, 30),
        ("control", "en", 100, 60),
        ("treatment", "de", 150, 15),
        ("treatment", "en", 250, 150),
    ):
        meet(
            w,
            arm,
            names(f"{arm}{language}", many),
            converted=applied,
            covariates={"language": language},
        )
    meet(w, "control", names("unknown", 10), converted=2)
    meet(w, "treatment", names("unheard", 10), converted=2)
    out = StringIO()
    with mock.patch("analytics.management.commands.analyze.utc_now", return_value=NOW):
        call_command("analyze", w.experiment.key, stdout=out)
    assert "apply_conversion, treatment post-stratified by language: " in out.getvalue()
    assert "(de 55%, en 43%, others 2%)" in out.getvalue()
    found = scan_of(w.iteration, masked=False)
    assert found is not None
    (stratified,) = found.result.strata
    assert stratified.found.comparison.difference == pytest.approx(0, abs=1e-9)
    assert plain(found)["result"]["strata"][0]["by"] == "language"
    run = latest_run(w.experiment)
    assert run is not None
    facts = replace(facts_of(run), masked=False)
    tables = [block for block in report_results.results(facts) if isinstance(block, Table)]
    assert any("by strata of language" in row for table in tables for row in table.rows)
    masked = scan_of(w.iteration, masked=True)
    assert masked is not None
    assert masked.result.strata == ()
