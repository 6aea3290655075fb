"""Buckets: open a layer, hand its buckets to an iteration's arms, release them to rest.

The callers hold the experiment's lock; a layer is locked here, since shared ones are contended.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from experiments.core.design import allocation
from experiments.core.design.allocation import BucketRow
from experiments.core.errors import Conflict, Refused
from experiments.core.hashing import new_seed, shuffled_buckets
from experiments.core.permissions import Action, check
from experiments.core.types import BUCKETS, JSON, Actor, BucketRole
from experiments.models import Bucket, Iteration, Layer, Variant
from experiments.services.ground import audit
from experiments.services.ground.guarding import checked, once


def create_layer(actor: Actor, now: datetime, *, name: str) -> Layer:
    """A shared layer: its experiments never overlap, since each bucket has one holder."""
    check(actor, Action.ADMINISTER, member=False, subject=f"layer {name}")
    with transaction.atomic(), once(f"layer {name}: the name is taken", "name"):
        layer = open_layer(now, name=name, private=False)
        audit.record(actor, now, action="layer_created", obj=layer)
    return layer


def open_layer(now: datetime, *, name: str, private: bool) -> Layer:
    """A layer under a fresh seed with its thousand free buckets."""
    layer = Layer(name=name, seed=new_seed(secrets.token_bytes(6)), private=private, created_at=now)
    checked(layer)
    layer.save(force_insert=True)
    _fill(layer)
    return layer


def _fill(layer: Layer) -> None:
    """Its thousand rows, made by the database: written out here, they take fifty times as long."""
    with connection.cursor() as cursor:
        cursor.execute(_ALL_FREE, [layer.pk, BUCKETS - 1])


_ALL_FREE = f"""
INSERT INTO {Bucket._meta.db_table} (layer_id, index, role, step)
SELECT %s, index, '', 0 FROM generate_series(0, %s) AS index
"""


def hold_dark(iteration: Iteration, now: datetime) -> None:
    """Ten buckets over the test arms and ten control twins, on top of the declared shares."""
    arms, layer = _arms(iteration), _locked_layer(iteration)
    control = next(position for position, arm in enumerate(arms) if arm.is_control)
    plan = allocation.plan_dark(
        shuffled_buckets(layer.seed), _free(layer, now), [arm.weight for arm in arms], control
    )
    for arm, indexes in zip(arms, plan.dark, strict=True):
        _take(iteration, layer, arm, indexes, BucketRole.DARK, now)
    _take(iteration, layer, arms[control], plan.twins, BucketRole.TWIN, now)


def hold_main(iteration: Iteration, now: datetime) -> None:
    """Buckets for the iteration's share in the arms' proportions, as its ramp step; what is held
    already stays where it is.
    """
    arms, layer = _arms(iteration), _locked_layer(iteration)
    held = [
        list(_held(iteration, BucketRole.MAIN).filter(variant=arm).values_list("index", flat=True))
        for arm in arms
    ]
    reserved = _held(iteration, BucketRole.DARK, BucketRole.TWIN).count()
    plan = allocation.plan(
        shuffled_buckets(layer.seed),
        _free(layer, now),
        [arm.weight for arm in arms],
        iteration.traffic,
        held,
        reserved,
    )
    for arm, indexes in zip(arms, plan.added, strict=True):
        _take(iteration, layer, arm, indexes, BucketRole.MAIN, now)


def release(iteration: Iteration, now: datetime) -> int:
    """Give everything back; the buckets rest before another experiment may have them. Says how
    many.
    """
    return iteration.buckets.update(
        iteration=None, variant=None, role="", step=0, held_since=None, resting_until=allocation.rest_until(now)
    )  # fmt: skip


def indexes_of(iteration: Iteration, *roles: BucketRole) -> list[int]:
    """The indexes an iteration holds in these roles, or in all of them."""
    rows = _held(iteration, *(roles or tuple(BucketRole)))
    return list(rows.order_by("index").values_list("index", flat=True))


def holders_of(iteration: Iteration) -> list[JSON]:
    """[variant, role, [indexes]] of all that the iteration holds."""
    held: dict[tuple[int, str], list[JSON]] = {}
    for index, variant, role in iteration.buckets.order_by("index").values_list(
        "index", "variant_id", "role"
    ):
        held.setdefault((variant or 0, role), []).append(index)
    return [[variant, role, indexes] for (variant, role), indexes in held.items()]


def holdback(iteration: Iteration, share: int) -> list[int]:
    """Former control buckets that keep control's value: ``share`` thousandths of all the iteration
    holds, in the layer's order.
    """
    if share == 0 or iteration.layer is None:
        return []
    control = set(
        _held(iteration, BucketRole.MAIN)
        .filter(variant__is_control=True)
        .values_list("index", flat=True)
    )
    wanted = max(1, round(iteration.buckets.count() * share / BUCKETS))
    return sorted(
        [index for index in shuffled_buckets(iteration.layer.seed) if index in control][:wanted]
    )


def _arms(iteration: Iteration) -> list[Variant]:
    return list(iteration.experiment.variants.order_by("position", "id"))


def _locked_layer(iteration: Iteration) -> Layer:
    if iteration.layer_id is None:
        raise Refused(f"iteration {iteration}: was randomised elsewhere and holds no buckets here")
    return Layer.objects.select_for_update().get(pk=iteration.layer_id)


def _free(layer: Layer, now: datetime) -> frozenset[int]:
    rows = Bucket.objects.filter(layer=layer).values_list("index", "iteration_id", "resting_until")
    return allocation.free_buckets(
        (BucketRow(index, holder is not None, rest) for index, holder, rest in rows), now
    )


def _held(iteration: Iteration, *roles: BucketRole) -> QuerySet[Bucket]:
    return Bucket.objects.filter(iteration=iteration, role__in=[role.value for role in roles])


def _take(
    iteration: Iteration,
    layer: Layer,
    arm: Variant,
    indexes: Sequence[int],
    role: BucketRole,
    now: datetime,
) -> None:
    wanted = list(indexes)
    free = Bucket.objects.filter(layer=layer, index__in=wanted, iteration__isnull=True)
    step = iteration.step if role is BucketRole.MAIN else 0
    taken = free.update(
        iteration=iteration,
        variant=arm,
        role=role.value,
        step=step,
        held_since=now,
        resting_until=None,
    )
    if taken != len(wanted):
        raise Conflict(
            f"layer {layer.name}: {len(wanted) - taken} of {len(wanted)} buckets were taken meanwhile; try again"
        )
