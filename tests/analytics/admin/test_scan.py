"""The nightly scan on the experiment's page, breakdowns in its form, and the χ² of all arms."""

from __future__ import annotations

from datetime import timedelta

from analytics.models import AnalysisRun
from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.scanning import scan
from experiments.admin.experiment_reading import read_breakdowns, written_breakdowns
from tests.analytics.services.analysis.test_scanning import LANGUAGE, NOW, freeze, meet, names
from tests.analytics.stores.observed import START, crowd, world
from tests.experiments.admin.conftest import page


def by_language():
    """Treatment gains in one language and loses in the other."""
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
    for arm, again in (("control", 10), ("treatment", 30)):
        for number in range(again):  # of those who applied on the first day already
            w.event(f"{arm}de{number}", "apply", START + timedelta(days=1, hours=3))
    analyse(w.experiment.pk, now=NOW)
    scan(w.experiment.pk, now=NOW)
    return w


def test_results__say_what_the_scan_found_and_what_one_may_do(browser):
    w = by_language()
    text = browser("victor").get(page(w.experiment) + "?tab=results").content.decode()
    assert 'data-code="segments"' in text
    assert "the effect differs by language" in text
    assert "Plan an experiment of its own" in text
    drawn = text.split('aria-label="Effects by segment"')[1].split("</table>")[0]
    assert "By days since exposure" in text
    since = text.split("Difference from control on each day since the first exposure")[1].split(
        "</svg>"
    )[0]
    assert "treatment: +5.00 pp, between" in since
    assert "by strata of language" in text
    assert "<svg" in drawn and drawn.count("language</span>") == 1


def test_results__masked__say_nothing_that_compares_arms(browser):
    w = by_language()
    AnalysisRun.objects.update(masked=True)
    text = browser("victor").get(page(w.experiment) + "?tab=results").content.decode()
    assert "Findings of the night" in text
    assert "differs by language" not in text
    assert "Effects by segment" not in text
    assert "By days since exposure" not in text
    assert "by strata of language" not in text


def test_results__three_arms__the_chi_square_of_all_decides_nothing(browser):
    w = world(arms=("control", "one", "two"))
    freeze(w)
    for arm, applied in (("control", 40), ("one", 60), ("two", 80)):
        crowd(w, arm, 400, START + timedelta(days=1), events={"apply": applied})
    analyse(w.experiment.pk, now=NOW)
    text = browser("victor").get(page(w.experiment) + "?tab=results").content.decode()
    assert "All arms together: χ² = 15.69 on 2 degrees of freedom" in text
    assert "It decides nothing" in text


def test_form__breakdowns_as_lines__round_trip():
    assert read_breakdowns("language: de, en\n\n plan:free,pro ") == [
        {"name": "language", "values": ["de", "en"]},
        {"name": "plan", "values": ["free", "pro"]},
    ]
    assert read_breakdowns(written_breakdowns(LANGUAGE)) == LANGUAGE
