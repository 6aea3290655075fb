"""AI experiments that nobody has to check before launch."""

from __future__ import annotations

AI_TYPES = frozenset({"prompt", "model", "rag", "agent", "ranker", "ranking", "routing"})


def unchecked(experiment_type: str, required_items: int) -> bool:
    """Whether an AI experiment runs under a policy without launch checks; pages say so with a
    badge.
    """
    return experiment_type in AI_TYPES and required_items == 0
