"""The page behind a number: totals, arithmetic, SQL and versions; masked where the results are."""

from __future__ import annotations

import pytest
from django.db import connection

from analytics.models import Look
from analytics.readings.shown_work import shown_work
from analytics.selectors import results
from tests.analytics.admin.test_results import _expose, _measured, running, url  # noqa: F401  # a fixture
from tests.experiments.admin.conftest import page


def test_work__page_shows_totals_arithmetic_cut_engine_and_sql(browser, owner):
    experiment = _measured(owner, 120)
    browser("olivia").post(url(experiment, "analyse"))
    key = results.latest(experiment).primary.key
    client = browser("victor")
    assert (
        url(experiment, f"work/{key}") in client.get(page(experiment, "results")).content.decode()
    )
    text = client.get(url(experiment, f"work/{key}")).content.decode()
    for said in (
        "Totals",
        "Σy / n",
        "Data cut",
        "engine ",
        "SELECT",
        "the unit&#x27;s own",
        "Stored: difference <strong>2</strong>",
    ):
        assert said.replace("&#x27;", "'") in text.replace("&#x27;", "'")
    assert not Look.objects.exists()


def test_work__arithmetic_from_stored_totals__comes_to_the_stored_difference(browser, owner):
    experiment = _measured(owner, 120)
    browser("olivia").post(url(experiment, "analyse"))
    shown = shown_work(experiment, results.latest(experiment).primary.key)
    [one] = shown.work
    found = {step.what: step.value for step in one.steps}
    assert found["difference"] == pytest.approx(one.stored.difference)


def test_work__sql_run_as_written__gives_the_units_of_the_totals(browser, owner):
    experiment = _measured(owner, 120, past=False)
    browser("olivia").post(url(experiment, "analyse"))
    shown = shown_work(experiment, results.latest(experiment).primary.key)
    with connection.cursor() as cursor:
        cursor.execute(shown.statements[0])
        exposed = [
            dict(zip([c.name for c in cursor.description], row, strict=True))["exposed"]
            for row in cursor.fetchall()
        ]
    assert sorted(exposed) == sorted(arm.exposed for arm in shown.arms)


def test_work__masked__has_no_totals(browser, running):
    _expose(running, {"Control": 600, "Friendly": 300})
    browser("olivia").post(url(running, "analyse"))
    text = browser("victor").get(url(running, "work/csat")).content.decode()
    assert (
        "Results are masked." in text and "Comes to" not in text and "<h2>Totals</h2>" not in text
    )


def test_work__before_an_analysis_or_of_another_metric__is_not_found(browser, running):
    client = browser("victor")
    assert client.get(url(running, "work/csat")).status_code == 404
    _expose(running, {"Control": 300, "Friendly": 310})
    browser("olivia").post(url(running, "analyse"))
    assert client.get(url(running, "work/other")).status_code == 404


def test_work__takes_few_queries(browser, running, django_assert_max_num_queries):
    _expose(running, {"Control": 300, "Friendly": 310})
    browser("olivia").post(url(running, "analyse"))
    client = browser("victor")
    with django_assert_max_num_queries(40):
        client.get(url(running, "work/csat"))
