"""The ways a message leaves: a signed webhook, Slack's format, e-mail. Each is checked and sent
here alone.
"""

from __future__ import annotations

import json
import smtplib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email

from experiments.core.errors import InvalidInput
from experiments.core.messages.signing import headers
from experiments.core.types import JSON
from experiments.outgoing import https
from experiments.outgoing.https import Undelivered

_JSON = {"Content-Type": "application/json"}
_SLACK_TEXT = 3000


class Channel(StrEnum):
    WEBHOOK = "webhook"
    SLACK = "slack"
    EMAIL = "email"


@dataclass(frozen=True)
class Letter:
    """A message as it leaves. ``id`` is the same in every attempt, so that a receiver can tell
    repeats.
    """

    id: str
    kind: str
    at: datetime
    title: str
    text: str = ""
    experiment: str | None = None
    facts: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipient:
    """Where to: ``secret`` signs webhooks and is empty for the other channels; it is in no text of
    ours.
    """

    channel: Channel
    address: str = field(repr=False)
    secret: str = field(default="", repr=False)


def check(channel: Channel, address: str) -> None:
    """Refuse an address that would be refused when sending."""
    if channel is not Channel.EMAIL:
        try:
            https.route(address)
        except Undelivered as refusal:
            raise InvalidInput(f"address: {refusal}", "address") from refusal
        return
    try:
        validate_email(address)
    except ValidationError as error:
        raise InvalidInput(
            f"address: an e-mail address is needed, found {address[:100]!r}", "address"
        ) from error
    if not _mail_server():
        raise InvalidInput(
            "address: this installation has no mail server; set ASSAY_EMAIL_HOST", "address"
        )


def send(letter: Letter, to: Recipient, now: datetime) -> None:
    """Hand one message over; ``Undelivered`` when the other side did not take it."""
    try:
        _SENDERS[to.channel](letter, to, now)
    except InvalidInput as refusal:
        raise Undelivered(str(refusal)) from refusal


def webhook_body(letter: Letter) -> bytes:
    """What a webhook carries, and what is signed."""
    data: dict[str, JSON] = {
        "title": letter.title,
        "text": letter.text,
        "experiment": letter.experiment,
        **letter.facts,
    }
    return json.dumps(
        {"id": letter.id, "type": letter.kind, "timestamp": letter.at.isoformat(), "data": data},
        ensure_ascii=False,
    ).encode()


def slack_body(letter: Letter) -> bytes:
    """Slack's simplest message. Its three control characters are escaped, so no text of ours
    mentions or links anybody.
    """
    whole = f"{letter.title}\n{letter.text}" if letter.text else letter.title
    cut = whole if len(whole) <= _SLACK_TEXT else whole[: _SLACK_TEXT - 1] + "…"
    return json.dumps(
        {"text": cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
    ).encode()


def _send_webhook(letter: Letter, to: Recipient, now: datetime) -> None:
    body = webhook_body(letter)
    https.post(to.address, body, _JSON | headers(to.secret, letter.id, int(now.timestamp()), body))


def _send_slack(letter: Letter, to: Recipient, now: datetime) -> None:
    https.post(to.address, slack_body(letter), _JSON)


def _send_email(letter: Letter, to: Recipient, now: datetime) -> None:
    if not _mail_server():
        raise Undelivered("this installation has no mail server; set ASSAY_EMAIL_HOST")
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip(" >") or "localhost"
    mail = EmailMessage(
        letter.title,
        letter.text or letter.title,
        to=[to.address],
        headers={"Message-ID": f"<{letter.id}@{domain}>"},
    )
    try:
        mail.send()
    except (OSError, smtplib.SMTPException) as error:
        raise Undelivered(f"mail server: {type(error).__name__}: {error!s:.200}") from error


def _mail_server() -> bool:
    """Whether mail can leave: a server is named, or the backend needs none."""
    return bool(settings.EMAIL_HOST) or not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend")


_SENDERS: Mapping[Channel, Callable[[Letter, Recipient, datetime], None]] = {
    Channel.WEBHOOK: _send_webhook,
    Channel.SLACK: _send_slack,
    Channel.EMAIL: _send_email,
}
