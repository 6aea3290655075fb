"""Assignments as JSON: what an answer has in common for all whom it meets is written once, the rest is joined to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import msgspec

from experiments.core.assignment import Assignment, Served
from experiments.core.prepared import Prepared
from experiments.core.types import BUCKETS

_BUCKETS: dict[int | None, bytes] = {None: b"null"} | {bucket: b"%d" % bucket for bucket in range(BUCKETS)}


def _halves(served: Served, stale: bool) -> tuple[bytes, bytes]:
    """An item's text between its unit and its bucket, and from there on."""
    before = {
        "experiment": served.experiment,
        "flag": served.flag,
        "variant": served.variant,
        "config": served.config,
        "value": served.value,
    }
    after = {
        "reason": served.reason.value,
        "stage": None if served.stage is None else served.stage.value,
        "shadow": served.shadow,
        "metadata": served.metadata | {"stale": True} if stale else served.metadata,
    }
    first, second = msgspec.json.encode(before), msgspec.json.encode(after)
    return b"," + first[1:-1] + b',"bucket":', b"," + second[1:]


_halves_of = {stale: Prepared(partial(_halves, stale=stale)) for stale in (False, True)}


def items(answers: Iterable[Assignment], units: Mapping[str, str], stale: bool) -> bytes:
    """The answers to one unit's request, as an array; each names the id that decided, else the first that was sent."""
    halves, found, sent = _halves_of[stale].of, [], units.get("user") or next(iter(units.values()), None)
    written: dict[str | None, bytes] = {}
    for answer in answers:
        identity = answer.unit_id or sent
        unit = written.get(identity)
        if unit is None:
            unit = written[identity] = b'{"unit":' + msgspec.json.encode(identity)
        before, after = halves(answer.served)
        found.append(unit + before + _BUCKETS[answer.bucket] + after)
    return b"[" + b",".join(found) + b"]"
