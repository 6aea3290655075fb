"""The health tab says what every other place says about the same data, also of what is over or
partly switched off.
"""

from __future__ import annotations

from datetime import timedelta

from analytics.selectors.exposition import health_findings
from analytics.services.analysis.analysis import analyse
from analytics.services.analysis.scanning import scan
from experiments.models import Experiment, Iteration
from tests.analytics.services.analysis.test_scanning import DAY, NOW, freeze, meet, names
from tests.analytics.stores.observed import START, crowd, world
from tests.experiments.admin.conftest import page
from tests.experiments.services.life.test_arm_stops import harmed_one


def test_health__inputs_drifted_at_night__is_said_here_as_in_prometheus(browser, people):
    w = world("drifting")
    freeze(w)
    for prefix, at, language in (
        ("early", START + timedelta(hours=1), "de"),
        ("late", START + 16 * DAY, "en"),
    ):
        for arm in ("control", "treatment"):
            meet(
                w,
                arm,
                names(f"{prefix}{arm}", 300),
                converted=30,
                at=at,
                covariates={"language": language},
            )
    analyse(w.experiment.pk, now=NOW)
    before = browser("victor").get(page(w.experiment, "health")).content.decode()
    assert 'id="finding-drift"' not in before
    scan(w.experiment.pk, now=NOW)
    assert [one.code for one in health_findings() if one.experiment == "drifting"].count(
        "drift"
    ) == 1
    text = browser("victor").get(page(w.experiment, "health")).content.decode()
    assert 'id="finding-drift"' in text and "PSI" in text and "! with care" in text
    assert "Nothing was found that speaks against them" not in text


def test_health__experiment_is_over__announces_no_next_look(browser, people):
    w = world("over_now")
    freeze(w)
    for arm in ("control", "treatment"):
        crowd(w, arm, 200, START + DAY, events={"apply": 30})
    analyse(w.experiment.pk, now=NOW)
    assert (
        "none: the experiment is over"
        not in browser("victor").get(page(w.experiment, "health")).content.decode()
    )
    Iteration.objects.update(ended_at=NOW)
    Experiment.objects.filter(pk=w.experiment.pk).update(status="completed")
    assert (
        "none: the experiment is over"
        in browser("victor").get(page(w.experiment, "health")).content.decode()
    )


def test_shares__that_cannot_be_said__are_neither_none_nor_as_planned(browser, people):
    w = world("one_arm_left")
    freeze(w)
    crowd(w, "control", 200, START + DAY)
    w.iteration.stopped_arms.create(
        variant=w.arms["treatment"], stopped_at=START + DAY, reason="harm"
    )
    analyse(w.experiment.pk, now=NOW)
    health = browser("victor").get(page(w.experiment, "health")).content.decode()
    assert (
        "Sample ratio mismatch" not in health
        and "Whether the shares are as planned cannot be said" in health
    )
    results = browser("victor").get(page(w.experiment, "results")).content.decode()
    assert "shares as planned (SRM)" not in results


def test_results__arm_was_switched_off__say_that_control_was_another_one_then(browser, people):
    w = harmed_one()
    for arm in ("control", "two"):
        crowd(w, arm, 2000, START + 3 * DAY, events={"http_5xx": 40, "apply": 500})
    analyse(w.experiment.pk, now=START + 6 * DAY)
    text = browser("victor").get(page(w.experiment, "results")).content.decode()
    assert text.count("compared with control as it was then") == 2, "a line of each metric"
