"""The doors of experiments, mounted under /api/v1/; each answers with and without a trailing slash."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from experiments.api.assignments import Assignments
from experiments.api.experiments import Blockers, Experiments, History, OneExperiment
from experiments.api.flags import Flags, OneFlag
from experiments.http.doors import door

REF = r"experiments/(?P<ref>[^/]+)"
"""An integer id, UUID, key or name."""

urlpatterns: list[URLPattern | URLResolver] = [
    door("assignments", Assignments, "assignments"),
    door("flags", Flags, "flags"),
    door(r"flags/(?P<key>[A-Za-z0-9_.-]{1,128})", OneFlag, "flag"),
    door("experiments", Experiments, "experiments"),
    door(REF, OneExperiment, "experiment"),
    door(f"{REF}/blockers", Blockers, "blockers"),
    door(f"{REF}/history", History, "history"),
]
