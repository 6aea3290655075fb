"""The form of a new experiment, filled from a template: everything may still be changed before it
is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from django.db.models import Q

from experiments.admin import experiment_form as form
from experiments.admin import experiment_reading as reading
from experiments.admin.fields import Field
from experiments.core.design.specs import ExperimentSpec
from experiments.core.library.templates import BY_KEY, TEMPLATES
from experiments.models import Experiment


def offered(data: Mapping[str, str]) -> Field:
    """Which template the form is filled from, if any, and its advice."""
    chosen = BY_KEY.get(data.get("template", ""))
    choices = [
        ("", "none"),
        *((template.key, f"{template.spec.name} ({template.key})") for template in TEMPLATES),
    ]
    helped = (
        "Policy, arms, metrics and margins of an experiment like yours."
        if chosen is None
        else chosen.advice
    )
    return Field(
        "template",
        "Begin from a template",
        "select",
        "" if chosen is None else chosen.key,
        help=helped,
        choices=choices,
    )


def values_for(key: str) -> dict[str, str]:
    """What a new form starts with: the template's plan, under its own name while nobody has that;
    without a template the defaults.
    """
    template = BY_KEY.get(key)
    if template is None:
        return form.values_of(None)
    spec = template.spec
    own = {
        "policy": spec.policy_key,
        "flag": spec.flag_key,
        "flag_type": spec.flag_type.value,
        "template": key,
    }
    if Experiment.objects.filter(Q(key=spec.key) | Q(name=spec.name)).exists():
        own |= {"name": "", "key": ""}
    lines = form.variant_values(spec.variants) | form.metric_values(
        [(plan.metric, plan) for plan in spec.metrics]
    )
    return form.design_values(spec) | own | lines


def values_like(experiment: Experiment) -> dict[str, str]:
    """What a new form starts with when it is to be like another experiment: its design, under no
    name yet and with no dates.
    """
    return form.values_of(experiment) | {
        "name": "",
        "key": "",
        "planned_start": "",
        "planned_end": "",
    }


def read_spec(data: Mapping[str, str]) -> ExperimentSpec:
    """The form as it was sent, with the template that it began from; a geo pilot's says that it is
    imported.
    """
    spec, template = reading.read_spec(data), BY_KEY.get(data.get("template", ""))
    return (
        spec
        if template is None
        else replace(spec, template=template.key, origin=template.spec.origin)
    )
