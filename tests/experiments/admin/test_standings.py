"""Lists are ordered by kept standings, which are right whatever changed, and cost the same among
few and many.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.models import AnalysisRun
from analytics.selectors.cards import cards
from analytics.services.analysis import standings
from experiments.core.clock import utc_now
from experiments.models import Experiment, Flag, Standing, Touch, UrgentStop
from experiments.services.life import lifecycle
from tests.analytics.admin.states import cases, put
from tests.experiments.admin.test_list import _live


def _kept(experiment: Experiment) -> tuple[str, int]:
    standings.refresh(utc_now())
    row = Standing.objects.get(pk=experiment.pk)
    return row.state, row.urgency


def _said(experiment: Experiment) -> tuple[str, int]:
    card = cards([Experiment.objects.get(pk=experiment.pk)], utc_now(), whole=False)[experiment.pk]
    return str(card.state), int(card.urgency)


def _changes(owner, row: Experiment):
    """Everything that a card rests on, changed one after the other."""
    run = AnalysisRun.objects.filter(experiment=row)
    yield lambda: run.update(masked=True)
    yield lambda: run.update(masked=False, failed_at=utc_now())
    yield lambda: Flag.objects.filter(key=row.flag_id).update(enabled=False)
    yield lambda: Flag.objects.filter(key=row.flag_id).update(enabled=True)
    stop = {"actor_kind": "person", "actor_label": "ada", "reason": "it burns", "at": utc_now()}
    yield lambda: UrgentStop.objects.create(experiment=row, **stop)
    yield lambda: UrgentStop.objects.filter(experiment=row).update(settled_at=utc_now())
    yield lambda: Experiment.objects.filter(pk=row.pk).update(
        planned_end=utc_now() + timedelta(days=1)
    )
    yield lambda: row.iterations.update(ended_at=utc_now())
    yield lambda: Experiment.objects.filter(pk=row.pk).update(status="paused", pause_cause="harm")
    yield lambda: Experiment.objects.filter(pk=row.pk).update(status="archived")


def test_standing__whatever_changes__is_what_the_card_says(owner):
    row = _live(owner, "Winner", "promote")
    seen = [_kept(row)]
    for change in _changes(owner, row):
        change()
        assert _kept(row) == _said(row)
        seen.append(_kept(row))
    assert len(set(seen)) >= 7
    assert not Touch.objects.exists()


@pytest.mark.parametrize("case", cases()[::7], ids=str)
def test_standing__in_each_state__is_what_the_card_says(owner, simple, case):
    row = put(case, simple)
    assert _kept(row) == _said(row)


def test_standing__time_alone__changes_it(owner, simple):
    row = lifecycle.start(owner, utc_now(), experiment_id=simple.pk)
    before = _kept(row)
    due = Standing.objects.get(pk=row.pk).due_at
    assert abs((due - utc_now()) - timedelta(hours=24)) < timedelta(minutes=1)
    standings.refresh(due + timedelta(seconds=1))
    row = Standing.objects.get(pk=row.pk)
    assert (before[0], row.state) == ("just started", "no data")


def test_standing__that_another_process_keeps__is_known_all_the_same(owner, monkeypatch):
    row = _live(owner, "Harmful", "keep", verdict="breach")
    monkeypatch.setattr(standings, "_is_mine", lambda: False)
    found = standings.refresh(utc_now())
    assert found[row.pk].urgency == _said(row)[1]
    assert Touch.objects.exists() and not Standing.objects.exists()


def test_overview__among_many__reads_as_few_rows_as_among_few(browser, owner):
    client = browser("dmitri")
    for number in range(14):
        _live(owner, f"Calm {number}", "keep")
    client.get("/admin/")
    few = _rows_read(client)
    for number in range(14, 40):
        _live(owner, f"Calm {number}", "keep")
    client.get("/admin/")
    assert _rows_read(client) == few


def _rows_read(client) -> tuple[int, int]:
    """Queries of a page, and the runs whose documents it reads."""
    read = []

    def count(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if "analysis_runs" in sql and context["cursor"].rowcount > 0:
            read.append(context["cursor"].rowcount)
        return result

    with connection.execute_wrapper(count), CaptureQueriesContext(connection) as queries:
        assert client.get("/admin/").status_code == 200
    return len(queries), sum(read)
