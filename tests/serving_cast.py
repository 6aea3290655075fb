"""Experiments that serve, written straight into the tables, for tests of what lies behind the
doors.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.contrib.auth import get_user_model

from experiments.core.hashing import bucket_of
from experiments.core.types import BucketRole, Status
from experiments.models import Bucket, Experiment, Flag, Iteration, Layer, Policy, Variant

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SEED = "0123456789ab"


def owner():
    return get_user_model().objects.get_or_create(username="olga")[0]


def policy():
    found = Policy.objects.filter(is_default=True).first()
    return found or Policy.objects.create(
        key="plain", name="Plain", rules={}, is_default=True, created_at=NOW
    )


def experiment(key="checkout", *, status=Status.RUNNING, unit_type="user", client_visible=False):
    """Two variants; nothing is served until ``launched``."""
    flag = Flag.objects.create(key=key, created_at=NOW, client_visible=client_visible)
    made = Experiment.objects.create(
        key=key,
        name=key.title(),
        flag=flag,
        owner=owner(),
        policy=policy(),
        status=status,
        unit_type=unit_type,
        created_at=NOW,
        updated_at=NOW,
    )
    for position, name in enumerate(("control", "treatment")):
        Variant.objects.create(
            experiment=made,
            key=name,
            name=name.title(),
            is_control=not position,
            position=position,
            weight=500,
        )
    return made


def launched(
    key="checkout",
    *,
    began=NOW - timedelta(days=3),
    share=900,
    dark=(),
    twin=(),
    seed=SEED,
    **named,
):
    """An experiment whose variants take turns over the first ``share`` buckets."""
    made = experiment(key, **named)
    layer = Layer.objects.create(name=f"{key}#1", seed=seed, created_at=NOW)
    iteration = Iteration.objects.create(
        experiment=made,
        number=1,
        layer=layer,
        design={},
        design_sha256="",
        policy_rules={},
        traffic=share,
        began_at=began,
        started_at=began,
    )
    variants = list(made.variants.all())
    Bucket.objects.bulk_create(
        _bucket(layer, iteration, variants, index, share, dark, twin) for index in range(1000)
    )
    return made


def _bucket(layer, iteration, variants, index, share, dark, twin):
    if index >= share:
        return Bucket(layer=layer, index=index)
    role = (
        BucketRole.DARK if index in dark else BucketRole.TWIN if index in twin else BucketRole.MAIN
    )
    return Bucket(
        layer=layer,
        index=index,
        iteration=iteration,
        variant=variants[index % 2],
        role=role,
        held_since=NOW,
    )


def unit_in(bucket_test, seed=SEED):
    """The first of u0, u1, … whose bucket passes the test."""
    return next(f"u{n}" for n in range(100_000) if bucket_test(bucket_of(seed, f"u{n}")))
