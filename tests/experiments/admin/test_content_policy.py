"""What browsers may load stands on every answer: pages, refusals, what is not there, what broke,
and data.
"""

from __future__ import annotations

import pytest
from django.test import Client

from config.web.content_policy import HEADER, NOTHING, WORKPLACE
from experiments.admin import timeline_view

LIST = "/admin/experiments/experiment/"


@pytest.mark.parametrize(
    ("who", "address", "status"),
    [
        ("ada", "/admin/", 200),
        (None, "/admin/login/", 200),
        ("victor", f"{LIST}add/", 403),
        ("victor", f"{LIST}999999/edit/", 404),
        ("ada", f"{LIST}events/?day=x", 400),
    ],
)
def test_pages__and_refusals__may_load_our_own_files_alone(
    browser, people, client, who, address, status
):
    answer = (browser(who) if who else client).get(address)
    assert (answer.status_code, answer[HEADER]) == (status, WORKPLACE)


def test_what_broke__has_the_policy_too(browser, people, monkeypatch):
    def broken(*args):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(timeline_view, "served_between", broken)
    victor = browser("victor")
    victor.raise_request_exception = False
    answer = victor.get(f"{LIST}timeline/")
    assert (answer.status_code, answer[HEADER]) == (500, WORKPLACE)
    assert "broken on purpose" not in answer.content.decode()


def test_a_forged_form__is_refused_under_the_policy(people):
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(people["olivia"])
    answer = careful.post(f"{LIST}add/", {"name": "x"})
    assert (answer.status_code, answer[HEADER]) == (403, WORKPLACE)


@pytest.mark.parametrize("address", ["/api/v1/experiments/", "/nowhere", "/readyz"])
def test_data_and_nothing__may_load_nothing(client, people, address):
    assert client.get(address)[HEADER] == NOTHING
