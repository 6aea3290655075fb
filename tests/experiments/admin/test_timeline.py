"""Notes on the timeline: put by anybody, drawn on charts, taken back by their author alone."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from experiments.admin import days_section
from experiments.models import ChangeLogEntry, TimelineNote
from experiments.selectors.timeline_notes import for_experiment
from tests.experiments.admin.conftest import page, url

INCIDENT = {
    "kind": "incident",
    "first_day": "2026-06-01",
    "last_day": "2026-06-02",
    "text": "the provider was slow",
}


def test_mark__by_a_viewer__stands_on_the_timeline_and_in_the_history(browser, draft):
    text = browser("victor").post(url(draft, "mark"), INCIDENT, follow=True).content.decode()
    assert "the provider was slow" in text and "01 Jun 2026 to 02 Jun 2026" in text
    assert ChangeLogEntry.objects.get(action="note_put").actor_label.startswith("Victor")


def test_mark__on_all_experiments__stands_on_another_too(browser, draft, simple):
    browser("victor").post(url(draft, "mark"), INCIDENT)
    browser("victor").post(
        url(draft, "mark"), INCIDENT | {"text": "Black Friday", "everywhere": "1"}
    )
    assert [note.text for note in for_experiment(simple)] == ["Black Friday"]
    assert len(for_experiment(draft)) == 2
    assert (
        for_experiment(draft, first=date(2026, 6, 3))
        == []
        == for_experiment(draft, last=date(2026, 5, 31))
    )


WRONG = [
    {"kind": "sofa"},
    {"text": ""},
    {"text": "x" * 501},
    {"first_day": ""},
    {"first_day": "June"},
    {"last_day": "2026-05-01"},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_mark__what_is_no_note__is_refused(browser, draft, wrong):
    browser("victor").post(url(draft, "mark"), INCIDENT | wrong)
    assert not TimelineNote.objects.exists()


def test_unmark__by_its_author_alone__and_it_stays_in_the_history(browser, draft):
    browser("victor").post(url(draft, "mark"), INCIDENT)
    note = TimelineNote.objects.get()
    assert browser("ada").post(url(draft, f"mark/{note.pk}/remove")).status_code == 403
    assert for_experiment(draft) == [note]
    browser("victor").post(url(draft, f"mark/{note.pk}/remove"))
    assert for_experiment(draft) == []
    assert "note withdrawn" in browser("victor").get(page(draft, "history")).content.decode()


def test_marks__are_drawn_on_the_days_of_the_charts(draft, browser):
    class View:
        days = tuple(days_section_day(date(2026, 6, 1) + timedelta(days=i)) for i in range(3))

    browser("victor").post(url(draft, "mark"), INCIDENT | {"first_day": "2026-05-30"})
    assert days_section.marks(draft, View) == [
        (float(date(2026, 6, 1).toordinal()), "incident, 2026-05-30: the provider was slow")
    ]
    View.days = View.days[:1]
    assert days_section.marks(draft, View) == ()


def days_section_day(day: date):
    from analytics.core.series import SeriesDay

    return SeriesDay(day, {})
