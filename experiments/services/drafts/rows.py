"""What creating and editing a draft share: finding what a key names, refusing what is taken or
ill-formed.
"""

from __future__ import annotations

from experiments.core.design.design import Design
from experiments.core.design.policies import rules_from_json
from experiments.core.design.rules import problems
from experiments.core.errors import Conflict, InvalidInput, NotFound, Problem
from experiments.models import Experiment, Flag, Policy
from experiments.selectors.experiments import design_of


def policy_of_key(key: str) -> Policy:
    found = (
        Policy.objects.filter(key=key, current=True).first()
        if key
        else Policy.objects.filter(is_default=True).first()
    )
    if found is None:
        known = ", ".join(Policy.objects.filter(current=True).values_list("key", flat=True))
        raise InvalidInput(
            f"policy {key[:40]!r}: there is none of this key; known are {known}", field="policy"
        )
    return found


def flag_of_key(key: str) -> Flag:
    found = Flag.objects.filter(key=key).first()
    if found is None:
        raise NotFound(
            f"flag {key[:128]!r}: there is none of this key; issue it first", field="flag"
        )
    return found


def refuse_taken(experiment: Experiment) -> None:
    for name in ("key", "name"):
        value = getattr(experiment, name)
        if Experiment.objects.filter(**{name: value}).exclude(pk=experiment.pk).exists():
            raise Conflict(f"experiment {name} {value!r} is taken; choose another", field=name)


def refuse_ill_formed(experiment: Experiment, was: Design | None = None) -> None:
    """Refuse what is wrong with the design as stored now.

    ``was``: the design before the change. Faults that it had already keep nobody from changing
    something else: a rule may be younger than a design, and a launched one cannot be mended.
    """
    experiment.refresh_from_db()
    rules = rules_from_json(experiment.policy.rules)
    had = [] if was is None else problems(was, rules, for_launch=False)
    found = [
        problem
        for problem in problems(design_of(experiment), rules, for_launch=False)
        if problem not in had
    ]
    refuse_if(found, f"experiment {experiment.key}")


def refuse_if(found: list[Problem], subject: str) -> None:
    if found:
        raise InvalidInput(
            f"{subject}: the design is ill-formed", field=found[0].field, problems=found
        )
