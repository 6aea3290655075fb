"""The ramp in the workplace: declared in the form, seen on the page, moved by people."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from experiments.admin.ramp_form import read_ramp, written_ramp
from experiments.core.errors import InvalidInput
from experiments.core.life.ramping import RampFacts, parse_ramp
from experiments.core.types import SYSTEM, Status
from experiments.models import Experiment, RampStay
from experiments.services.life import ramps
from tests import factories
from tests.experiments.admin.conftest import page, url

STEPS = [{"share": 10, "hours": 24, "units": 500}, {"share": 1000, "hours": 0, "units": 0}]


def running(owner) -> Experiment:
    made = factories.experiment_in(Status.RUNNING, ramp=STEPS)
    Experiment.objects.filter(pk=made.pk).update(owner=owner)
    return made


def test_read_ramp__lines__are_steps_and_come_back_as_lines():
    found = read_ramp("1 %, 24 h, 500 units\n\n 5,5% 48hours \n100 %\n")

    assert found == [
        {"share": 10, "hours": 24, "units": 500},
        {"share": 55, "hours": 48, "units": 0},
        {"share": 1000, "hours": 0, "units": 0},
    ]
    assert read_ramp(written_ramp(found)) == found
    assert (read_ramp(""), written_ramp([])) == ([], "")


@pytest.mark.parametrize("line", ["1", "1 %, soon", "0.25 %", "1 %, -3 h", "1 % 24 h 5 users"])
def test_read_ramp__anything_else__is_refused(line):
    with pytest.raises(InvalidInput, match="Ramp"):
        read_ramp(line)


def test_form__ramp__is_saved_with_the_draft_and_shown_again(browser, people):
    olivia = browser("olivia")
    arms = {
        "v-count": "2",
        "v-0-name": "Control",
        "v-0-weight": "50",
        "v-1-name": "B",
        "v-1-weight": "50",
        "v-control": "0",
    }
    sent = {
        "name": "Ramped",
        "traffic": "100",
        "ramp": "1 %, 24 h, 500 units\n100 %",
        "m-count": "0",
        **arms,
    }

    assert olivia.post("/admin/experiments/experiment/add/", sent).status_code == 302

    made = Experiment.objects.get(name="Ramped")
    assert made.ramp == STEPS
    assert "1 %, 24 h, 500 units\n100 %" in olivia.get(url(made, "edit")).content.decode()
    assert "by steps: 1 %, 100 %" in olivia.get(page(made, "plan")).content.decode()


def test_traffic__ramp__says_where_it_stands_and_who_may_move_it(browser, people):
    made = running(people["olivia"])

    text = browser("olivia").get(page(made, "traffic")).content.decode()
    assert "step 1 of 2" in text
    assert "nothing has been analysed yet" in text
    assert url(made, "ramp/hold") in text
    assert (
        url(made, "ramp/hold") not in browser("victor").get(page(made, "traffic")).content.decode()
    )


def test_hold_and_resume__by_the_owner__are_shown_with_the_reason(browser, people):
    made, olivia = running(people["olivia"]), browser("olivia")

    assert olivia.post(url(made, "ramp/hold"), {"reason": ""}).status_code == 400
    olivia.post(url(made, "ramp/hold"), {"reason": "a holiday"})

    text = olivia.get(page(made, "traffic")).content.decode()
    assert "held by a person" in text
    assert "a holiday" in text
    olivia.post(url(made, "ramp/resume"), {})
    assert not RampStay.objects.get(iteration__experiment=made).held_by


def test_advance__nothing_analysed_yet__says_so_and_goes_nowhere(browser, people):
    made = running(people["olivia"])
    ramps.set_reader(
        lambda _pk, _now: RampFacts(
            parse_ramp(STEPS), 0, 30.0, 900, unknown="nothing has been analysed yet"
        )
    )
    try:
        asked = browser("olivia").get(url(made, "ramp/advance")).content.decode()
        answer = browser("olivia").post(url(made, "ramp/advance"), {"reason": "now"})
    finally:
        ramps.set_reader(None)

    assert "nothing has been analysed yet" in asked
    assert answer.status_code == 409
    assert RampStay.objects.get(iteration__experiment=made).step == 0


def test_page__after_a_step_back__keeps_every_stay_with_its_reason(browser, people):
    made, now = running(people["olivia"]), timezone.now()
    ramps.advance(SYSTEM, now, experiment_id=made.pk, reason="24 hours clean")
    ramps.roll_back(
        SYSTEM, now + timedelta(hours=1), experiment_id=made.pk, reason="errors breached"
    )

    text = browser("olivia").get(page(made, "traffic")).content.decode()

    assert "24 hours clean" in text
    assert text.count("errors breached") >= 2  # why it is held, and why it came back
    assert "went live" in text
