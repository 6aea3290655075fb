"""Rows of the checklist's tables as the core judges them, for one experiment and for lists
alike.
"""

from __future__ import annotations

from django.contrib.auth.models import User

from experiments.core.life.checklist import Computed, Evaluated, Requested, SignedOff
from experiments.core.types import Item, Verdict
from experiments.models import Evidence, LaunchRequest, OfflineEvaluation, SignOff


def signed(row: SignOff) -> SignedOff:
    """A person's verdict, and what exactly it was about."""
    return SignedOff(
        item=Item(row.item),
        verdict=Verdict(row.verdict),
        judged=row.judged,
        judged_sha256=row.judged_sha256,
        signed_by=_name(row.signed_by),
        signed_by_id=row.signed_by_id,
        signed_at=row.signed_at,
        comment=row.comment,
        requested_by_id=row.requested_by_id,
    )


def evaluated(row: OfflineEvaluation) -> Evaluated:
    """One offline evaluation of one variant."""
    return Evaluated(
        row.variant.key,
        row.metric,
        row.value,
        row.lower,
        row.upper,
        row.config_sha256,
        row.recorded_at,
        row.n,
        row.dataset,
    )


def computed(row: Evidence) -> Computed:
    """Evidence that was computed: a sample-size plan, a dark launch's health."""
    return Computed(
        Item(row.item), row.green, row.summary, row.judged_sha256, row.computed_at, row.detail
    )


def requested(row: LaunchRequest) -> Requested:
    """Who asked for a launch, of which design, and who made the key with which they did."""
    maker = row.key.made_by if row.key is not None else None
    return Requested(
        requested_by=_name(row.requested_by),
        requested_by_id=row.requested_by_id,
        judged_sha256=row.judged_sha256,
        requested_at=row.requested_at,
        key_made_by="" if maker is None else _name(maker),
        key_made_by_id=None if maker is None else maker.pk,
    )


def _name(user: User) -> str:
    return user.get_full_name() or user.get_username()
