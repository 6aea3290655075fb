"""An exposure as the server that caused it writes it down: everything is known, nothing to resolve."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from experiments.core.errors import InvalidInput
from experiments.core.types import JSON, Environment, Phase


@dataclass(frozen=True)
class QueuedExposure:
    """A unit met a variant at a moment. ``event_id`` makes recording it twice count once.

    ``variant_id`` is what the unit met and ``bucket`` where it hashes (``None`` for an override).
    ``covariates`` are frozen with the unit's first exposure.
    """

    event_id: str
    experiment_id: int
    iteration_id: int
    variant_id: int
    unit_type: str
    unit_id: str
    at: datetime
    bucket: int | None = None
    phase: Phase = Phase.MAIN
    environment: Environment = Environment.PRODUCTION
    covariates: dict[str, JSON] | None = None
    context: dict[str, JSON] | None = None


def to_line(exposure: QueuedExposure) -> bytes:
    """One line of JSON, its newline included."""
    fields = {
        "id": exposure.event_id,
        "e": exposure.experiment_id,
        "i": exposure.iteration_id,
        "v": exposure.variant_id,
        "t": exposure.unit_type,
        "u": exposure.unit_id,
        "at": exposure.at.astimezone(UTC).isoformat(),
        "b": exposure.bucket,
        "p": exposure.phase.value,
        "env": exposure.environment.value,
        "cov": exposure.covariates,
        "ctx": exposure.context,
    }
    kept = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(kept, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def from_line(line: bytes) -> QueuedExposure:
    """The exposure of a line; a torn or foreign line is refused."""
    try:
        return _read(cast("dict[str, JSON]", json.loads(line)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"a spool line of {len(line)} bytes cannot be read as an exposure: {error!r}") from error


def _read(fields: dict[str, JSON]) -> QueuedExposure:
    at = datetime.fromisoformat(str(fields["at"]))
    if at.tzinfo is None:
        raise ValueError("a moment without a zone")
    return QueuedExposure(
        event_id=str(fields["id"]),
        experiment_id=_whole(fields["e"]),
        iteration_id=_whole(fields["i"]),
        variant_id=_whole(fields["v"]),
        unit_type=str(fields["t"]),
        unit_id=str(fields["u"]),
        at=at,
        bucket=None if fields.get("b") is None else _whole(fields["b"]),
        phase=Phase(str(fields["p"])),
        environment=Environment(str(fields["env"])),
        covariates=_object(fields.get("cov")),
        context=_object(fields.get("ctx")),
    )


def _whole(value: JSON) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"wanted a whole number, found {value!r}")
    return value


def _object(value: JSON) -> dict[str, JSON] | None:
    if value is not None and not isinstance(value, dict):
        raise TypeError(f"wanted an object, found {value!r}")
    return value
