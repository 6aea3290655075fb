"""Subscribing in the workplace: rights, the secret shown once, dead letters sent again, hosts
instead of addresses.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone

from experiments.core.messages.notices import CHOICES, Notice, NoticeKind
from experiments.models import Delivery, Subscription
from experiments.services.ground import outbox
from tests.experiments.outgoing.conftest import allow, names, pair, stranger  # noqa: F401  (fixtures)

ADD = "/admin/experiments/subscription/add/"
EVERYTHING = {f"kind_{kind}": "1" for kind in CHOICES}


def where(row: Subscription, rest: str = "change") -> str:
    return f"/admin/experiments/subscription/{row.pk}/{rest}/"


@pytest.fixture
def hook(browser, stranger) -> Subscription:
    sent = {
        "name": "ops",
        "channel": "webhook",
        "address": stranger.url("/hidden-path"),
        **EVERYTHING,
    }
    answer = browser("ada").post(ADD, sent)
    assert answer.status_code == 200, answer.content.decode()
    row = Subscription.objects.get()
    row.secret = answer.context["secret"]
    return row


def test_webhook__its_secret__is_shown_once_and_its_path_never(browser, hook):
    page = browser("ada").get(where(hook)).content.decode()
    assert hook.secret not in page
    for text in (page, browser("ada").get("/admin/experiments/subscription/").content.decode()):
        assert "hooks.example.com/…" in text
        assert "hidden-path" not in text
    answer = browser("ada").post(where(hook, "secret"), {"reason": "leaked"})
    assert answer.context["secret"] != hook.secret
    assert browser("ada").post(where(hook, "secret"), {"reason": ""}).status_code == 400


def test_subscribing__a_person__gets_mail_in_the_own_mailbox_and_sees_only_that(
    browser, people, hook
):
    User.objects.filter(username="olivia").update(email="olivia@example.com")
    olivia = browser("olivia")
    assert "Address" not in olivia.get(ADD).content.decode()
    assert olivia.post(ADD, {"name": "mine", "kind_breach": "1"}).status_code == 302
    mine = Subscription.objects.get(name="mine")
    assert (mine.channel, mine.address, mine.kinds, mine.owner.username) == (
        "email",
        "olivia@example.com",
        ["breach"],
        "olivia",
    )
    assert olivia.get(where(hook)).status_code == 404
    assert "ops" not in olivia.get("/admin/experiments/subscription/").content.decode()
    assert olivia.post(where(hook, "switch")).status_code == 404
    olivia.post(where(mine, "test"))
    assert [sent.subject for sent in mail.outbox] == ["Assay: a test for mine"]


@pytest.mark.parametrize(
    "sent",
    [
        {"channel": "webhook", "address": "https://hooks.example.com/"},
        {"address": "boss@example.com"},
    ],
)
def test_subscribing__another_address_by_a_person__is_refused_whatever_the_form_sends(
    browser, stranger, sent
):
    User.objects.filter(username="olivia").update(email="olivia@example.com")
    assert browser("olivia").post(ADD, {"name": "x", **sent}).status_code == 403
    assert not Subscription.objects.exists()


def test_subscribing__a_private_address__is_an_error_beside_the_field(browser, names):
    names["inside.example"] = ["10.0.0.1"]
    answer = browser("ada").post(
        ADD, {"name": "x", "channel": "slack", "address": "https://inside.example/x"}
    )
    assert answer.status_code == 400
    assert "only public addresses" in answer.content.decode()


def test_dead_letter__is_listed_and_sent_again(browser, hook, stranger):
    outbox.put(
        timezone.now() + timedelta(seconds=1),
        Notice(NoticeKind.STATE, "<b>rerank</b> paused"),
        key="k",
    )
    outbox.address(timezone.now())
    dead = Delivery.objects.get(message__key="k")
    Delivery.objects.filter(pk=dead.pk).update(
        state="dead", attempts=7, next_attempt_at=None, error="answered 503"
    )
    ada = browser("ada")
    assert (
        "answered 503" in ada.get("/admin/experiments/delivery/?state__exact=dead").content.decode()
    )
    page = ada.get(f"/admin/experiments/delivery/{dead.pk}/change/").content.decode()
    assert "&lt;b&gt;rerank&lt;/b&gt; paused" in page
    assert (
        browser("olivia").post(f"/admin/experiments/delivery/{dead.pk}/retry/", {}).status_code
        == 404
    )
    assert ada.get(f"/admin/experiments/delivery/{dead.pk}/retry/").status_code == 200
    assert ada.post(f"/admin/experiments/delivery/{dead.pk}/retry/", {}).status_code == 302
    dead.refresh_from_db()
    assert (dead.state, dead.attempts) == ("pending", 0)


def test_test__that_does_not_arrive__says_why(browser, hook, stranger):
    stranger.answers = [(404, {})]
    answer = browser("ada").post(where(hook, "test"), follow=True)
    assert "answered 404" in answer.content.decode()


def test_subscribe__without_an_address__asks_for_it_and_keeps_it(browser, people):
    olivia = browser("olivia")
    assert 'name="address"' in olivia.get("/admin/experiments/subscription/add/").content.decode()
    answer = olivia.post(
        "/admin/experiments/subscription/add/",
        {"name": "mine", "channel": "email", "address": "olivia@example.com"},
    )
    assert answer.status_code == 302
    people["olivia"].refresh_from_db()
    assert people["olivia"].email == "olivia@example.com"
    assert (
        'name="address"' not in olivia.get("/admin/experiments/subscription/add/").content.decode()
    )
    other = olivia.post(
        "/admin/experiments/subscription/add/",
        {"name": "theirs", "channel": "email", "address": "else@example.com"},
    )
    assert other.status_code == 403
