"""Templates: experiments to begin from, each with its policy, arms, metrics and guardrails."""

from __future__ import annotations

from experiments.core.errors import InvalidInput
from experiments.core.library.templates.ai_building_blocks import BUILDING_BLOCKS
from experiments.core.library.templates.ai_features import AI_FEATURES
from experiments.core.library.templates.assistant import ASSISTANT
from experiments.core.library.templates.base import Template, by_key
from experiments.core.library.templates.leads import LEADS
from experiments.core.library.templates.recommending import RECOMMENDING
from experiments.core.library.templates.trials import TRIALS

__all__ = ["BY_KEY", "TEMPLATES", "Template", "template_of"]

TEMPLATES: tuple[Template, ...] = (
    *AI_FEATURES,
    *BUILDING_BLOCKS,
    *LEADS,
    *RECOMMENDING,
    *ASSISTANT,
    *TRIALS,
)
"""In the order in which they are offered."""

BY_KEY = by_key(TEMPLATES)


def template_of(key: str) -> Template:
    """The template of that key; refuses one that nobody ships, naming those that do."""
    found = BY_KEY.get(key)
    if found is None:
        raise InvalidInput(
            f"template {key[:80]!r} does not ship; these do: {', '.join(BY_KEY)}", "template"
        )
    return found
