"""A geo pilot's page: the effect read both ways, its past, its periods drawn."""

from __future__ import annotations

import pytest
from django.utils import timezone

from analytics.services.analysis.analysis import analyse
from analytics.services.importing.geo import import_pilot
from experiments.models import Experiment
from tests.analytics.core.stats.did.panels import drawn, organ_donations
from tests.experiments.admin.conftest import page


def imported(actor, whole) -> Experiment:
    done = import_pilot(
        actor,
        timezone.now(),
        key="pilot",
        panel=whole,
        metric="Rate <b>",
        region_label="State",
        source="pilot.csv",
    )
    return Experiment.objects.get(pk=done.experiment_id)


@pytest.fixture
def text_of(browser):
    return lambda experiment: browser("victor").get(page(experiment, "results")).content.decode()


def test_geo_page__before_the_reading__says_it_is_imported(owner, text_of):
    text = text_of(imported(owner, drawn(3)))
    assert "is read within minutes" in text and "No analysis yet" not in text


def test_geo_page__one_treated_region__shows_the_permutation_and_no_other_test(owner, text_of):
    experiment = imported(owner, organ_donations())
    analyse(experiment.pk, now=timezone.now())
    text = text_of(experiment)
    assert "-0.02246" in text and "permutation over 27 placements" in text and "CR2" not in text
    assert "0.19" in text and "Placebo start Q12011" in text and "Q32011 (+0)" in text
    assert "a permutation has no standard error" in text
    assert "Rate &lt;b&gt;" in text and "Rate <b>" not in text


def test_geo_page__ten_regions__shows_each_method_and_draws_intervals(owner, text_of):
    experiment = imported(owner, drawn(3, effect=1.0))
    analyse(experiment.pk, now=timezone.now())
    text = text_of(experiment)
    assert (
        "CR2 with Satterthwaite" in text
        and "wild cluster bootstrap-t (Rademacher, all 1,024)".capitalize()[:10] in text
    )
    assert text.count('<line class="bar') == 7
    assert "below 100 a pilot is read once, at its end" in text


@pytest.mark.parametrize("tab", ["checklist", "plan", "offline", "traffic", "results", "history"])
def test_geo_page__every_tab__opens(owner, browser, tab):
    experiment = imported(owner, drawn(3))
    analyse(experiment.pk, now=timezone.now())
    assert browser("olivia").get(page(experiment, tab)).status_code == 200


def test_geo_page__no_tab_talks_as_if_assay_had_served_it(owner, browser):
    experiment = imported(owner, drawn(3))
    analyse(experiment.pk, now=timezone.now())
    shown = "".join(
        browser("olivia").get(page(experiment, tab)).content.decode()
        for tab in ("plan", "traffic", "health", "wiring")
    )
    assert "Imported: it ran elsewhere. No application has to be connected." in shown
    for text in (
        "as in an A/A test",
        "nothing has been launched yet",
        "as soon as one is due",
        "Lines to paste",
    ):
        assert text not in shown
