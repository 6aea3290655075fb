"""Subscribing: admins for anybody and any system, everybody else for one's own mailbox."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from experiments.core.errors import Forbidden, InvalidInput, NotFound, Refused
from experiments.core.messages.notices import CHOICES, Notice, NoticeKind
from experiments.core.permissions import Action, check, may
from experiments.core.types import JSON, Actor, ActorKind
from experiments.models import Delivery, Experiment, OutboxMessage, Subscription
from experiments.outgoing import channels
from experiments.outgoing.channels import Channel
from experiments.outgoing.https import Undelivered
from experiments.selectors.subscriptions import shown_address
from experiments.services.ground import audit
from experiments.services.ground.delivery import letter_of, recipient_of
from experiments.services.ground.guarding import checked, person_behind, wanted_reason
from experiments.services.ground.webhook_secrets import new_salt, secret_of


def subscribe(
    actor: Actor,
    now: datetime,
    *,
    name: str,
    channel: Channel,
    address: str = "",
    experiment: Experiment | None = None,
    kinds: Sequence[NoticeKind] = (),
) -> tuple[Subscription, str]:
    """A new subscription and, for a webhook, its signing secret, which is shown this once.

    No address means one's own mailbox; whoever has none enters it here, and the account keeps it.
    """
    owner = _owner(actor)
    address = address.strip() or (owner.email if channel is Channel.EMAIL else "")
    first = channel is Channel.EMAIL and not owner.email and bool(address)
    if not first:
        _permit_address(actor, owner, channel, address)
    unknown = [kind for kind in kinds if kind not in CHOICES]
    if unknown:
        raise InvalidInput(
            f"kinds: one or more of {', '.join(CHOICES)} are needed, found {', '.join(unknown)[:100]!r}",
            "kinds",
        )
    channels.check(channel, address)
    row = Subscription(
        name=name.strip(),
        channel=channel.value,
        address=address,
        salt=new_salt() if channel is Channel.WEBHOOK else "",
        experiment=experiment,
        kinds=[kind.value for kind in kinds],
        owner=owner,
        created_at=now,
    )
    checked(row, exclude=("owner", "experiment"))
    with transaction.atomic():
        if first:
            _enter_mailbox(actor, now, owner, address)
        row.save()
        audit.record(
            actor, now, action="subscribed", obj=row, experiment=experiment, after=_facts(row)
        )
    return row, secret_of(row)


def _owner(actor: Actor) -> User:
    if actor.kind is not ActorKind.PERSON:
        raise Forbidden(f"{actor.label}: subscriptions are made by people, who answer for them")
    return User.objects.get(pk=person_behind(actor))


def _enter_mailbox(actor: Actor, now: datetime, owner: User, address: str) -> None:
    """An account without an address gets the one that its person enters; changing it later is an
    admin's work.
    """
    owner.email = address
    owner.save(update_fields=["email"])
    audit.record(actor, now, action="mailbox_entered", obj=owner)


def _permit_address(actor: Actor, owner: User, channel: Channel, address: str) -> None:
    check(actor, Action.VIEW, member=False, subject="subscription")
    if may(actor, Action.ADMINISTER, member=False):
        return
    if channel is not Channel.EMAIL or address != owner.email:
        raise Forbidden(
            f"subscription: {actor.label} may subscribe the mailbox of the own account; other addresses are for admins"
        )


def _facts(row: Subscription) -> dict[str, JSON]:
    where = {} if row.channel == Channel.EMAIL else {"host": shown_address(row)}
    return {"channel": row.channel, "kinds": row.kinds, **where}


def switch(
    actor: Actor, now: datetime, *, subscription_id: int, active: bool, reason: str = ""
) -> Subscription:
    """Stop sending, or send again from now on; what is due meanwhile waits."""
    with transaction.atomic():
        row = _locked(actor, subscription_id)
        if row.active == active:
            raise Refused(
                f"subscription {row.name}: is {'on' if active else 'off'} already", field="active"
            )
        row.active = active
        row.save(update_fields=["active"])
        before: JSON = {"active": not active}
        audit.record(
            actor,
            now,
            action="subscription_switched",
            obj=row,
            reason=reason,
            before=before,
            after={"active": active},
        )
    return row


def renew_secret(
    actor: Actor, now: datetime, *, subscription_id: int, reason: str
) -> tuple[Subscription, str]:
    """Another signing secret, shown this once; what is sent from now on is signed with it."""
    with transaction.atomic():
        row = _locked(actor, subscription_id)
        if row.channel != Channel.WEBHOOK:
            raise Refused(
                f"subscription {row.name}: a {row.channel} subscription signs nothing",
                field="channel",
            )
        reason = wanted_reason(reason, f"subscription {row.name}", "another secret")
        row.salt = new_salt()
        row.save(update_fields=["salt"])
        audit.record(actor, now, action="secret_renewed", obj=row, reason=reason)
    return row, secret_of(row)


def send_test(actor: Actor, now: datetime, *, subscription_id: int) -> Subscription:
    """Send one message now, as every other is sent, and say at once when it does not arrive."""
    with transaction.atomic():
        row = _locked(actor, subscription_id)
        audit.record(actor, now, action="subscription_tested", obj=row)
    told = Notice(
        NoticeKind.TEST, f"Assay: a test for {row.name}", "If you read this, messages arrive."
    )
    message = OutboxMessage(
        uuid=uuid.uuid4(), kind=told.kind.value, title=told.title, text=told.text, at=now
    )
    try:
        channels.send(
            letter_of(message), recipient_of(Delivery(message=message, subscription=row)), now
        )
    except Undelivered as refusal:
        raise Refused(f"subscription {row.name}: the test did not arrive: {refusal}") from refusal
    return row


def _locked(actor: Actor, subscription_id: int) -> Subscription:
    row = Subscription.objects.select_for_update().filter(pk=subscription_id).first()
    if row is None:
        raise NotFound(f"subscription {subscription_id}: there is none of this id", "subscription")
    if not may(actor, Action.ADMINISTER, member=False) and (
        actor.kind is not ActorKind.PERSON or row.owner_id != actor.user_id
    ):
        raise Forbidden(
            f"subscription {row.name}: {actor.label} may change one's own; the rest is for admins"
        )
    return row
