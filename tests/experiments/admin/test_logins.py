"""Wrong passwords make the next attempt wait, cost no hash while they wait, are in the log, and end
no session.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from structlog.testing import capture_logs

from experiments.core.clock import utc_now
from experiments.core.login_waits import PAIR
from experiments.models import LoginCount

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"


@pytest.fixture
def olga(db):
    return User.objects.create_user("olga", password="correct horse", is_staff=True)


@pytest.fixture
def clock():
    with time_machine.travel(utc_now(), tick=False) as travelling:
        yield travelling


def attempt(client, password, username="olga", address="203.0.113.9"):
    return client.post(LOGIN, {"username": username, "password": password}, REMOTE_ADDR=address)


def fail(client, times, **named):
    return [attempt(client, f"wrong {n}", **named) for n in range(times)]


def logged_in(answer):
    return answer.status_code == 302


def test_right_password__logs_in_and_remembers_the_address(client, olga):
    assert logged_in(attempt(client, "correct horse"))
    assert LoginCount.objects.get(known=True).subject == "pair:olga|203.0.113.9"


def test_failures__are_in_the_log_without_the_password(client, olga):
    with capture_logs() as lines:
        attempt(client, "a secret typed wrong")
    (line,) = [line for line in lines if line["event"] == "login_failed"]
    assert (line["account"], line["address"]) == ("olga", "203.0.113.9")
    assert "secret" not in str(lines)


def test_after_failures__even_the_right_password_waits_and_the_page_says_how_long(
    client, olga, clock
):
    fail(client, PAIR.free + 2)
    answer = attempt(client, "correct horse")
    assert not logged_in(answer)
    assert b"Try again in" in answer.content
    clock.shift(timedelta(seconds=5))
    assert logged_in(attempt(client, "correct horse"))


def test_refused_attempt__costs_no_hash(client, olga, clock, monkeypatch):
    hashed = []
    monkeypatch.setattr(
        "django.contrib.auth.models.AbstractBaseUser.check_password", lambda *_: hashed.append(1)
    )
    monkeypatch.setattr("django.contrib.auth.models.User.set_password", lambda *_: hashed.append(1))
    fail(client, 40)
    assert len(hashed) <= PAIR.free + 1


def test_unknown_account__waits_just_the_same(client, olga, clock):
    answers = {
        name: [answer.content.count(b"Try again in") for answer in fail(client, 8, username=name)]
        for name in ("olga", "nobody")
    }
    assert answers["olga"] == answers["nobody"]
    assert sum(answers["nobody"]) > 0


def test_storm_from_elsewhere__locks_nobody_out_of_the_address_they_use(client, olga, clock):
    assert logged_in(attempt(client, "correct horse"))
    for n in range(60):
        attempt(client, "wrong", address=f"198.51.100.{n}")
    client.logout()
    assert logged_in(attempt(client, "correct horse"))


def test_storm__from_one_address_makes_that_address_wait(client, olga, clock):
    for n in range(40):
        attempt(client, "wrong", username=f"user{n}")
    assert b"Try again in" in attempt(client, "wrong", username="somebody else").content


def test_open_session__goes_on_through_a_storm(client, olga, clock):
    client.force_login(olga)
    fail(type(client)(), 30)
    assert client.get("/admin/password_change/").status_code in (200, 302)
    assert "_auth_user_id" in client.session


def test_x_forwarded_for__of_a_stranger_changes_nothing(client, olga, clock, settings):
    settings.TRUSTED_PROXIES = ()
    for n in range(PAIR.free + 3):
        client.post(
            LOGIN,
            {"username": "olga", "password": "wrong"},
            REMOTE_ADDR="203.0.113.9",
            HTTP_X_FORWARDED_FOR=f"10.0.0.{n}",
        )
    assert b"Try again in" in attempt(client, "correct horse").content


def test_counts__are_forgotten_after_a_day(client, olga, clock):
    fail(client, 3, username="invented")
    clock.shift(timedelta(hours=25))
    attempt(client, "wrong")
    assert not LoginCount.objects.filter(subject__contains="invented").exists()
