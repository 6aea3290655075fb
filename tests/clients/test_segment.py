"""PyPI's clients of Segment and RudderStack against a live installation: what they send is kept,
once each, and they hear why not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from rudderstack.analytics.client import Client as Rudder
from segment.analytics.client import Client as Segment

CLIENTS = {"segment": Segment, "rudder": Rudder}
MOMENT = datetime.now(UTC)
WRONG_KEYS = [
    ("assay_ingest_000000000000_" + "0" * 48, 401, "not_authenticated"),
    ("server", 403, "wrong_scope"),
]


@dataclass
class Sender:
    """A client and what it complained of."""

    client: Any
    complaints: list[Exception] = field(default_factory=list)

    def sent(self):
        """Everything queued is delivered, or complained of."""
        self.client.flush()
        return self.complaints


@pytest.fixture(scope="module")
def served(live):
    live.experiment("sg_users")
    live.settle()
    return live


@pytest.fixture(params=CLIENTS)
def send(request, served):
    """A sender of each kind; gzip, as RudderStack's does by itself, for one of them."""
    made = []

    def sender(key="ingest", **options):
        one = Sender(None)
        host, write_key = served.url, served.keys.get(key, key)
        one.client = CLIENTS[request.param](
            write_key=write_key,
            host=host,
            on_error=lambda error, items: one.complaints.append(error),
            max_retries=1,
            **options,
        )
        made.append(one.client)
        return one

    sender.name = request.param
    yield sender
    for client in made:
        client.join()


def _assigned(live, unit):
    query = "SELECT v.key, exposure_count FROM experiment_assignments JOIN experiment_variants v USING (variant_id) WHERE user_id = %s"
    return live.sql(query, unit)


def test_client__exposure_event_and_observation__are_kept(served, send):
    user, sender = f"{send.name} пользователь", send()
    body = {"unit": user, "experiments": ["sg_users"], "exposure": "none"}
    variant = served.post("/api/v1/assignments", body).json()["assignments"][0]["variant"]
    viewed = {
        "experiment_id": "sg_users",
        "experiment_name": "sg_users",
        "variation_id": variant,
        "variation_name": variant,
    }
    sender.client.track(user, "Experiment Viewed", viewed)
    sender.client.track(
        user, "Order Completed", {"revenue": 19.5, "currency": "EUR"}, context={"groupId": "acme"}
    )
    sender.client.track(user, "measured", {"metric": "sg_ndcg", "value": 0.7})
    sender.client.identify(user, {"plan": "pro"})
    assert sender.sent() == []
    assert _assigned(served, user) == [(variant, 1)]
    rows = served.sql(
        "SELECT event_type, value, payload, units FROM ai_events WHERE user_id = %s", user
    )
    assert rows == [
        (
            "order_completed",
            19.5,
            {"revenue": 19.5, "currency": "EUR"},
            {"user": user, "tenant": "acme"},
        )
    ]
    assert served.sql("SELECT metric_name, value FROM ai_ab_metrics WHERE user_id = %s", user) == [
        ("sg_ndcg", 0.7)
    ]


def test_client__the_same_message_twice__counts_once(served, send):
    user, sender = f"{send.name} twice", send()
    for _ in range(2):
        sender.client.track(
            user, "clicked", {"place": 1}, message_id=f"{send.name} message", timestamp=MOMENT
        )
    assert sender.sent() == []
    assert served.sql("SELECT count(*) FROM ai_events WHERE user_id = %s", user) == [(1,)]


def test_client__an_anonymous_one__is_a_session(served, send):
    sender = send()
    sender.client.track(anonymous_id=f"{send.name} anonymous", event="clicked")
    assert sender.sent() == []
    assert served.sql(
        "SELECT unit_type FROM ai_events WHERE user_id = %s", f"{send.name} anonymous"
    ) == [("session",)]


def test_client__one_bad_message__does_not_hold_up_the_good_ones(served, send):
    user, sender = f"{send.name} mixed", send()
    sender.client.track(
        user, "Experiment Viewed", {"experiment_id": "nonesuch", "variation_id": "a"}
    )
    sender.client.track(user, "clicked")
    assert sender.sent() == []
    assert served.sql("SELECT event_type FROM ai_events WHERE user_id = %s", user) == [("clicked",)]


@pytest.mark.parametrize(("key", "status", "code"), WRONG_KEYS)
def test_client__wrong_write_key__hears_the_code_and_the_sentence(send, key, status, code):
    sender = send(key)
    sender.client.track("u1", "clicked")
    (complaint,) = sender.sent()
    assert (complaint.status, complaint.code) == (status, code)
    assert "key" in complaint.message
