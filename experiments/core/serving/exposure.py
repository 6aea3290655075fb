"""An exposure as the server that caused it writes it down: everything is known, nothing to
resolve.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import cast

from experiments.core.errors import InvalidInput
from experiments.core.types import JSON, Environment, Phase

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


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
    """One line of JSON, its newline included; written out, since an encoder of dictionaries takes
    three times as long.
    """
    bucket = "" if exposure.bucket is None else f',"b":{exposure.bucket}'
    covariates = "" if exposure.covariates is None else f',"cov":{_encode(exposure.covariates)}'
    context = "" if exposure.context is None else f',"ctx":{_encode(exposure.context)}'
    return (
        f'{{"id":{_encode(exposure.event_id)},"e":{exposure.experiment_id},"i":{exposure.iteration_id},"v":{exposure.variant_id},'
        f'"t":{_encode(exposure.unit_type)},"u":{_encode(exposure.unit_id)},"at":"{exposure.at.astimezone(UTC).isoformat()}"{bucket},'
        f'"p":"{exposure.phase.value}","env":"{exposure.environment.value}"{covariates}{context}}}\n'
    ).encode()


def line_start(
    experiment_id: int,
    iteration_id: int,
    variant_id: int,
    unit_type: str,
    phase: Phase,
    environment: Environment,
) -> bytes:
    """What is the same in the lines of all units that meet one answer; ``finished`` writes the
    rest. Together they are ``to_line``'s.
    """
    fields = {
        "e": experiment_id,
        "i": iteration_id,
        "v": variant_id,
        "t": unit_type,
        "p": phase.value,
        "env": environment.value,
    }
    return json.dumps(fields, separators=(",", ":"))[:-1].encode()


def finished(start: bytes, unit_id: str, bucket: int | None, at: bytes, event_id: bytes) -> bytes:
    """A whole line; ``at`` is a moment in ISO 8601 and ``event_id`` plain, since neither is
    escaped.
    """
    unit = encode_basestring_ascii(unit_id).encode()
    if bucket is None:
        return b'%b,"u":%b,"at":"%b","id":"%b"}\n' % (start, unit, at, event_id)
    return b'%b,"u":%b,"b":%d,"at":"%b","id":"%b"}\n' % (start, unit, bucket, at, event_id)


def from_line(line: bytes) -> QueuedExposure:
    """The exposure of a line; a torn or foreign line is refused."""
    try:
        return _read(cast("dict[str, JSON]", json.loads(line)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"a spool line of {len(line)} bytes cannot be read as an exposure: {error!r}"
        ) from error


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
