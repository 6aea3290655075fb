"""Recommendations whose ranking is an experiment."""

from __future__ import annotations

from typing import Any

from examples.wsgi import Application, application
from experiments.sdk import AssayClient

EXPERIMENT = "recommendation_ranking"
FILMS = {
    "Stalker": (0.71, 1979),
    "Solaris": (0.68, 1972),
    "Mirror": (0.62, 1975),
    "Burnt by the Sun": (0.66, 1994),
    "Leviathan": (0.7, 2014),
}
"""Title → (predicted liking, year)."""


def recommender(assay: AssayClient) -> Application:
    """``GET /recommendations?user=…`` and ``POST /clicks`` {user, title, experiment_variant}."""

    def recommend(query: dict[str, Any]) -> tuple[int, object]:
        user = query["user"]
        # Asking for the variant exposes the unit: it is about to see what the variant decides.
        variant = assay.variant(EXPERIMENT, user, attributes={"country": query.get("country")})
        freshness = float(variant.config.get("freshness", 0.0)) if variant is not None else 0.0
        label = f"{EXPERIMENT}:{variant.key}" if variant is not None else None
        results = [{"title": title, "experiment_variant": label} for title in ranked(freshness)]
        return 200, {"user": user, "results": results}

    def click(body: dict[str, Any]) -> tuple[int, object]:
        taken = assay.track("recommendation_click", body["user"], payload={"title": body["title"]})
        return 200, {"taken": taken}

    return application({("GET", "/recommendations"): recommend, ("POST", "/clicks"): click})


def ranked(freshness: float) -> list[str]:
    """Titles by liking plus a bonus for being recent."""
    return sorted(FILMS, key=lambda title: -(FILMS[title][0] + freshness * (FILMS[title][1] - 1970) / 100))
