"""Who acts in a request of somebody who is logged in."""

from __future__ import annotations

from django.http import HttpRequest

from experiments.core.types import Actor
from experiments.selectors.actors import actor_for_user


def actor_of(request: HttpRequest) -> Actor:
    """Who is acting; asked once per request."""
    found: Actor | None = getattr(request, "assay_actor", None)
    if found is None:
        found = actor_for_user(request.user)
        request.assay_actor = found  # type: ignore[attr-defined]  # kept for the length of the request
    return found
