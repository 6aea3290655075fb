"""The doors of experiments that applications knock at, mounted under /api/v1/ in every role;
assignments has a place of its own.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from experiments.api.catalogue import CatalogueDoor
from experiments.api.get_variant import GetVariant
from experiments.http.doors import door

urlpatterns: list[URLPattern | URLResolver] = [
    door("experiments/get-variant", GetVariant, "get-variant"),
    door("catalogue", CatalogueDoor, "catalogue"),
]
