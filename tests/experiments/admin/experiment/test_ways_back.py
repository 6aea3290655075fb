"""Pages that say no: each has the right status and a way back."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from experiments.admin import troubles_view
from tests.analytics.admin.test_results import _measured
from tests.experiments.admin.conftest import page, url

LIST = "/admin/experiments/experiment/"


@pytest.mark.parametrize(
    "path",
    ["/admin/nowhere/", f"{LIST}999/change/", f"{LIST}999/do/start/", f"{LIST}1/results.docx"],
)
def test_missing_page__of_the_workplace__keeps_its_frame_and_leads_back(browser, path):
    answer = browser("ada").get(path)
    text = answer.content.decode()
    assert answer.status_code == 404
    assert 'id="nav-sidebar"' in text
    assert f'href="{reverse("admin:index")}">Back to the start' in text


def test_missing_page__outside_the_workplace__leads_there(db):
    answer = Client().get("/nowhere")
    assert answer.status_code == 404
    assert 'href="/admin/"' in answer.content.decode()


def test_old_form__says_what_to_do(browser, people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people["ada"])
    answer = client.post(f"{LIST}1/do/start/")
    assert answer.status_code == 403
    assert "load the page again" in answer.content.decode()


def test_pdf__where_it_is_not_installed__is_501_and_leads_back(browser, owner, monkeypatch):
    experiment = _measured(owner, 20)
    browser("olivia").post(url(experiment, "analyse"))
    monkeypatch.setattr("analytics.selectors.reporting.reports.find_spec", lambda name: None)
    answer = browser("ada").get(url(experiment, "report") + "?format=pdf")
    assert answer.status_code == 501
    text = answer.content.decode()
    assert "WeasyPrint" in text and page(experiment, "results") in text


def test_report__before_any_analysis__is_no_page_and_leads_back(browser, simple):
    answer = browser("ada").get(url(simple, "report"))
    assert answer.status_code == 404
    assert page(simple, "results") in answer.content.decode()


def test_troubles__every_finding_has_an_address(browser):
    answer = browser("victor").get(reverse("admin:troubleshooting"))
    text = answer.content.decode()
    codes = [one.anchor for one in troubles_view.chapters()[-1].troubles]
    assert {"srm", "crossover", "no_events"} <= set(codes)
    assert all(f'id="{code}"' in text for code in codes)
    assert "`" not in "".join(
        words
        for chapter in troubles_view.chapters()
        for one in chapter.troubles
        for words in one.paragraphs
    )
