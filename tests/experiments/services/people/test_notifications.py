"""From a change to a message that arrives: written with the change, addressed, sent, repeated,
given up, summed up.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection, transaction

from experiments import tasks
from experiments.core.errors import Forbidden, InvalidInput, NotFound, Refused
from experiments.core.messages.notices import Notice, NoticeKind
from experiments.core.messages.retries import ATTEMPTS
from experiments.core.types import SYSTEM, Status
from experiments.models import ChangeLogEntry, Delivery, OutboxMessage, Subscription
from experiments.outgoing.channels import Channel
from experiments.services.drafts import drafts
from experiments.services.ground import outbox, webhook_secrets
from experiments.services.ground.delivery import deliver_due, retry
from experiments.services.life import lifecycle
from experiments.services.people.subscriptions import renew_secret, send_test, subscribe, switch
from tests.experiments.outgoing.conftest import allow, names, pair, stranger  # noqa: F401  (fixtures)
from tests.factories import NOW, draft, experiment_in, key_of, person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_catalogue")]

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LATER = NOW + 3 * DAY


@pytest.fixture
def hook(stranger):
    """An admin's webhook to the stranger, and its secret."""
    return subscribe(
        person("admin"), NOW, name="ops", channel=Channel.WEBHOOK, address=stranger.url()
    )


def say(
    title: str = "hello",
    kind: NoticeKind = NoticeKind.STATE,
    *,
    at: datetime = LATER,
    experiment=None,
) -> OutboxMessage:
    outbox.put(at, Notice(kind, title, "because"), key=title, experiment=experiment)
    return OutboxMessage.objects.get(key=title)


def mailbox(name: str) -> None:
    User.objects.filter(pk=person(name).user_id).update(email=f"{name}@example.com")


def tick(now: datetime) -> int:
    outbox.address(now)
    if sum(outbox.write_digest(pk, now) for pk in outbox.digests_due(now)):
        outbox.address(now)
    return deliver_due(now)


def told(experiment) -> list[tuple[str, str]]:
    return list(
        OutboxMessage.objects.filter(experiment=experiment)
        .order_by("pk")
        .values_list("kind", "title")
    )


def test_change__its_message__is_in_the_same_transaction():
    experiment = experiment_in(Status.RUNNING)
    before = OutboxMessage.objects.count()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        lifecycle.pause(person("owner"), LATER, experiment_id=experiment.pk)
        assert OutboxMessage.objects.count() == before + 1
        raise ZeroDivisionError
    assert OutboxMessage.objects.count() == before
    lifecycle.emergency_stop(SYSTEM, LATER, experiment_id=experiment.pk, reason="errors +5 pp")
    assert told(experiment)[-1] == ("breach", "rerank: stopped for harm, by assay")
    assert (
        OutboxMessage.objects.filter(key__startswith="changelog:").count()
        == ChangeLogEntry.objects.count()
    )


def test_put__the_same_happening_twice__is_told_once():
    first = say()
    say()
    assert (
        OutboxMessage.objects.filter(key="hello").values_list("uuid", flat=True).get() == first.uuid
    )


def test_webhook__arrives_signed__so_that_its_receiver_can_tell(hook, stranger):
    _, secret = hook
    experiment = experiment_in(Status.RUNNING)
    outbox.address(LATER)
    Delivery.objects.all().delete()
    lifecycle.pause(person("owner"), LATER, experiment_id=experiment.pk, reason="a holiday")
    assert tick(LATER) == 1
    (got,) = stranger.got
    signed = f"{got.headers['webhook-id']}.{int(LATER.timestamp())}.".encode() + got.body
    wanted = base64.b64encode(
        hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    ).decode()
    assert got.headers["webhook-signature"] == f"v1,{wanted}"
    assert got.headers["webhook-timestamp"] == str(int(LATER.timestamp()))
    body = json.loads(got.body)
    assert (
        body["type"],
        body["data"]["experiment"],
        body["data"]["status"],
        body["data"]["text"],
    ) == (
        "state",
        "rerank",
        "paused",
        "a holiday",
    )
    assert tick(LATER + DAY) == 0


def test_slack__gets_text_in_which_nothing_mentions_anybody(stranger):
    subscribe(
        person("admin"),
        NOW,
        name="chat",
        channel=Channel.SLACK,
        address=stranger.url("/services/T0/secret"),
    )
    say("a <!channel> & b")
    assert tick(LATER) == 1
    assert json.loads(stranger.got[0].body) == {"text": "a &lt;!channel&gt; &amp; b\nbecause"}
    assert "webhook-signature" not in stranger.got[0].headers


def test_email__to_ones_own_mailbox__carries_an_id_by_which_repeats_are_known():
    mailbox("owner")
    subscribe(person("owner"), NOW, name="me", channel=Channel.EMAIL)
    message = say()
    assert tick(LATER) == 1
    (sent,) = mail.outbox
    assert (sent.to, sent.subject, sent.body) == (["owner@example.com"], "hello", "because")
    assert message.uuid.hex in sent.extra_headers["Message-ID"]


def test_email__whose_owner_left__is_not_sent_but_a_system_goes_on(hook, stranger):
    mailbox("owner")
    subscribe(person("owner"), NOW, name="me", channel=Channel.EMAIL)
    User.objects.filter(username__in=["owner", "admin"]).update(is_active=False)
    say()
    assert tick(LATER) == 1
    assert (len(stranger.got), mail.outbox) == (1, [])


def test_filters__by_experiment_and_kind__let_only_those_through(stranger):
    one, other = draft("one"), draft("other")
    admin = person("admin")
    subscribe(
        admin,
        NOW,
        name="one",
        channel=Channel.WEBHOOK,
        address=stranger.url("/one"),
        experiment=one,
    )
    subscribe(
        admin,
        NOW,
        name="breach",
        channel=Channel.WEBHOOK,
        address=stranger.url("/breach"),
        kinds=[NoticeKind.BREACH],
    )
    say("a", NoticeKind.STATE, experiment=one)
    say("b", NoticeKind.BREACH, experiment=other)
    say("c", NoticeKind.STATE, experiment=other)
    assert tick(LATER) == 2
    assert sorted((got.path, json.loads(got.body)["data"]["title"]) for got in stranger.got) == [
        ("/breach", "b"),
        ("/one", "a"),
    ]


def test_subscribing__afterwards__brings_nothing_of_before(stranger):
    say(at=NOW)
    subscribe(
        person("admin"), NOW + HOUR, name="late", channel=Channel.WEBHOOK, address=stranger.url()
    )
    assert tick(LATER) == 0


def test_failure__is_tried_again_on_schedule__until_it_is_a_dead_letter(hook, stranger):
    stranger.answers = [(503, {})]
    say()
    now, pauses = LATER, []
    for attempt in range(1, ATTEMPTS + 1):
        assert tick(now) == 0
        row = Delivery.objects.get()
        assert (row.attempts, "answered 503" in row.error) == (attempt, True)
        if row.next_attempt_at is not None:
            assert tick(row.next_attempt_at - timedelta(seconds=1)) == 0
            pauses.append(row.next_attempt_at - now)
            now = row.next_attempt_at
    assert pauses == [MINUTE * 4**i for i in range(ATTEMPTS - 1)]
    assert row.state == Delivery.State.DEAD
    assert tick(now + 30 * DAY) == 0
    assert len(stranger.got) == ATTEMPTS
    assert len({got.headers["webhook-id"] for got in stranger.got}) == 1


def test_retry__dead_letter__starts_afresh_and_arrives(hook, stranger):
    say()
    outbox.address(LATER)
    dead = Delivery.objects.get()
    with pytest.raises(Refused, match="only dead letters"):
        retry(person("admin"), LATER, delivery_id=dead.pk)
    Delivery.objects.update(state=Delivery.State.DEAD, attempts=ATTEMPTS, next_attempt_at=None)
    with pytest.raises(Forbidden):
        retry(person("owner"), LATER, delivery_id=dead.pk)
    retry(person("admin"), LATER, delivery_id=dead.pk, reason="they are back")
    assert deliver_due(LATER) == 1
    dead.refresh_from_db()
    assert (dead.state, dead.attempts, dead.error) == (Delivery.State.DELIVERED, 1, "")
    assert ChangeLogEntry.objects.get(action="delivery_retried").reason == "they are back"
    with pytest.raises(NotFound):
        retry(person("admin"), LATER, delivery_id=0)


def test_sender__dies_while_sending__leaves_a_row_that_comes_due_again(hook, stranger, monkeypatch):
    say()
    outbox.address(LATER)
    with monkeypatch.context() as patch:
        patch.setattr("experiments.services.ground.delivery.send", _killed)
        with pytest.raises(KeyboardInterrupt):
            deliver_due(LATER)
    assert deliver_due(LATER) == 0
    assert deliver_due(LATER + MINUTE) == 1
    Delivery.objects.update(
        state=Delivery.State.PENDING, attempts=ATTEMPTS, next_attempt_at=LATER + HOUR
    )
    assert deliver_due(LATER + HOUR) == 0
    assert Delivery.objects.get().state == Delivery.State.DEAD


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_fault_of_ours__is_kept_with_the_message_and_holds_up_nobody(hook, stranger, monkeypatch):
    subscribe(
        person("admin"), NOW, name="chat", channel=Channel.SLACK, address=stranger.url("/chat")
    )
    say()
    monkeypatch.setattr("experiments.outgoing.channels.webhook_body", lambda _: 1 / 0)
    assert tick(LATER) == 1
    assert Delivery.objects.get(subscription=hook[0]).error == "ZeroDivisionError; see the log"


def test_silent_receiver__is_asked_once_a_tick__and_the_others_are_served(hook, stranger):
    for i in range(5):
        say(f"m{i}")
    stranger.answers = [(500, {})]
    assert tick(LATER) == 0
    assert len(stranger.got) == 1
    assert Delivery.objects.filter(attempts=0).count() == 4


def test_digest__everything_else__waits_for_the_morning_and_comes_once(hook, stranger):
    experiment = draft()
    for i in range(3):
        drafts.add_note(person("owner"), LATER + i * HOUR, experiment_id=experiment.pk, text="hm")
    assert tick(LATER + 3 * HOUR) == 0
    morning = (LATER + DAY).replace(hour=7)
    assert tick(morning - MINUTE) == 0
    assert tick(morning) == 1
    body = json.loads(stranger.got[0].body)
    assert (body["type"], body["data"]["lines"]) == (
        "digest",
        ["11:00 rerank: note added, by owner (3 times)"],
    )
    drafts.add_note(
        person("owner"), morning + HOUR, experiment_id=experiment.pk, text="and another"
    )
    assert tick(morning + 2 * HOUR) == 0
    assert tick(morning + DAY) == 1


def test_digest__a_message_that_was_committed_late__is_in_the_next_one(hook, stranger):
    morning = (LATER + DAY).replace(hour=7)
    say("early", NoticeKind.EDIT)
    assert tick(morning) == 1
    say("late", NoticeKind.EDIT, at=morning - HOUR)
    assert tick(morning + HOUR) == 0
    assert tick(morning + DAY) == 1
    assert [json.loads(got.body)["data"]["lines"] for got in stranger.got] == [
        ["09:00 early"],
        ["06:00 late"],
    ]


def test_subscribe__rights__admins_anything_others_their_own_mailbox(stranger):
    mailbox("stranger")
    viewer = person("stranger")
    row, secret = subscribe(viewer, NOW, name="me", channel=Channel.EMAIL)
    assert (row.address, secret) == ("stranger@example.com", "")
    with pytest.raises(Forbidden, match="own account"):
        subscribe(viewer, NOW, name="boss", channel=Channel.EMAIL, address="boss@example.com")
    with pytest.raises(Forbidden):
        subscribe(viewer, NOW, name="x", channel=Channel.WEBHOOK, address=stranger.url())
    with pytest.raises(Forbidden):
        subscribe(key_of("admin"), NOW, name="x", channel=Channel.WEBHOOK, address=stranger.url())
    assert subscribe(
        person("admin"), NOW, name="boss", channel=Channel.EMAIL, address="boss@example.com"
    )
    switch(viewer, NOW, subscription_id=row.pk, active=False)
    with pytest.raises(Forbidden):
        switch(person("owner"), NOW, subscription_id=row.pk, active=True)
    with pytest.raises(Refused, match="off already"):
        switch(person("admin"), NOW, subscription_id=row.pk, active=False)


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        (Channel.WEBHOOK, "http://hooks.example.com/"),
        (Channel.WEBHOOK, "https://127.0.0.1/"),
        (Channel.WEBHOOK, "https://metadata.example/"),
        (Channel.SLACK, "https://nowhere.example/"),
        (Channel.SLACK, ""),
        (Channel.EMAIL, "no mailbox"),
        (Channel.EMAIL, ""),
    ],
)
def test_subscribe__an_address_that_would_not_be_sent_to__is_refused_when_saved(
    names, channel, address
):
    names.update({"127.0.0.1": ["127.0.0.1"], "metadata.example": ["169.254.169.254"]})
    with pytest.raises(InvalidInput):
        subscribe(person("admin"), NOW, name="x", channel=channel, address=address)
    assert not Subscription.objects.exists()


def test_address_gone_private_after_saving__is_refused_by_test_and_sending_alike(hook, names):
    names["hooks.example.com"] = ["10.0.0.1"]
    with pytest.raises(Refused, match="only public addresses"):
        send_test(person("admin"), LATER, subscription_id=hook[0].pk)
    say()
    assert tick(LATER) == 0
    assert "only public addresses" in Delivery.objects.get(message__key="hello").error


def test_send_test__arrives_at_once_and_is_in_the_changelog(hook, stranger):
    send_test(person("admin"), LATER, subscription_id=hook[0].pk)
    assert json.loads(stranger.got[0].body)["type"] == "test"
    assert ChangeLogEntry.objects.filter(action="subscription_tested").count() == 1


def test_secret__is_stored_and_told_nowhere__and_another_one_replaces_it(hook, stranger, caplog):
    row, secret = hook
    stranger.answers = [(500, {})]
    say()
    tick(LATER)
    everything = (
        str(
            [
                list(model.objects.values())
                for model in (Subscription, OutboxMessage, Delivery, ChangeLogEntry)
            ]
        )
        + caplog.text
    )
    assert secret.removeprefix("whsec_") not in everything
    told_of = (
        str([list(model.objects.values()) for model in (OutboxMessage, Delivery, ChangeLogEntry)])
        + caplog.text
    )
    assert "/assay" not in told_of
    _, another = renew_secret(person("admin"), LATER, subscription_id=row.pk, reason="leaked")
    row.refresh_from_db()
    assert secret != another == webhook_secrets.secret_of(row)


def test_forget_old__what_was_addressed_long_ago__goes():
    say("old", at=NOW - timedelta(days=91))
    say("new")
    outbox.address(LATER)
    outbox.forget_old(NOW)
    assert list(OutboxMessage.objects.values_list("key", flat=True)) == ["new"]


@pytest.mark.django_db(transaction=True)
def test_tick__eight_workers_at_once__each_message_arrives_once(stranger):
    for name in ("a", "b", "c"):
        subscribe(
            person("admin"),
            NOW,
            name=name,
            channel=Channel.WEBHOOK,
            address=stranger.url(f"/{name}"),
        )
    for i in range(6):
        say(f"m{i}")
    say("edited", NoticeKind.EDIT, at=LATER - DAY)

    def work(_: int) -> int:
        try:
            return tick(LATER)
        finally:
            connection.close()

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        arrived = sum(pool.map(work, range(8)))
    ids = [(got.path, got.headers["webhook-id"]) for got in stranger.got]
    assert len(ids) == len(set(ids)) == arrived
    assert arrived == Delivery.objects.filter(state=Delivery.State.DELIVERED).count()
    assert sorted(
        OutboxMessage.objects.filter(kind="digest").values_list("subscription__name", flat=True)
    ) == ["a", "b", "c"]
    assert time.monotonic() - began < 60


def test_task__does_all_of_it(hook, stranger):
    say(at=datetime.now(UTC) - MINUTE)
    assert tasks.deliver_notifications() >= 1
    assert "hello" in [json.loads(got.body)["data"]["title"] for got in stranger.got]
