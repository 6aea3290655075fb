"""An experiment's arms, written from specs. The callers hold the lock and have checked
permission.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils.text import slugify

from experiments.core.design.design import VariantSpec
from experiments.core.errors import InvalidInput, Problem, Refused
from experiments.core.types import JSON, THOUSANDTHS
from experiments.models import Experiment, Variant
from experiments.services.ground.guarding import checked

CONTROL_NAMES = ("control", "baseline")


def control_of(specs: Sequence[VariantSpec]) -> VariantSpec | None:
    """The control: the arm that says so, else one named control or baseline, else the first."""
    said = next((spec for spec in specs if spec.is_control), None)
    named = next((spec for spec in specs if spec.name.strip().lower() in CONTROL_NAMES), None)
    return said or named or (specs[0] if specs else None)


def served(spec: VariantSpec) -> JSON:
    """What the flag answers for this arm."""
    if spec.value is not None:
        return spec.value
    return {} if spec.config is None else spec.config


def key_of(spec: VariantSpec) -> str:
    """The key asked for, or the name as a key."""
    if spec.key:
        return spec.key
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", spec.name):
        return spec.name
    return slugify(spec.name)[:128] or "variant"


def replace(experiment: Experiment, specs: Sequence[VariantSpec]) -> None:
    """Make the arms what the specs say; an arm keeps its row by its key. No specs: no arms yet."""
    _refuse_bad_sum(experiment, specs)
    _refuse_two_controls(experiment, specs)
    present = {variant.key: variant for variant in experiment.variants.all()}
    keys = [key_of(spec) for spec in specs]
    _remove(experiment, [variant for key, variant in present.items() if key not in keys])
    _make_room(experiment)
    control = control_of(specs)
    rows = [
        _row(experiment, spec, present.get(key_of(spec)), position, spec is control)
        for position, spec in enumerate(specs)
    ]
    _refuse_twice(experiment, rows)
    for row in rows:
        checked(row, exclude=("experiment", "traffic_share"))
        row.save()
    getattr(experiment, "_prefetched_objects_cache", {}).pop("variants", None)


def _row(
    experiment: Experiment,
    spec: VariantSpec,
    present: Variant | None,
    position: int,
    is_control: bool,
) -> Variant:
    row = present or Variant(experiment=experiment, key=key_of(spec))
    row.name, row.description, row.weight, row.position, row.is_control = (
        spec.name,
        spec.description,
        spec.weight,
        position,
        is_control,
    )
    row.config, row.value, row.model_hash = (
        {} if spec.config is None else spec.config,
        spec.value,
        spec.model_hash,
    )
    return row


def _make_room(experiment: Experiment) -> None:
    """Names and the control may change places between arms; unique indexes look at every single
    row.
    """
    for variant in experiment.variants.all():
        Variant.objects.filter(pk=variant.pk).update(name=f"~{variant.pk}", is_control=False)


def _remove(experiment: Experiment, gone: Sequence[Variant]) -> None:
    for variant in gone:
        try:
            with transaction.atomic():
                variant.delete()
                connection.check_constraints()
        except (ProtectedError, IntegrityError) as error:
            message = f"{experiment.key}: variant {variant.key} has evaluations or units of its own and cannot be removed; keep it"
            raise Refused(message, field="variants") from error


def _refuse_bad_sum(experiment: Experiment, specs: Sequence[VariantSpec]) -> None:
    total = sum(spec.weight for spec in specs)
    if specs and total != THOUSANDTHS:
        found = [
            Problem(
                "weights_sum",
                f"the variants' weights sum to {total} thousandths; expected {THOUSANDTHS}",
                "variants",
            )
        ]
        raise InvalidInput(
            f"{experiment.key}: the weights do not sum to the whole",
            field="variants",
            problems=found,
        )


def _refuse_two_controls(experiment: Experiment, specs: Sequence[VariantSpec]) -> None:
    controls = [spec.name for spec in specs if spec.is_control]
    if len(controls) > 1:
        raise InvalidInput(
            f"{experiment.key}: exactly one variant is the control, found {', '.join(controls)[:200]}",
            field="variants",
        )


def _refuse_twice(experiment: Experiment, rows: Sequence[Variant]) -> None:
    for name in ("key", "name"):
        values = [str(getattr(row, name)) for row in rows]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise InvalidInput(
                f"{experiment.key}: two variants have the {name} {twice[0][:80]!r}",
                field="variants",
            )
