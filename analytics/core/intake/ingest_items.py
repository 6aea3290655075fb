"""What applications send us, one item at a time: its shape, checked before anything is looked up.

Each item of a batch is read on its own: a bad one becomes an ``ItemError`` in its place and the
good ones are kept. Unknown fields are refused, since a misspelled ``timestamp`` would otherwise
quietly become "now". Whether units, experiments and variants exist is the service's question.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypedDict, TypeVar

from analytics.core.intake import item_fields as read
from analytics.core.intake.event_types import event_type
from analytics.core.intake.item_fields import MAX_WHOLE, Bad, Fields
from analytics.core.intake.sent import Sent, sent_of

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_UNIT_FIELDS = frozenset({"units", "unit", "user_id", "unit_type"})
MAX_ITERATION = 2**31 - 1
_COMMON = _UNIT_FIELDS | {
    "event_id",
    "timestamp",
    "experiment",
    "experiment_id",
    "variant",
    "context",
}


@dataclass(frozen=True)
class ItemError:
    """Why one item was not stored: its place in the batch, a stable code, the field, a sentence;
    and what was sent, to find it by.
    """

    index: int
    code: str
    field: str
    message: str
    sent: Sent | None = dataclasses.field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, object]:
        return {
            "index": self.index,
            "code": self.code,
            "field": self.field,
            "message": self.message,
        }


Label = Literal["useful", "not_useful"]


@dataclass(frozen=True, kw_only=True)
class _Item:
    """What all items have. ``at`` is when it happened; absent: when it arrives.

    ``body_hash`` tells a repeated item from another one under the same id; empty: taken from the
    item itself.
    """

    event_id: str
    at: datetime | None = None
    body_hash: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class _UnitItem(_Item):
    """An item about somebody. ``unit_type`` says which of ``units`` it is about when no experiment
    says so.

    ``stamp``: the properties by which another tool's message names an experiment and a variant.
    They may be that tool's own; where they are none of ours, they stay in the payload or context.
    """

    units: dict[str, str]
    unit_type: str | None = None
    variant: str | None = None
    context: dict[str, object] | None = None
    stamp: Fields = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class ExposureItem(_UnitItem):
    """The unit really met the experiment; ``variant`` is what it met and ``iteration`` in which
    one, when the application says.
    """

    experiment: str | int
    covariates: dict[str, object] | None = None
    iteration: int | None = None
    variant_may_be_index: bool = False


@dataclass(frozen=True, kw_only=True)
class ObservationItem(_UnitItem):
    """One measured value of a metric. With an experiment it counts in that one only."""

    metric: str
    value: float
    experiment: str | int | None = None
    covariates: dict[str, object] | None = None


@dataclass(frozen=True, kw_only=True)
class EventItem(_UnitItem):
    """One interaction. Cost is in whole millionths of the currency, latency in milliseconds."""

    event_type: str
    experiment: str | int | None = None
    value: float | None = None
    payload: dict[str, object] = field(default_factory=dict)
    cost_micro: int | None = None
    latency_ms: int | None = None
    language: str | None = None
    embedding_stats: dict[str, object] | None = None
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class FeedbackItem(_UnitItem):
    """What somebody thought of an answer of the AI; ``request_id`` says of which one."""

    experiment: str | int | None = None
    label: Label | None = None
    comment: str | None = None
    manual_edit_flag: bool | None = None
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class CostItem(_Item):
    """What one call of a model took; ``request_id`` leads to the events, and through them to the
    units, that it was for.

    Cost is in whole millionths of the currency; ``qps_bucket`` is how busy the service was, in its
    own words.
    """

    request_id: str
    model: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_micro: int | None = None
    cache_hit: bool | None = None
    qps_bucket: str | None = None


Item = TypeVar("Item", bound=_Item)


class _Common(TypedDict):
    event_id: str
    units: dict[str, str]
    unit_type: str | None
    at: datetime | None
    variant: str | None
    context: dict[str, object] | None
    body_hash: str


def parse_items(raw: Sequence[object], parse: Callable[[Fields], Item]) -> list[Item | ItemError]:
    """Every item read, or the reason why not, in the order sent."""
    return [_parse_one(index, item, parse) for index, item in enumerate(raw)]


def parse_exposure(raw: Fields) -> ExposureItem:
    """An exposure: ``event_id``, ``experiment``, units; optional ``variant``, ``iteration``,
    ``timestamp``, ``covariates``, ``context``.

    A variant may be written with its iteration (``treatment@2``), as clients repeat it that have no
    field for it.
    """
    read.refuse_unknown(raw, _COMMON | {"covariates", "iteration"})
    common, iteration = _common(raw, "exposure"), read.whole(raw, "iteration", 0, MAX_ITERATION)
    common["variant"], named = split_iteration(common["variant"])
    if named is not None and iteration is not None and named != iteration:
        raise Bad(
            "invalid",
            "iteration",
            f"iteration: {iteration} differs from the variant's iteration, {named}",
        )
    found = iteration if iteration is not None else named
    return ExposureItem(
        experiment=read.needed_ref(raw), covariates=read.covariates(raw), iteration=found, **common
    )


def split_iteration(variant: str | None) -> tuple[str | None, int | None]:
    """A variant's key and the iteration it is written with; no key holds an ``@`` itself."""
    key, at, number = (variant or "").rpartition("@")
    if (
        not at
        or not key
        or not (number.isascii() and number.isdigit() and len(number) < len(str(MAX_ITERATION)))
    ):
        return variant, None
    return key, int(number)


def parse_observation(raw: Fields, stamp: Fields | None = None) -> ObservationItem:
    """An observation: ``event_id``, ``metric``, ``value``, units; optional ``experiment``,
    ``variant``, ``timestamp``, …
    """
    read.refuse_unknown(raw, _COMMON | {"metric", "metric_name", "value", "covariates"})
    return ObservationItem(
        metric=read.matching(
            read.one_of(raw, "metric", "metric_name"),
            "metric",
            _NAME,
            "1 to 80 letters, digits, _ and -",
        ),
        value=read.needed_number(raw, "value"),
        stamp=stamp or {},
        experiment=read.ref(raw),
        covariates=read.covariates(raw),
        **_common(raw, "observation"),
    )


def parse_event(raw: Fields, stamp: Fields | None = None) -> EventItem:
    """An event: ``event_id``, ``event_type``, units; optional ``payload``, ``value``,
    ``cost_micro``, ``latency_ms``, …

    What only describes it (``language``, ``embedding_stats``, ``request_id``) stays in the payload,
    with a note, where it does not fit; numbers that metrics read are refused by name.
    """
    own = {
        "event_type",
        "type",
        "value",
        "payload",
        "cost_micro",
        "latency_ms",
        "language",
        "embedding_stats",
        "request_id",
    }
    read.refuse_unknown(raw, _COMMON | own)
    kept, left, notes = fitting(
        {name: raw[name] for name in DESCRIPTIVE if raw.get(name) is not None}
    )
    return EventItem(
        event_type=event_type(read.needed(read.one_of(raw, "event_type", "type"), "event_type")),
        experiment=read.ref(raw),
        value=read.number(raw, "value"),
        payload=with_notes(read.mapping(raw, "payload") or {}, left, notes),
        stamp=stamp or {},
        cost_micro=read.whole(raw, "cost_micro", -MAX_WHOLE, MAX_WHOLE),
        latency_ms=read.milliseconds(raw),
        language=read.text(kept, "language", 16),
        embedding_stats=read.mapping(kept, "embedding_stats"),
        request_id=read.text(kept, "request_id", 128),
        **_common(raw, "event"),
    )


def parse_feedback(raw: Fields) -> FeedbackItem:
    """Feedback: ``event_id``, units, ``label`` (useful, not_useful) or ``manual_edit_flag``;
    optional ``comment``, ``request_id``, …
    """
    read.refuse_unknown(raw, _COMMON | {"label", "comment", "manual_edit_flag", "request_id"})
    label, edited, comment = (
        _label(raw),
        read.flag(raw, "manual_edit_flag"),
        read.prose(raw, "comment"),
    )
    if label is None and edited is None and comment is None:
        raise Bad(
            "missing",
            "label",
            "nothing is said: expected at least one of label, manual_edit_flag and comment",
        )
    return FeedbackItem(
        experiment=read.ref(raw),
        label=label,
        comment=comment,
        manual_edit_flag=edited,
        request_id=read.text(raw, "request_id", 128),
        **_common(raw, "feedback"),
    )


def parse_cost(raw: Fields) -> CostItem:
    """A cost: ``event_id``, ``request_id``, ``model``; optional ``tokens_in``, ``tokens_out``,
    ``cost_micro``, ``cache_hit``, …
    """
    own = {
        "request_id",
        "model",
        "tokens_in",
        "tokens_out",
        "cost_micro",
        "cache_hit",
        "qps_bucket",
    }
    read.refuse_unknown(raw, own | {"event_id", "timestamp"})
    bucket = raw.get("qps_bucket")
    return CostItem(
        event_id=read.event_id(raw),
        at=read.moment(raw),
        body_hash=_hash("cost", raw),
        request_id=read.needed(read.text(raw, "request_id", 128), "request_id"),
        model=read.needed(read.text(raw, "model", 200), "model"),
        tokens_in=read.whole(raw, "tokens_in", 0, MAX_WHOLE),
        tokens_out=read.whole(raw, "tokens_out", 0, MAX_WHOLE),
        cost_micro=read.whole(raw, "cost_micro", -MAX_WHOLE, MAX_WHOLE),
        cache_hit=read.flag(raw, "cache_hit"),
        qps_bucket=str(read.whole(raw, "qps_bucket", 0, MAX_WHOLE))
        if isinstance(bucket, int)
        else read.text(raw, "qps_bucket", 40),
    )


OPTIONAL: Mapping[str, Callable[[Fields, str], object]] = {
    "value": read.number,
    "cost_micro": lambda raw, name: read.whole(raw, name, -MAX_WHOLE, MAX_WHOLE),
    "latency_ms": lambda raw, _name: read.milliseconds(raw),
    "language": lambda raw, name: read.text(raw, name, 16),
    "embedding_stats": read.mapping,
    "request_id": lambda raw, name: read.text(raw, name, 128),
}
"""Fields of an event that may be left out, and how each is read."""
DESCRIPTIVE = ("language", "embedding_stats", "request_id")
"""Those that no metric reads."""
NOTES = "assay_notes"
"""The payload's key under which stands what did not fit, and why."""


def with_notes(payload: Fields, left: Fields, notes: Sequence[str]) -> dict[str, object]:
    """A payload with what did not fit its fields, and the reasons."""
    return {**payload, **left, NOTES: list(notes)} if notes else dict(payload)


def fitting(fields: Fields) -> tuple[dict[str, object], dict[str, object], list[str]]:
    """Optional fields of an event that can be kept as such; those that cannot, with the reasons."""
    kept: dict[str, object] = {}
    left: dict[str, object] = {}
    notes = []
    for name, value in fields.items():
        try:
            OPTIONAL[name](fields, name)
            kept[name] = value
        except Bad as bad:
            left[name] = value
            notes.append(bad.message)
    return kept, left, notes


def _label(raw: Fields) -> Label | None:
    """Both words as people write them: not useful, not-useful, not_useful."""
    text = (read.text(raw, "label", 40) or "").strip().lower().replace(" ", "_").replace("-", "_")
    if not text:
        return None
    if text == "useful":
        return "useful"
    if text == "not_useful":
        return "not_useful"
    raise Bad(
        "invalid",
        "label",
        f"label: expected useful or not_useful; found {read.shown(raw['label'])}",
    )


def hash_of(item: _Item) -> str:
    """What tells this body from another one under the same id (SHA-256)."""
    return item.body_hash or hashlib.sha256(repr(item).encode()).hexdigest()


def _parse_one(index: int, raw: object, parse: Callable[[Fields], Item]) -> Item | ItemError:
    if not isinstance(raw, dict):
        return ItemError(
            index, "not_an_object", "", f"an item is a JSON object; found {read.kind(raw)}"
        )
    try:
        return parse(raw)
    except Bad as bad:
        return ItemError(index, bad.code, bad.name, bad.message, sent_of(raw))


def _common(raw: Fields, kind: str) -> _Common:
    return _Common(
        event_id=read.event_id(raw),
        units=read.units(raw),
        unit_type=read.text(raw, "unit_type", 32),
        at=read.moment(raw),
        variant=read.text(raw, "variant", 200),
        context=read.mapping(raw, "context"),
        body_hash=_hash(kind, raw),
    )


def _hash(kind: str, raw: Fields) -> str:
    canonical = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{kind}:{canonical}".encode()).hexdigest()
