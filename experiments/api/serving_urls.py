"""The doors of experiments that applications knock at, mounted under /api/v1/ in every role."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from experiments.api.assignments import Assignments
from experiments.api.catalogue import CatalogueDoor
from experiments.http.doors import door

urlpatterns: list[URLPattern | URLResolver] = [
    door("assignments", Assignments, "assignments"),
    door("catalogue", CatalogueDoor, "catalogue"),
]
