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
    """An item's text between its unit and its bucket, and from there to the comma behind it."""
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
    return b"," + first[1:-1] + b',"bucket":', b"," + second[1:] + b","


_halves_of = {stale: Prepared(partial(_halves, stale=stale)) for stale in (False, True)}


def items(answers: Iterable[Assignment], units: Mapping[str, str], stale: bool) -> bytes:
    """The answers to one unit's request, as an array; each names the id that decided, else the first that was sent."""
    halves, pieces, sent = _halves_of[stale].of, [b"["], units.get("user") or next(iter(units.values()), None)
    identity, unit = sent, _unit(sent)
    for answer in answers:
        if (decided := answer.unit_id or sent) is not identity:
            identity, unit = decided, _unit(decided)
        before, after = halves(answer.served)
        pieces += unit, before, _BUCKETS[answer.bucket], after
    pieces[-1] = pieces[-1][:-1] if len(pieces) > 1 else b"["
    return b"".join(pieces) + b"]"


def _unit(identity: str | None) -> bytes:
    return b'{"unit":' + msgspec.json.encode(identity)
