"""Switching a flag under an experiment: the page says what it touches, and what users get
afterwards.
"""

from __future__ import annotations

from experiments.core.clock import utc_now
from experiments.core.types import Status
from experiments.selectors import serving
from experiments.services.life import lifecycle
from tests.experiments.admin.conftest import page


def _flag_page(experiment, rest: str = "change/") -> str:
    return f"/admin/experiments/flag/{experiment.flag.pk}/{rest}"


def test_switch__names_what_it_touches(browser, owner, simple):
    olivia = browser("olivia")
    assert (
        "Nothing runs on the flag now."
        in olivia.get(_flag_page(simple, "switch/")).content.decode()
    )
    lifecycle.start(owner, utc_now(), experiment_id=simple.pk)
    text = olivia.get(_flag_page(simple, "switch/")).content.decode()
    assert "This stops experiment “Simple” (running)" in text
    assert "the clock does not count" in text


def test_switched_off__flag_experiment_and_list__say_what_users_get(browser, owner, simple):
    row = lifecycle.start(owner, utc_now(), experiment_id=simple.pk)
    serving.refresh(utc_now())
    olivia = browser("olivia")
    assert "50 % get “Friendly”" in olivia.get(page(row)).content.decode()
    olivia.post(_flag_page(simple, "switch/"), {"reason": "the model is down"})
    serving.refresh(utc_now())
    for where in (_flag_page(simple), page(row)):
        assert (
            "The flag is switched off: everybody gets its default."
            in olivia.get(where).content.decode()
        )
    listed = olivia.get("/admin/experiments/experiment/").content.decode()
    assert "is switched off (Olivia" in listed
    assert "flag off" in listed
    assert row.status == Status.RUNNING
