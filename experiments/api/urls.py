"""The doors of management, mounted under /api/v1/, each with and without a trailing slash;
applications' are in ``serving_urls``.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from experiments.api.experiments import Blockers, Experiments, History, OneExperiment
from experiments.api.explain import Explain
from experiments.api.flags import Flags, OneFlag
from experiments.api.guardrails import GuardrailPresets
from experiments.api.templates import Templates
from experiments.api.transitions import (
    AbortDarkLaunch,
    Archive,
    ChangeRamp,
    DarkLaunch,
    OfflineEvaluations,
    PauseExperiment,
    Promote,
    RequestLaunch,
    Resume,
    Start,
    StatusDoor,
    StopExperiment,
)
from experiments.http.doors import door

REF = r"experiments/(?P<ref>[^/]+)"
"""An integer id, UUID, key or name."""

urlpatterns: list[URLPattern | URLResolver] = [
    door("explain", Explain, "explain"),
    door("flags", Flags, "flags"),
    door(r"flags/(?P<key>[A-Za-z0-9_.-]{1,128})", OneFlag, "flag"),
    door("guardrail-presets", GuardrailPresets, "guardrail-presets"),
    door("templates", Templates, "templates"),
    door("experiments", Experiments, "experiments"),
    door(REF, OneExperiment, "experiment"),
    door(f"{REF}/blockers", Blockers, "blockers"),
    door(f"{REF}/history", History, "history"),
    door(f"{REF}/status", StatusDoor, "status"),
    door(f"{REF}/start", Start, "start"),
    door(f"{REF}/dark-launch", DarkLaunch, "dark-launch"),
    door(f"{REF}/abort-dark-launch", AbortDarkLaunch, "abort-dark-launch"),
    door(f"{REF}/pause", PauseExperiment, "pause"),
    door(f"{REF}/resume", Resume, "resume"),
    door(f"{REF}/ramp", ChangeRamp, "ramp"),
    door(f"{REF}/stop", StopExperiment, "stop"),
    door(f"{REF}/promote", Promote, "promote"),
    door(f"{REF}/archive", Archive, "archive"),
    door(f"{REF}/request-launch", RequestLaunch, "request-launch"),
    door(f"{REF}/offline-evaluations", OfflineEvaluations, "offline-evaluations"),
]
