"""Whom this request is about: remembered when a variant is asked for, so that what is measured
later finds its unit.

Code that measures a model call knows the experiment and the variant, and seldom the user. The last
units asked for are kept per thread and per task (a context variable), by experiment.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

from experiments.sdk.answers import AssignedVariant, asked_of
from experiments.sdk.guard import quietly
from experiments.sdk.platforms import Platform

_MOST = 64
_LAST = ""
_met: ContextVar[Mapping[str, Mapping[str, str]]] = ContextVar("assay_units", default={})  # noqa: B039  # replaced, never changed


def _none() -> AssignedVariant | None:
    return None


@quietly(_none)
def serve(
    platform: Platform,
    experiment: str,
    units: Mapping[str, object],
    attributes: Mapping[str, object] | None = None,
) -> AssignedVariant | None:
    """The unit's variant of the experiment, which it meets now; ``None`` when it is served none."""
    named = asked_of(None, units).units
    _remember(experiment, named)
    return platform.client.variant(experiment, units=units, attributes=attributes)


def units_met(experiment: str | None) -> Mapping[str, str] | None:
    """The units that were last asked about this experiment here, or about any when it is not
    named.
    """
    return _met.get().get(experiment or _LAST)


def _remember(experiment: str, units: Mapping[str, str]) -> None:
    known = {name: found for name, found in _met.get().items() if name not in (experiment, _LAST)}
    lately = list(known.items())[-_MOST:]
    _met.set({**dict(lately), experiment: units, _LAST: units})
