"""`GET …/report`: three formats, a policy that lets nothing in, JSON refusals whatever a browser
accepts.
"""

from __future__ import annotations

import pytest

from analytics.services.analysis.analysis import analyse
from experiments.core.types import Scope
from experiments.models import Experiment
from tests.analytics.services.analysis.test_decisions import MORNING, winner

pytestmark = pytest.mark.django_db


@pytest.fixture
def running() -> Experiment:
    w = winner()
    analyse(w.experiment.pk, now=MORNING)
    return Experiment.objects.get(pk=w.experiment.pk)


def test_report__in_each_format__comes_as_what_it_is(doors, running):
    client = doors.client(Scope.READ)
    for kind, content_type, begins in (
        ("html", "text/html", "<!doctype html>"),
        ("md", "text/markdown", "# "),
        ("json", "application/json", "{"),
    ):
        answer = client.get(
            f"/api/v1/experiments/{running.key}/report?format={kind}", HTTP_ACCEPT="text/html"
        )
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith(content_type)
        assert answer.content.decode().startswith(begins)
        assert answer["Content-Security-Policy"].startswith("default-src 'none'")
    assert (
        client.get(f"/api/v1/experiments/{running.key}/report")
        .content.decode()
        .startswith("<!doctype html>")
    )


def test_report__page__lets_its_own_style_through_and_nothing_else(doors, running):
    policy = doors.client(Scope.MANAGEMENT).get(f"/api/v1/experiments/{running.key}/report")[
        "Content-Security-Policy"
    ]
    assert "style-src 'sha256-" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("report?format=docx", 400, "expected one of html, md, json, pdf"),
        ("nobody", 404, "there is none of this id"),
    ],
)
def test_report__refused__answers_in_json(doors, running, address, status, says):
    path = f"{running.key}/{address}" if address.startswith("report") else f"{address}/report"
    answer = doors.client(Scope.READ).get(f"/api/v1/experiments/{path}", HTTP_ACCEPT="text/html")
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]


def test_report__pdf_without_weasyprint__says_what_is_missing(doors, running, monkeypatch):
    monkeypatch.setattr("analytics.selectors.reporting.reports.find_spec", lambda name: None)
    answer = doors.client(Scope.READ).get(f"/api/v1/experiments/{running.key}/report?format=pdf")
    assert answer.status_code == 501
    assert "Retry-After" not in answer.headers
    assert "extra “pdf”" in answer.json()["error"]["message"]
