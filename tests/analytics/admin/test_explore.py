"""Exploratory readings: they read the store anew, say that they are no look, and leave nothing
behind.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from analytics.models import AnalysisRun, Assignment, Decision, Look
from analytics.readings.exploring import ExploringChoice, explore
from analytics.selectors import results
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput, NotFound, Refused
from experiments.models import ChangeLogEntry
from tests.analytics.admin.test_results import _expose, _measured, running, url  # noqa: F401  # a fixture


@pytest.fixture
def analysed(browser, owner):
    experiment = _measured(owner, 120)
    browser("olivia").post(url(experiment, "analyse"))
    return experiment


def test_explore__as_planned__comes_to_what_was_stored(analysed, owner):
    found = explore(
        owner, utc_now(), experiment=analysed, reading=ExploringChoice("minutes")
    ).row.comparisons[0]
    stored = results.latest(analysed).primary.comparisons[0]
    assert (found.difference, found.low, found.p) == (stored.difference, stored.low, stored.p)
    assert found.always is None and stored.always is not None


def test_explore__a_cap__changes_the_values_and_not_the_plan(analysed, owner):
    one = explore(
        owner, utc_now(), experiment=analysed, reading=ExploringChoice("minutes", cap=3.0)
    )
    stored = results.latest(analysed).primary
    assert max(arm.mean for arm in one.row.arms) <= 3.0 < max(arm.mean for arm in stored.arms)
    assert one.reading.changes == ["values above 3 count as that"]
    assert results.latest(analysed).primary == stored


def test_explore__a_segment__reads_its_units_alone(analysed, owner):
    for number in range(40):  # of each arm: the forty that took 0 to 9 minutes four times over
        Assignment.objects.filter(user_id__endswith=f"-{number}", experiment=analysed).update(
            covariates={"language": "de"}
        )
    one = explore(
        owner,
        utc_now(),
        experiment=analysed,
        reading=ExploringChoice("minutes", segment=("language", "de")),
    )
    assert [arm.n for arm in one.row.arms] == [40, 40]
    assert one.row.comparisons[0].difference == pytest.approx(2)
    assert one.reading.changes == ["only units with language = de"]
    nobody = explore(
        owner,
        utc_now(),
        experiment=analysed,
        reading=ExploringChoice("minutes", segment=("language", "fr")),
    )
    assert all(arm.n == 0 for arm in nobody.row.arms)


def test_explore__days_before_anybody__has_no_units(analysed, owner):
    long_ago = utc_now().date() - timedelta(days=30)
    one = explore(
        owner, utc_now(), experiment=analysed, reading=ExploringChoice("minutes", last_day=long_ago)
    )
    assert all(arm.n == 0 for arm in one.row.arms)
    assert [against.difference for against in one.row.comparisons] in ([], [None])


@pytest.mark.parametrize(
    ("reading", "refusal"),
    [
        (ExploringChoice("other"), NotFound),
        (ExploringChoice("minutes", window_hours=0), InvalidInput),
        (ExploringChoice("minutes", window_hours=10**6), InvalidInput),
        (ExploringChoice("minutes", cap=-1.0), InvalidInput),
        (ExploringChoice("minutes", segment=("", "de")), InvalidInput),
        (ExploringChoice("minutes", first_day=utc_now().date() + timedelta(days=9)), InvalidInput),
    ],
)
def test_explore__asked_wrongly__is_refused(analysed, owner, reading, refusal):
    with pytest.raises(refusal):
        explore(owner, utc_now(), experiment=analysed, reading=reading)


def test_explore__masked_or_without_an_analysis__is_refused(browser, running, owner):
    with pytest.raises(Refused, match="no analysis yet"):
        explore(owner, utc_now(), experiment=running, reading=ExploringChoice("csat"))
    _expose(running, {"Control": 600, "Friendly": 300})
    browser("olivia").post(url(running, "analyse"))
    with pytest.raises(Refused, match="masked"):
        explore(owner, utc_now(), experiment=running, reading=ExploringChoice("csat"))


def test_page__is_stamped_and_leaves_nothing_behind(browser, analysed):
    before = (
        AnalysisRun.objects.count(),
        Look.objects.count(),
        Decision.objects.count(),
        ChangeLogEntry.objects.count(),
    )
    victor = browser("victor")
    assert (
        url(analysed, "explore")
        in victor.get(f"{url(analysed, 'change')}?tab=results").content.decode()
    )
    text = victor.get(
        url(analysed, "explore"), {"metric": "minutes", "cap": "3", "window_hours": "24"}
    ).content.decode()
    assert (
        "Exploratory, not a look." in text
        and "As planned, for comparison" in text
        and text.count("as registered") == 1
    )
    narrowed = victor.get(
        url(analysed, "explore"), {"metric": "minutes", "segment": "language: de"}
    ).content.decode()
    assert "only units with language = de" in narrowed
    unread = victor.get(url(analysed, "explore"), {"metric": "minutes", "segment": "german"})
    assert unread.status_code == 400 and "a colon and a value" in unread.content.decode()
    wrong = victor.get(url(analysed, "explore"), {"metric": "minutes", "cap": "much"})
    assert wrong.status_code == 400 and "is not a number" in wrong.content.decode()
    assert (
        AnalysisRun.objects.count(),
        Look.objects.count(),
        Decision.objects.count(),
        ChangeLogEntry.objects.count(),
    ) == before
