"""The platform's own error rate, from what was stored."""

from __future__ import annotations

import pytest

from analytics.core.ground.encoding import plain
from analytics.core.scans.replay import ReplayResult
from analytics.models import NullReplay as ReplayRow
from analytics.selectors import calibration
from experiments.core.clock import utc_now
from experiments.core.types import Status
from tests.factories import experiment_in

PAGE = "/admin/experiments/experiment/calibration/"


def _split(experiment, metric, found):
    now, iteration = utc_now(), experiment.iterations.get()
    about = {
        "metric_key": metric,
        "metric_version": 1,
        "method": found.method,
        "units": 500,
        "seed": 1,
        "result": plain(found),
    }
    return ReplayRow.objects.create(
        experiment=experiment, iteration=iteration, data_cut=now, computed_at=now, **about
    )


@pytest.fixture
def running(people):
    return experiment_in(Status.RUNNING)


def test_calibration__nothing_stored__says_how_to_begin(browser, people):
    text = browser("victor").get(PAGE).content.decode()
    assert (
        "No control arm has been split yet" in text and "No A/A test has taken a look yet" in text
    )


def test_calibration__each_verdict_in_words_and_the_newest_replay_alone(browser, running):
    _split(running, "calm", ReplayResult("raw", 1000, (), 0.2, 0.03, 0.07, 0.5))
    _split(running, "calm", ReplayResult("raw", 1000, (), 0.05, 0.03, 0.07, 0.5))
    _split(running, "wild", ReplayResult("raw", 1000, (), 0.12, 0.03, 0.07, 0.001))
    _split(running, "thin", ReplayResult("raw", 1000, reason="too few cells"))
    text = browser("victor").get(PAGE).content.decode()
    assert "1 of 2 metrics err as often as promised" in text
    assert (text.count("✓ as promised"), text.count("✗ not"), text.count("? cannot say")) == (
        1,
        1,
        1,
    )
    assert "Too few cells" in text and "20.00 %" not in text


def test_crossings__only_experiments_whose_variants_serve_the_same_count(running):
    assert running.pk not in calibration._same_everywhere()
    running.variants.update(config={"model": "same"})
    assert running.pk in calibration._same_everywhere()
    assert calibration.crossings().tests == 0
