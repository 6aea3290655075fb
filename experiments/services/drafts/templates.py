"""A draft from a template."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from experiments.core.library.templates import template_of
from experiments.core.types import Actor
from experiments.models import Experiment
from experiments.services.drafts.drafts import create_experiment


def create_from_template(
    actor: Actor,
    now: datetime,
    *,
    template_key: str,
    name: str = "",
    key: str = "",
    changes: Mapping[str, object] | None = None,
) -> Experiment:
    """A draft as the template has it, under a name of its own; ``changes`` are fields of the spec
    that win over the template's.

    Nothing is launched by it: what the policy demands is still to be done, and today's values are
    still to be entered.
    """
    return create_experiment(
        actor, now, spec=template_of(template_key).spec_for(name, key, changes)
    )
