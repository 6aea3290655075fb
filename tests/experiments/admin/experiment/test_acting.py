"""The demo's switch between people: there in the demo, absent elsewhere."""

from __future__ import annotations

import pytest

SWITCH = "/admin/experiments/experiment/act-as/"


def test_act_as__outside_the_demo__is_not_there(browser, settings):
    settings.DEMO = False
    client = browser("olivia")
    assert client.post(SWITCH, {"username": "ada"}).status_code == 404
    assert client.get("/admin/").wsgi_request.user.username == "olivia"
    assert "You act as" not in client.get("/admin/").content.decode()


def test_act_as__in_the_demo__logs_in_as_the_other(browser, settings):
    settings.DEMO = True
    client = browser("olivia")
    answer = client.post(SWITCH, {"username": "dmitri", "next": "/admin/experiments/flag/"})
    assert answer["Location"] == "/admin/experiments/flag/"
    assert client.get("/admin/").wsgi_request.user.username == "dmitri"


def test_act_as__by_get__changes_nothing(browser, settings):
    settings.DEMO = True
    client = browser("olivia")
    assert client.get(SWITCH, {"username": "ada"}).status_code == 405
    assert client.get("/admin/").wsgi_request.user.username == "olivia"


@pytest.mark.parametrize("name", ["root", "", "nobody"])
def test_act_as__somebody_outside_the_cast__is_refused(browser, settings, django_user_model, name):
    settings.DEMO = True
    django_user_model.objects.create_superuser("root", password="x")
    assert browser("olivia").post(SWITCH, {"username": name}).status_code == 404


def test_act_as__next_on_another_site__leads_home(browser, settings):
    settings.DEMO = True
    answer = browser("olivia").post(
        SWITCH, {"username": "ada", "next": "https://elsewhere.example/"}
    )
    assert answer["Location"] == "/admin/"


def test_act_as__without_a_login__leads_to_it(client, settings, people):
    settings.DEMO = True
    assert "/admin/login/" in client.post(SWITCH, {"username": "ada"})["Location"]
