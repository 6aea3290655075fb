"""Every page opens for every role, with bounded queries, and shows what was typed as text."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from experiments.models import ApiKey, ChangeLogEntry, Experiment
from experiments.services.drafts import drafts
from tests.experiments.admin.conftest import NOW, ai_spec, page, url

EVERYBODY = ("olivia", "dmitri", "quinn", "ada", "victor", "paula")
TABS = ("checklist", "plan", "offline", "traffic", "results", "history")
LISTS = ("", "experiments/experiment/", "experiments/flag/", "experiments/metric/", "experiments/policy/", "experiments/layer/",
         "experiments/changelogentry/", "experiments/exclusionlist/", "experiments/override/", "analytics/decision/",
         "analytics/reporttemplate/",
         "experiments/segment/", "experiments/publicattribute/",
         "experiments/globalholdout/", "experiments/subscription/", "experiments/subscription/add/",
         "experiments/delivery/", "experiments/outboxmessage/")  # fmt: skip


@pytest.mark.parametrize("who", EVERYBODY)
def test_lists__every_role__open(browser, draft, who):
    client = browser(who)
    assert {path: client.get(f"/admin/{path}").status_code for path in LISTS} == dict.fromkeys(
        LISTS, 200
    )


@pytest.mark.parametrize("who", EVERYBODY)
def test_experiment_page__every_role_and_section__opens_and_shows_the_status(browser, draft, who):
    client = browser(who)
    for tab in TABS:
        answer = client.get(page(draft, tab))
        assert answer.status_code == 200
        assert 'data-status="draft"' in answer.content.decode()


@pytest.mark.parametrize(
    "path", ["experiments/apikey/", "experiments/apikey/add/", "auth/user/", "auth/user/add/"]
)
def test_house_pages__only_for_admins(browser, path):
    assert browser("ada").get(f"/admin/{path}").status_code == 200
    assert browser("olivia").get(f"/admin/{path}").status_code == 403


def test_workplace__without_a_login__leads_to_it(client, draft):
    answer = client.get(page(draft))
    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]


def test_experiments_list__ten_times_the_rows__no_more_queries(browser, owner, draft):
    client = browser("olivia")
    client.get("/admin/experiments/experiment/")
    with CaptureQueriesContext(connection) as few:
        client.get("/admin/experiments/experiment/")
    for i in range(10):
        drafts.create_experiment(owner, NOW, spec=ai_spec(f"Another {i}"))
    client.get(
        "/admin/experiments/experiment/"
    )  # works out the kept standings of those that changed
    with CaptureQueriesContext(connection) as many:
        answer = client.get("/admin/experiments/experiment/")
    assert answer.content.decode().count("Another") >= 10
    assert len(many) <= len(few) + 1


@pytest.mark.parametrize("tab", TABS)
def test_experiment_page__any_section__asks_at_most_forty_times(browser, draft, tab):
    client = browser("olivia")
    with CaptureQueriesContext(connection) as found:
        client.get(page(draft, tab))
    assert len(found) <= 40


def test_overview__shows_what_waits_for_whom(browser, draft):
    assert "PRD" in browser("olivia").get("/admin/").content.decode()
    assert "Enjoy the quiet" in browser("victor").get("/admin/").content.decode()


def test_title__with_markup__stays_text_everywhere(browser, owner):
    payload = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
    spec = ai_spec(payload)
    experiment = drafts.create_experiment(owner, NOW, spec=spec)
    client = browser("olivia")
    paths = [
        "/admin/",
        "/admin/experiments/experiment/",
        *(page(experiment, tab) for tab in TABS),
        url(experiment, "edit"),
        url(experiment, "do/start_dark_launch"),
    ]
    for path in paths:
        text = client.get(path).content.decode()
        assert "<script>alert(1)" not in text, path
        assert "<img src=x" not in text, path
    assert "&lt;script&gt;alert(1)" in client.get(page(experiment)).content.decode()


def test_get__on_every_url__changes_nothing(browser, draft):
    before = ChangeLogEntry.objects.count()
    client = browser("ada")
    verbs = (
        "start_dark_launch",
        "start",
        "pause",
        "resume",
        "emergency_stop",
        "conclude",
        "promote",
        "archive",
        "abort_dark_launch",
        "return_to_control",
    )
    others = "sign/prd sign/offline request-launch evaluate compute/sample_size analyse override override/1/remove hold note edit"
    rest = [*(f"do/{verb}" for verb in verbs), *others.split()]
    for part in rest:
        assert client.get(url(draft, part)).status_code in (200, 302, 403), part
    draft.refresh_from_db()
    assert draft.status == "draft"
    assert ChangeLogEntry.objects.count() == before


def test_delete__what_services_own__is_not_offered(browser, draft):
    client = browser("ada")
    answer = client.post(f"/admin/experiments/experiment/{draft.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 403
    assert Experiment.objects.filter(pk=draft.pk).exists()


def test_status__sent_to_the_edit_form__is_ignored(browser, draft):
    client = browser("olivia")
    client.post(url(draft, "edit"), {"name": draft.name, "status": "running"})
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_api_key__created__is_shown_once_and_never_again(browser):
    client = browser("ada")
    said = {"name": "checkout", "scope": "server", "environment": "production", "owner": "olivia"}
    answer = client.post("/admin/experiments/apikey/add/", said)
    key = ApiKey.objects.get(name="checkout")
    assert (key.owner.username, key.made_by.username) == ("olivia", "ada")
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert secret not in client.get(f"/admin/experiments/apikey/{key.pk}/change/").content.decode()
    client.post(f"/admin/experiments/apikey/{key.pk}/revoke/", {"reason": "left"})
    key.refresh_from_db()
    assert key.revoked_at is not None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("name", "needs a name"), ("owner", "choose the person for whom the key acts")],
)
def test_api_key__without_a_name_or_a_person__shows_the_refusal(browser, wrong, said):
    ada = browser("ada")
    whole = {"name": "ci", "scope": "management", "environment": "production", "owner": "olivia"}
    answer = ada.post("/admin/experiments/apikey/add/", {**whole, wrong: ""})
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_plan__of_a_draft_that_changes_two_things__advises_and_refuses_nothing(browser, simple):
    treatment = simple.variants.get(is_control=False)
    assert (
        "cannot say which of them did it"
        not in browser("victor").get(page(simple, "plan")).content.decode()
    )
    treatment.config = {**treatment.config, "temperature": 1, "prompt": "other"}
    treatment.save()
    text = browser("victor").get(page(simple, "plan")).content.decode()
    assert "cannot say which of them did it" in text and "Worth a thought" in text
