"""Results as files: what the page shows, safe to open, masked where the page is."""

from __future__ import annotations

import csv
import io
import json

from experiments.models import Variant
from tests.analytics.admin.test_results import _expose, _measured, running, url  # noqa: F401  # a fixture
from tests.experiments.admin.conftest import page


def _file(browser, experiment, kind: str):
    answer = browser("victor").get(f"/admin/experiments/experiment/{experiment.pk}/results.{kind}")
    assert answer.status_code == 200 and answer["Content-Disposition"].startswith("attachment")
    return answer.content.decode()


def _lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv__has_a_line_for_every_arm_and_reading(browser, owner):
    experiment = _measured(owner, 120)
    browser("olivia").post(url(experiment, "analyse"))
    lines = _lines(_file(browser, experiment, "csv"))
    assert [(one["control"], one["reading"]) for one in lines] == [
        ("yes", ""),
        ("no", "fixed"),
        ("no", "sequential"),
        ("no", "cuped"),
    ]
    assert float(lines[1]["difference"]) == 2.0 and float(lines[1]["low"]) < 2 < float(
        lines[1]["high"]
    )


def test_csv__a_metric_named_like_a_formula__is_text(browser, owner):
    experiment = _measured(owner, 60)
    browser("olivia").post(url(experiment, "analyse"))
    run = experiment.analysis_runs.get()
    run.results["metrics"][0]["name"] = "=HYPERLINK(1)"
    run.save(update_fields=["results"])
    assert {one["name"] for one in _lines(_file(browser, experiment, "csv"))} == {"'=HYPERLINK(1)"}


def test_exports__of_masked_results__say_why_and_have_no_number(browser, running):
    _expose(running, {"Control": 600, "Friendly": 300})
    browser("olivia").post(url(running, "analyse"))
    [line] = _lines(_file(browser, running, "csv"))
    assert line["masked"] == "yes" and "did not get their planned shares" in line["cannot_say"]
    assert not any(line[name] for name in ("units", "value", "difference", "low", "p"))
    found = json.loads(_file(browser, running, "json"))["results"]
    assert (found["masked"], found["metrics"], found["readiness"]) == (True, [], [])


def test_json__has_what_the_page_shows(browser, owner):
    experiment = _measured(owner, 60)
    browser("olivia").post(url(experiment, "analyse"))
    found = json.loads(_file(browser, experiment, "json"))
    assert found["version"] == 1
    [row] = found["results"]["metrics"]
    assert row["comparisons"][0]["difference"] == 2.0
    assert {arm["key"] for arm in found["results"]["arms"]} == set(
        Variant.objects.filter(experiment=experiment).values_list("key", flat=True)
    )


def test_exports__links_stand_on_the_tab_and_lead_back_before_any_analysis(browser, running):
    client = browser("victor")
    where = f"/admin/experiments/experiment/{running.pk}/results."
    assert "no analysis yet" in client.get(where + "csv", follow=True).content.decode()
    assert client.get(where + "xml").status_code == 404
    _expose(running, {"Control": 300, "Friendly": 310})
    browser("olivia").post(url(running, "analyse"))
    text = client.get(page(running, "results")).content.decode()
    assert where + "csv" in text and where + "json" in text
