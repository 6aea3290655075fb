"""The catalogue: parsed from its document, and the document's canonical bytes and digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeVar, cast

from experiments.core.errors import InvalidInput
from experiments.core.serving.catalogue import Catalogue
from experiments.core.serving.catalogue_document import SCHEMA, CatalogueDocument
from experiments.core.serving.entities import (
    Audience,
    Holdout,
    Override,
    ServedFlag,
    ServedVariant,
    ServingExperiment,
    ServingRollout,
)
from experiments.core.serving.flag_values import typed_value
from experiments.core.targeting.exclusions import ExclusionList, Exclusions
from experiments.core.targeting.predicates import (
    Condition,
    Segment,
    Segments,
    parse_conditions,
    segments_named,
)
from experiments.core.types import BUCKETS, JSON, DarkMode, FlagType, Status

__all__ = ["Catalogue", "CatalogueDocument", "canonical", "digest", "parse"]

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
_INDEXES = tuple(range(BUCKETS))
"""The same numbers for all who hold buckets: a parsed document has its own thousand an experiment.
"""


def canonical(document: Mapping[str, object]) -> bytes:
    """The one way to write a document: sorted keys, no spaces, UTF-8, no NaN."""
    try:
        text = json.dumps(
            document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode("utf-8")
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"the document cannot be written as JSON: {error}") from error


def digest(document: Mapping[str, object]) -> str:
    """SHA-256 of the canonical bytes, as 64 hex characters."""
    return hashlib.sha256(canonical(document)).hexdigest()


def parse(document: Mapping[str, object]) -> Catalogue:
    """A catalogue ready to serve, or a refusal that names the place where the document is wrong."""
    top = _Node(document, "catalogue")
    if top.whole("schema") != SCHEMA:
        raise InvalidInput(
            f"catalogue.schema: this reader knows {SCHEMA}, found {top.whole('schema')}",
            "catalogue.schema",
        )
    segments = {segment.key: segment for segment in map(_segment, top.nodes("segments"))}
    flags = [_flag(node, segments) for node in top.nodes("flags")]
    by_key = {flag.key: flag for flag in flags}
    if len(by_key) != len(flags):
        raise InvalidInput("catalogue.flags: a flag key occurs twice", "catalogue.flags")
    holdout = top.node("holdout")
    return Catalogue(
        version=top.whole("version"),
        built_at=top.moment("built_at"),
        flags=by_key,
        exclusions=Exclusions(
            tuple(_exclusion_list(node, segments) for node in top.nodes("exclusions")), segments
        ),
        segments=segments,
        public_attributes=frozenset(top.texts("public_attributes")),
        holdout=None if holdout is None else _holdout(holdout),
    )


def _flag(node: _Node, segments: Segments) -> ServedFlag:
    flag_type = node.member("type", FlagType)
    experiment, rollout = node.node("experiment"), node.node("rollout")
    return ServedFlag(
        key=node.text("key"),
        type=flag_type,
        enabled=node.boolean("enabled"),
        default=typed_value(flag_type, node.get("default"), f"{node.path}.default"),
        client_visible=node.boolean("client_visible"),
        remote_only=node.get("remote_only") is not None and node.boolean("remote_only"),
        experiment=None
        if experiment is None
        else _experiment(experiment, flag_type, segments, preview=False),
        previews=tuple(
            _experiment(entry, flag_type, segments, preview=True)
            for entry in node.nodes("previews")
        ),
        rollout=None if rollout is None else _rollout(rollout, flag_type, segments),
        overrides=tuple(_override(entry) for entry in node.nodes("overrides")),
        resting=tuple((entry.text("key"), entry.text("name")) for entry in node.nodes("resting")),
    )


def _experiment(
    node: _Node, flag_type: FlagType, segments: Segments, *, preview: bool
) -> ServingExperiment:
    return ServingExperiment(
        id=node.whole("id"),
        key=node.text("key"),
        name=node.text("name"),
        iteration_id=None if node.get("iteration_id") is None else node.whole("iteration_id"),
        iteration=node.whole("iteration"),
        stage=node.member("stage", Status),
        unit_type=node.text("unit_type"),
        seed=node.text("seed"),
        targeting=node.conditions("targeting", segments),
        variants=tuple(_variant(entry, flag_type) for entry in node.nodes("variants")),
        dark_mode=node.member("dark_mode", DarkMode),
        preview=preview,
        segments=segments,
    )


def _variant(node: _Node, flag_type: FlagType) -> ServedVariant:
    config = cast("dict[str, JSON]", node.typed("config", dict, "an object"))
    value = node.get("value")
    return ServedVariant(
        id=node.whole("id"),
        key=node.text("key"),
        name=node.text("name"),
        is_control=node.boolean("is_control"),
        value=typed_value(
            flag_type,
            config if value is None and flag_type is FlagType.OBJECT else value,
            f"{node.path}.value",
        ),
        config=config,
        main=node.buckets("main"),
        dark=node.buckets("dark"),
        twin=node.buckets("twin"),
        stopped=node.buckets("stopped"),
    )


def _rollout(node: _Node, flag_type: FlagType, segments: Segments) -> ServingRollout:
    return ServingRollout(
        experiment_id=node.whole("experiment_id"),
        experiment=node.text("experiment"),
        experiment_name=node.text("experiment_name"),
        iteration_id=node.whole("iteration_id"),
        iteration=node.whole("iteration"),
        variant=_variant(node.child("variant"), flag_type),
        control=_variant(node.child("control"), flag_type),
        audience=_audience(node.child("audience"), segments),
        holdback=frozenset(node.buckets("holdback")),
        holdback_until=None
        if node.get("holdback_until") is None
        else node.moment("holdback_until"),
    )


def _audience(node: _Node, segments: Segments) -> Audience:
    return Audience(
        unit_type=node.text("unit_type"),
        targeting=node.conditions("targeting", segments),
        seed=node.text("seed"),
        buckets=None if node.get("buckets") is None else frozenset(node.buckets("buckets")),
        segments=segments,
    )


def _override(node: _Node) -> Override:
    return Override(
        experiment=node.text("experiment"),
        unit_type=node.text("unit_type"),
        unit_id=node.text("unit_id"),
        variant=node.text("variant"),
        until=node.moment("until"),
    )


def _holdout(node: _Node) -> Holdout:
    until = None if node.get("until") is None else node.moment("until")
    return Holdout(
        node.text("unit_type"), node.text("seed"), frozenset(node.buckets("buckets")), until
    )


def _exclusion_list(node: _Node, segments: Segments) -> ExclusionList:
    return ExclusionList(
        key=node.text("key"), ids=node.child("ids").id_lists(), rules=node.rules("rules", segments)
    )


def _segment(node: _Node) -> Segment:
    return Segment(
        key=node.text("key"), ids=node.child("ids").id_lists(), rules=node.rules("rules", {})
    )


class _Node:
    """An object of the document and where it stands, so that every refusal can say where."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise InvalidInput(f"{path}: expected an object, found {type(value).__name__}", path)
        self._fields = cast("Mapping[str, object]", value)
        self.path = path

    def id_lists(self) -> dict[str, frozenset[str]]:
        """All fields as lists of unit ids, by unit type."""
        return {unit_type: frozenset(self.texts(unit_type)) for unit_type in self._fields}

    def get(self, name: str) -> object:
        return self._fields.get(name)

    def typed(self, name: str, wanted: type[T], said: str) -> T:
        value = self._fields.get(name)
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            path = f"{self.path}.{name}"
            raise InvalidInput(f"{path}: expected {said}, found {str(value)[:64]!r}", path)
        return value

    def text(self, name: str) -> str:
        return self.typed(name, str, "a string")

    def whole(self, name: str) -> int:
        return self.typed(name, int, "a whole number")

    def boolean(self, name: str) -> bool:
        return self.typed(name, bool, "true or false")

    def moment(self, name: str) -> datetime:
        return self._read(name, _aware, "a moment with a zone (ISO 8601)")

    def member(self, name: str, kind: type[E]) -> E:
        return self._read(name, kind, f"one of {', '.join(kind)}")

    def conditions(self, name: str, segments: Segments) -> tuple[Condition, ...]:
        return _conditions(self.get(name), f"{self.path}.{name}", segments)

    def rules(self, name: str, segments: Segments) -> tuple[tuple[Condition, ...], ...]:
        return tuple(
            _conditions(rule, f"{self.path}.{name}[{index}]", segments)
            for index, rule in enumerate(self.items(name))
        )

    def items(self, name: str) -> list[object]:
        return (
            [] if self.get(name) is None else cast("list[object]", self.typed(name, list, "a list"))
        )

    def texts(self, name: str) -> list[str]:
        return self._all(name, lambda item: isinstance(item, str), "a list of strings", str)

    def buckets(self, name: str) -> tuple[int, ...]:
        found = self._all(
            name, _is_bucket, f"a list of bucket indexes from 0 to {BUCKETS - 1}", int
        )
        return tuple(map(_INDEXES.__getitem__, found))

    def child(self, name: str) -> _Node:
        return _Node(self.get(name), f"{self.path}.{name}")

    def node(self, name: str) -> _Node | None:
        return None if self.get(name) is None else self.child(name)

    def nodes(self, name: str) -> list[_Node]:
        return [
            _Node(item, f"{self.path}.{name}[{index}]")
            for index, item in enumerate(self.items(name))
        ]

    def _read(self, name: str, reader: Callable[[str], T], said: str) -> T:
        try:
            return reader(self.text(name))
        except ValueError:
            path = f"{self.path}.{name}"
            raise InvalidInput(
                f"{path}: expected {said}, found {self.text(name)[:64]!r}", path
            ) from None

    def _all(self, name: str, fits: Callable[[object], bool], said: str, _kind: type[T]) -> list[T]:
        values = self.items(name)
        if not all(fits(value) for value in values):
            path = f"{self.path}.{name}"
            raise InvalidInput(f"{path}: expected {said}", path)
        return cast("list[T]", values)


def _conditions(rule: object, path: str, segments: Segments) -> tuple[Condition, ...]:
    conditions = parse_conditions(rule, path)
    unknown = sorted(segments_named(conditions) - segments.keys())
    if unknown:
        raise InvalidInput(
            f"{path}: names segment {unknown[0]!r}, and the document has none of this key", path
        )
    return conditions


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment


def _is_bucket(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < BUCKETS
