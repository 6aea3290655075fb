"""Why this user: the answer that applications get, with the step that decided."""

from __future__ import annotations

import pytest

from experiments.admin.why_view import read_units
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput
from experiments.core.types import Status
from experiments.selectors import serving
from tests.factories import experiment_in

WHY = "/admin/experiments/experiment/why/"


@pytest.fixture
def shown(browser):
    experiment = experiment_in(Status.RUNNING, "rerank")
    serving.refresh(utc_now())
    return experiment


def test_why__a_unit_in_an_experiment__shows_variant_bucket_and_steps(browser, shown):
    text = browser("victor").get(WHY, {"units": "u1"}).content.decode()
    assert shown.flag_id in text and "bucket" in text
    assert 'aria-label="decided"' in text


def test_why__another_unit_type__says_that_the_unit_is_missing(browser, shown):
    text = browser("victor").get(WHY, {"units": "tenant=acme"}).content.decode()
    assert "unit missing" in text


@pytest.mark.parametrize(
    "sent",
    [
        {"units": "a=1, b"},
        {"units": "u1", "attributes": "[1]"},
        {"units": "u1", "attributes": "{"},
        {"units": "u1", "environment": "x"},
    ],
)
def test_why__what_cannot_be_asked__is_said_beside_the_form(browser, shown, sent):
    answer = browser("victor").get(WHY, sent)
    assert answer.status_code == 400
    assert "This cannot be asked." in answer.content.decode()


def test_read_units__pairs_and_a_single_id():
    assert read_units("u1") == {"user": "u1"}
    assert read_units(" user=u1, tenant =acme=2") == {"user": "u1", "tenant": "acme=2"}
    with pytest.raises(InvalidInput):
        read_units("user=")


@pytest.mark.parametrize("text", ["u1\u00a0", " u1", "user=u1 , tenant=acme", "user= u1"])
def test_read_units__white_space_around_an_id__is_said_and_not_cut_off(text):
    with pytest.raises(InvalidInput, match="white space"):
        read_units(text)
