"""The list of experiments: the most urgent first, what each row says, and how little it asks of the
database.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.models import AnalysisRun
from experiments.admin.urgent import clock, dots
from experiments.core.cards import Reading
from experiments.core.clock import utc_now
from experiments.core.types import Status
from experiments.models import Experiment, Iteration
from experiments.services.drafts import drafts
from tests.experiments.admin.conftest import ai_spec

LIST = "/admin/experiments/experiment/"


def _live(
    owner, name: str, kind: str, *, verdict: str = "safe", masked: bool = False
) -> Experiment:
    """A running experiment whose newest run came to this."""
    now = utc_now()
    row = drafts.create_experiment(owner, now, spec=ai_spec(name))
    Experiment.objects.filter(pk=row.pk).update(
        status=Status.RUNNING, start_ts=now - timedelta(days=2)
    )
    iteration = Iteration.objects.create(
        experiment=row,
        number=1,
        design={},
        design_sha256="",
        policy_rules={},
        traffic=1000,
        began_at=now,
        started_at=now,
    )
    AnalysisRun.objects.create(
        experiment=row,
        iteration=iteration,
        computed_at=now,
        data_cut=now,
        masked=masked,
        totals={"arms": [{"key": "control", "name": "Control", "units": 50}]},
        verdicts={"guardrails": [{"key": "complained", "arm": "friendly", "verdict": verdict}]},
        readiness={
            "kind": kind,
            "rule": f"what {name} says",
            "items": [],
            "clock_sentence": "9 of 14 days",
            "clock": _CLOCK,
        },
    )
    return row


_CLOCK = {"weeks": 2, "days": 9, "per_weekday": [2, 2, 1, 1, 1, 1, 1]}


def _names(page: str) -> list[str]:
    return re.findall(r'<span class="strong">([^<]+)</span>', page)


def test_list__the_most_urgent_first(browser, owner, draft):
    _live(owner, "Calm", "keep")
    _live(owner, "Winner", "promote")
    _live(owner, "Torn", "escalate")
    _live(owner, "Unbelievable", "promote", masked=True)
    _live(owner, "Harmful", "keep", verdict="breach")
    page = browser("olivia").get(LIST).content.decode()
    assert _names(page) == ["Harmful", "Winner", "Torn", "Unbelievable", "Calm", draft.name]
    assert "9 of 14 days" in page
    assert "winner, promoted by itself" in page
    assert 'aria-label="Complained: breach"' in page


def test_list__waiting_for_me__is_what_the_overview_counts(browser, owner, draft):
    _live(owner, "Calm", "keep")
    _live(owner, "Torn", "escalate")
    olivia, viewer = browser("olivia"), browser("victor")
    assert set(_names(olivia.get(LIST + "?queue=me").content.decode())) == {"Torn", draft.name}
    assert _names(viewer.get(LIST + "?queue=me").content.decode()) == []
    overview = olivia.get("/admin/").content.decode()
    assert '<span class="as-badge warn">2</span>' in overview
    assert "<strong>Decide:</strong> Stop it, keep it running, or promote anyway" in overview


@pytest.mark.parametrize("word", ["hypothesis", "prd_text", "tags"])
def test_search__has_this_been_tried__looks_into_texts(browser, draft, simple, word):
    Experiment.objects.filter(pk=draft.pk).update(
        **{word: ["quokka"] if word == "tags" else "the quokka did it"}
    )
    assert _names(browser("victor").get(LIST + "?q=quokka").content.decode()) == [draft.name]


def test_list__more_rows__ask_the_database_no_more_often(browser, owner):
    olivia = browser("olivia")
    counts = []
    for number in range(3):
        for one in range(1 + 4 * number):
            _live(owner, f"Row {number} {one}", "keep")
            drafts.create_experiment(owner, utc_now(), spec=ai_spec(f"Draft {number} {one}"))
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert olivia.get(LIST).status_code == 200
        counts.append(len(asked))
    assert counts[1] == counts[2], counts
    assert counts[2] <= 40


@pytest.mark.parametrize(
    ("lacking", "said"), [(("Saturday",), "Saturday missing"), (("A", "B", "C", "D"), "")]
)
def test_clock__few_weekdays_missing__names_them(lacking, said):
    assert clock(Reading(days=(9, 14), weekdays=lacking)) == ("9 of 14 days", said)


def test_dots__more_than_five_guardrails__worst_first_and_the_rest_counted():
    said = Reading(
        guardrails={
            "a": "safe",
            "b": "unknown",
            "Complaints": "breach",
            "d": "safe",
            "e": "safe",
            "f": "safe",
        }
    )
    found = dots(said)
    assert [one.sign for one in found] == ["✗", "?", "✓", "✓", "+2"]
    assert found[0].title == "Complaints: breach"
    assert clock(said) == clock(None) == ("", "")
