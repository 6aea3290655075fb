"""Assignments as JSON: what an answer has in common for all whom it meets is written once, the rest
is joined to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import msgspec

from experiments.core.serving.evaluation import Served
from experiments.core.serving.prepared import Prepared
from experiments.core.serving.together import Assigned
from experiments.core.types import BUCKETS

_BUCKETS: dict[int | None, bytes] = {None: b"null"} | {
    bucket: b"%d" % bucket for bucket in range(BUCKETS)
}


def _rest(served: Served, stale: bool) -> bytes:
    """An item's text from behind its bucket to the comma after it."""
    rest = {
        "experiment": served.experiment,
        "flag": served.flag,
        "variant": served.variant,
        "config": served.config,
        "value": served.value,
        "reason": served.reason.value,
        "stage": None if served.stage is None else served.stage.value,
        "shadow": served.shadow,
        "metadata": served.metadata | {"stale": True} if stale else served.metadata,
    }
    return b"," + msgspec.json.encode(rest)[1:] + b","


_rest_of = {stale: Prepared(partial(_rest, stale=stale)) for stale in (False, True)}


def items(answers: Assigned, units: Mapping[str, str], stale: bool) -> list[bytes]:
    """The pieces of an array: the answers to one unit's request. Each names the id that decided,
    else the first that was sent.

    To be joined once, with whatever goes around them: they are many thousand bytes.
    """
    if not answers:
        return [b"[]"]
    sent = units.get("user") or next(iter(units.values()), None)
    pieces = [b""] * (3 * len(answers))
    pieces[::3] = _beginnings(answers.unit_ids, sent)
    pieces[1::3] = map(_BUCKETS.__getitem__, answers.buckets)
    pieces[2::3] = _rest_of[stale].each(answers.served)
    pieces[-1] = pieces[-1][:-1]
    return [b"[", *pieces, b"]"]


def _beginnings(ids: Sequence[str | None], sent: str | None) -> Iterable[bytes]:
    """The items' texts up to their buckets; one unit has a few ids, so few are written."""
    written = {
        identity: b'{"unit":%b,"bucket":' % msgspec.json.encode(identity or sent)
        for identity in set(ids)
    }
    return map(written.__getitem__, ids)
