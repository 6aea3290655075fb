"""Who may read ``/metrics``, and that an outage does not hold it up."""

from __future__ import annotations

import dataclasses

import pytest
from django.db import connection
from django.test import Client

from experiments.selectors import serving


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic scrape"}, {"Authorization": "Bearer é"}]
)
def test_metrics__from_elsewhere__want_the_token(headers: dict[str, str], settings, db) -> None:
    for token in ("", "scrape"):
        settings.METRICS_TOKEN = token
        answer = Client(REMOTE_ADDR="203.0.113.7").get("/metrics", headers=headers)
        assert answer.status_code == 401
        assert b"experiment_" not in answer.content


def test_metrics__with_the_token__are_answered_anywhere(settings, db) -> None:
    settings.METRICS_TOKEN = "scrape"
    assert Client(REMOTE_ADDR="203.0.113.7").get("/metrics", headers={"Authorization": "Bearer scrape"}).status_code == 200
    assert Client().get("/metrics").status_code == 401


def test_metrics__through_a_proxy_on_this_machine__are_not_this_machines(settings, db) -> None:
    assert Client().get("/metrics").status_code == 200
    assert Client().get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert Client().get("/metrics").status_code == 401


def test_metrics__while_the_database_is_known_to_be_away__do_not_ask_it(monkeypatch: pytest.MonkeyPatch, db) -> None:
    away = dataclasses.replace(serving.current(), unreachable=True)
    monkeypatch.setattr(serving, "current", lambda: away)

    def refuse(*_: object) -> None:
        raise AssertionError("the database was asked")

    with connection.execute_wrapper(refuse):
        answer = Client().get("/metrics")
    assert answer.status_code == 200
    assert b"assay_stored_totals_up 0.0" in answer.content
