"""The timeline of all experiments, the event browser, and two runs beside each other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.models import AnalysisRun
from experiments.core.clock import utc_now
from experiments.core.types import Status
from experiments.models import ChangeLogEntry, Iteration
from experiments.services.people import timeline_notes
from tests.analytics.admin.test_results import _expose, _measured, running, url  # noqa: F401  # a fixture
from tests.factories import experiment_in

LIST = "/admin/experiments/experiment/"


def test_timeline__shows_what_was_served_with_its_bars_and_notes(browser, owner, people):
    live = experiment_in(Status.RUNNING, key="live_one")
    experiment_in(Status.DRAFT, key="only_a_draft")
    timeline_notes.put_note(
        owner, utc_now(), kind="campaign", first_day=utc_now().date(), text="spring sale"
    )
    text = browser("victor").get(f"{LIST}timeline/").content.decode()
    assert live.name in text and 'class="running"' in text and "1 experiment was served" in text
    assert "spring sale" in text and 'class="note"' in text


def test_timeline__what_ended_before_the_span__is_left_out(browser, people):
    old = experiment_in(Status.RUNNING, key="old_one")
    long_ago = utc_now() - timedelta(days=60)
    Iteration.objects.filter(experiment=old).update(
        began_at=long_ago, started_at=long_ago, ended_at=long_ago + timedelta(days=9)
    )
    victor = browser("victor")
    assert (
        "Nothing was served in this span" in victor.get(f"{LIST}timeline/?days=30").content.decode()
    )
    assert "1 experiment was served" in victor.get(f"{LIST}timeline/?days=90").content.decode()
    assert victor.get(f"{LIST}timeline/?days=nonsense").status_code == 200


def test_timeline__more_experiments__no_more_queries(browser, people):
    victor = browser("victor")
    experiment_in(Status.RUNNING, key="one")
    counts = []
    for key in ("", "two", "three"):
        if key:
            experiment_in(Status.RUNNING, key=key)
        with CaptureQueriesContext(connection) as asked:
            victor.get(f"{LIST}timeline/")
        counts.append(len(asked))
    assert counts[0] == counts[1] == counts[2]


def test_events__of_a_day__are_shown_with_units_hashed(browser, owner):
    _measured(owner, 20, past=False)
    victor = browser("victor")
    days = [utc_now().date() - timedelta(days=back) for back in range(7)]
    pages = [
        victor.get(f"{LIST}events/?source=observation&day={day}").content.decode() for day in days
    ]
    assert any("<code>minutes</code>" in page for page in pages)
    assert not any(
        "<code>control-1</code>" in page or "<code>friendly-1</code>" in page for page in pages
    )
    assert all(
        "Nothing of this kind"
        in victor.get(f"{LIST}events/?source=observation&day={day}&kind=other").content.decode()
        for day in days
    )


@pytest.mark.parametrize("query", ["day=yesterday", "experiment=nobody", "day=2026-13-45"])
def test_events__asked_wrongly__say_what_was_wanted(browser, people, query):
    answer = browser("victor").get(f"{LIST}events/?{query}")
    assert answer.status_code == 400 and "This cannot be shown" in answer.content.decode()


def test_compare__one_run__says_when_there_will_be_two(browser, owner):
    experiment = _measured(owner, 120)
    browser("olivia").post(url(experiment, "analyse"))
    assert (
        "There are no two runs yet"
        in browser("victor").get(url(experiment, "compare")).content.decode()
    )


def test_compare__two_runs__say_what_changed(browser, owner):
    experiment = _measured(owner, 120)
    olivia = browser("olivia")
    olivia.post(url(experiment, "analyse"))
    kept = AnalysisRun.objects.get()
    kept.pk, kept.latest, kept.data_cut = None, False, kept.data_cut - timedelta(days=1)
    row = kept.results["metrics"][0]
    for one in row["comparisons"]:
        one["comparison"]["difference"] = 1.25
    kept.save()
    before = ChangeLogEntry.objects.count()
    page = browser("victor").get(url(experiment, "compare")).content.decode()
    assert "+1.25" in page and "+0.75" in page
    swapped = AnalysisRun.objects.get(latest=True).pk
    again = (
        browser("victor")
        .get(url(experiment, "compare"), {"first": swapped, "second": kept.pk})
        .content.decode()
    )
    assert "-0.75" in again
    assert ChangeLogEntry.objects.count() == before


def test_compare__a_masked_run__has_no_numbers(browser, running):
    _expose(running, {"Control": 600, "Friendly": 300})
    browser("olivia").post(url(running, "analyse"))
    kept = AnalysisRun.objects.get()
    kept.pk, kept.latest = None, False
    kept.save()
    page = browser("victor").get(url(running, "compare")).content.decode()
    assert "masked" in page and "Neither run has numbers" in page
    assert (
        browser("victor")
        .get(url(running, "compare"), {"first": "x", "second": "9" * 30})
        .status_code
        == 200
    )
