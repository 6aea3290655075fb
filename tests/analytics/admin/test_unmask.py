"""Behind the mask: for data scientists, with a reason, written down, shown once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from analytics.selectors import results
from experiments.admin import results_section
from experiments.models import ChangeLogEntry, Iteration
from tests.analytics.admin.test_results import _expose, _measured, running, url  # noqa: F401  # a fixture
from tests.experiments.admin.conftest import page

DAY = timedelta(days=1)


@pytest.fixture
def masked(browser, running):
    _expose(running, {"Control": 600, "Friendly": 300})
    browser("olivia").post(url(running, "analyse"))
    return running


def test_unmask__a_data_scientist_with_a_reason__sees_the_numbers_and_is_written_down(
    browser, masked
):
    dmitri = browser("dmitri")
    assert url(masked, "unmask") in dmitri.get(page(masked, "results")).content.decode()
    asked = dmitri.get(url(masked, "unmask")).content.decode()
    assert "cannot be believed" in asked and 'id="metric-csat"' not in asked
    answer = dmitri.post(url(masked, "unmask"), {"reason": "is it the cache?"})
    assert 'id="metric-csat"' in answer.content.decode() and "no-store" in answer["Cache-Control"]
    line = ChangeLogEntry.objects.get(action="results_unmasked")
    assert (line.actor_label, line.reason, line.experiment_id) == (
        "Dmitri",
        "is it the cache?",
        masked.pk,
    )
    assert 'id="metric-csat"' not in dmitri.get(page(masked, "results")).content.decode()


def test_unmask__without_a_reason__shows_nothing(browser, masked):
    answer = browser("dmitri").post(url(masked, "unmask"), {"reason": " "})
    assert answer.status_code == 400 and 'id="metric-csat"' not in answer.content.decode()
    assert not ChangeLogEntry.objects.filter(action="results_unmasked").exists()


def test_unmask__is_offered_to_data_scientists_alone(browser, masked):
    assert (
        url(masked, "unmask") not in browser("olivia").get(page(masked, "results")).content.decode()
    )


def test_metrics__planned_before_or_after_the_launch__say_so(browser, owner):
    experiment = _measured(owner, 120)
    browser("olivia").post(url(experiment, "analyse"))
    text = browser("victor").get(page(experiment, "results")).content.decode()
    assert "as registered" in text and "amended on day" not in text


def test_metrics__planned_later__name_the_day(browser, owner):
    experiment = _measured(owner, 120)
    browser("olivia").post(url(experiment, "analyse"))
    view = results.latest(experiment)
    row = replace(view.metrics[0], key="later", role="secondary")
    iteration = Iteration.objects.get(experiment=experiment)
    ChangeLogEntry.objects.create(
        at=iteration.started_at + 2.5 * DAY, actor_kind="user", actor_label="x", action="metrics_planned", object_type="experiment",
        object_id="1", object_label="x", experiment=experiment, after=["primary: csat v1", "secondary: later v2"],
    )  # fmt: skip
    found = {
        block.row.key: block.amended
        for block in results_section.blocks(experiment, replace(view, metrics=(*view.metrics, row)))
    }
    assert (found["later"], found["minutes"]) == (3, None)
