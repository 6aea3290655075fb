"""Recommendations whose ranking is an experiment."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from examples.wsgi import Application, application
from experiments.sdk import AssayClient

EXPERIMENTS = ("lora_boost_test", "lora_boost_optimization")
"""Experiments that may set the boost, the first one that has a variant for the user wins."""
BOOSTS = ("boost", "lora_boost")
"""What their configurations call it."""
DEFAULT_BOOST = 0.3
FILMS = {
    "Stalker": (0.71, 1979),
    "Solaris": (0.68, 1972),
    "Mirror": (0.62, 1975),
    "Burnt by the Sun": (0.66, 1994),
    "Leviathan": (0.7, 2014),
}
"""Title → (how much everybody likes it, year)."""


def recommender(assay: AssayClient, experiments: Sequence[str] = EXPERIMENTS) -> Application:
    """``POST /api/v1/recommendations`` {user_id} and ``POST /api/v1/watched`` {user_id, title,
    completed}.
    """

    def recommend(body: dict[str, Any]) -> tuple[int, object]:
        user = str(body["user_id"])
        boost, label = chosen(assay, user, experiments)
        results = [{"title": title, "experiment_variant": label} for title in ranked(user, boost)]
        return 200, {"user_id": user, "recommendations": results}

    def watched(body: dict[str, Any]) -> tuple[int, object]:
        """A click on a recommendation, and whether the user watched the film to the end."""
        user, title = str(body["user_id"]), str(body["title"])
        taken = [assay.track("recommendation_click", user, payload={"title": title})]
        if body.get("completed"):
            taken.append(assay.tell("observations", user, metric="watch_completion", value=1.0))
        return 200, {"taken": all(taken)}

    return application(
        {("POST", "/api/v1/recommendations"): recommend, ("POST", "/api/v1/watched"): watched}
    )


def chosen(assay: AssayClient, user: str, experiments: Sequence[str]) -> tuple[float, str | None]:
    """The boost for this user and the label ``experiment:variant``; asking exposes the user, who is
    about to see the result.
    """
    for experiment in experiments:
        variant = assay.variant(experiment, user)
        if variant is not None:
            boost = next(
                (variant.config[name] for name in BOOSTS if name in variant.config), DEFAULT_BOOST
            )
            return float(boost), f"{experiment}:{variant.key}"
    return DEFAULT_BOOST, None


def ranked(user: str, boost: float) -> list[str]:
    """Titles by what everybody likes, plus the boost times what this user likes."""
    return sorted(FILMS, key=lambda title: -(FILMS[title][0] + boost * liking(user, title)))


def liking(user: str, title: str) -> float:
    """A stand-in for the personal model: a number from 0 to 1, the same each time for a user and a
    title.
    """
    return zlib.crc32(f"{user}:{title}".encode()) / 2**32
