"""What is told, how urgently and in which words; how a webhook is signed; when a failed attempt is
repeated.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from experiments.core.life.lifecycle import Verb
from experiments.core.messages.notices import (
    CHOICES,
    DAILY,
    LINES,
    TITLE_LENGTH,
    NoticeKind,
    digest,
    kind_of,
    of_change,
    one_line,
)
from experiments.core.messages.retries import ATTEMPTS, due_again
from experiments.core.messages.signing import headers, secret_text, signature

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize("verb", Verb)
def test_kind_of__every_verb_of_the_lifecycle__is_told_at_once(verb: Verb) -> None:
    assert kind_of(verb) not in DAILY
    assert (kind_of(verb) is NoticeKind.BREACH) == (verb is Verb.EMERGENCY_STOP)


def test_kind_of__anything_else__waits_for_the_digest() -> None:
    assert kind_of("note_added") is NoticeKind.EDIT
    assert sorted(DAILY) == [NoticeKind.DECISION, NoticeKind.EDIT]
    assert set(CHOICES) == set(NoticeKind) - {NoticeKind.DIGEST, NoticeKind.TEST}


def test_of_change__names_who_did_what_to_which__and_leaves_configurations_at_home() -> None:
    after = {
        "status": "completed",
        "outcome": "promoted",
        "variant": "treatment",
        "config": {"prompt": "secret"},
        "value": "gpt-x",
    }
    told = of_change(action="promote", subject="rerank", actor="Ada", reason="it won", after=after)
    assert (told.title, told.text) == ("rerank: promoted (treatment), by Ada", "it won")
    assert told.facts == {
        "action": "promote",
        "actor": "Ada",
        "status": "completed",
        "outcome": "promoted",
        "variant": "treatment",
    }


@pytest.mark.parametrize(
    ("action", "kind", "title"),
    [
        ("arm_stopped", NoticeKind.BREACH, "rerank: an arm stopped for harm (b, c), by assay"),
        ("ramp_held", NoticeKind.BREACH, "rerank: ramp held (b, c), by assay"),
        ("ramp_advanced", NoticeKind.STATE, "rerank: ramp went up (b, c), by assay"),
        ("returned_to_control", NoticeKind.STATE, "rerank: returned to control (b, c), by assay"),
    ],
)
def test_of_change__what_changes_the_serving_of_a_part__is_told_at_once(
    action: str, kind: NoticeKind, title: str
) -> None:
    told = of_change(
        action=action, subject="rerank", actor="assay", reason="", after={"stopped": ["b", "c"]}
    )
    assert (told.kind, told.title) == (kind, title)


def test_one_line__line_breaks_and_controls__cannot_reach_a_header() -> None:
    assert one_line("rerank\r\nBcc: all@example.com\x00\u2028x") == "rerank Bcc: all@example.com x"
    assert len(one_line("a" * 1000)) == TITLE_LENGTH


def test_digest__equal_happenings__are_counted_once_each() -> None:
    told = digest(
        "2026-03-02",
        [
            (NOW, "a: edited"),
            (NOW + timedelta(hours=2), "a: edited"),
            (NOW + timedelta(hours=1), "b: edited"),
        ],
    )
    assert told.title == "Assay, 2026-03-02: 3 changes"
    assert told.text.splitlines() == ["10:00 b: edited", "11:00 a: edited (2 times)"]


def test_digest__more_than_anybody_reads__says_how_much_is_left_off() -> None:
    told = digest(
        "2026-03-02", [(NOW + timedelta(seconds=i), f"e{i}: edited") for i in range(LINES + 7)]
    )
    assert told.facts["left_off"] == 7
    assert told.text.endswith("and 7 more, see the changelog")
    assert "e106: edited" in told.text


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "body", "wanted"),
    [
        # The reference example of the Standard Webhooks libraries, and one of Svix's.
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1731705121,
            b'{"event_type":"ping","data":{"success":true}}',
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
    ],
)
def test_signature__published_examples__agree(
    secret: str, message_id: str, timestamp: int, body: bytes, wanted: str
) -> None:
    assert signature(secret, message_id, timestamp, body) == wanted


def test_signature__id_time_body_or_key_changed__is_another() -> None:
    secret = secret_text(b"k" * 32)
    signed = {
        signature(secret, "m1", 1, b"body"),
        signature(secret, "m2", 1, b"body"),
        signature(secret, "m1", 2, b"body"),
        signature(secret, "m1", 1, b"Body"),
        signature(secret_text(b"l" * 32), "m1", 1, b"body"),
    }
    assert len(signed) == 5
    assert set(headers(secret, "m1", 1, b"")) == {
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }


def test_due_again__each_pause_is_four_times_the_last__and_nothing_is_random() -> None:
    pauses = [due_again(NOW, attempt) - NOW for attempt in range(1, ATTEMPTS)]
    assert pauses[0] == timedelta(minutes=1)
    assert all(later == 4 * earlier for earlier, later in pairwise(pauses))
    assert timedelta(hours=22) < sum(pauses, timedelta()) < timedelta(hours=24)
