"""The catalogue as a document: the shape that the changing service writes and every reader
parses.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from experiments.core.types import JSON

SCHEMA = 1
"""Raised when a reader of the old shape would misread the new one."""


class VariantDocument(TypedDict):
    """``main``, ``dark`` and ``twin`` list the bucket indexes it owns; ``value: null`` means its
    config.

    An arm that is switched off alone owns none: those it had stand under ``stopped``, where a
    reader that does not know the word finds nothing either and serves the rollout or the default.
    """

    id: int
    key: str
    name: str
    is_control: bool
    value: JSON
    config: dict[str, JSON]
    main: NotRequired[list[int]]
    dark: NotRequired[list[int]]
    twin: NotRequired[list[int]]
    stopped: NotRequired[list[int]]


class ExperimentDocument(TypedDict):
    """A serving experiment; a preview has stage draft or dark_launch and a full-share
    allocation.
    """

    id: int
    key: str
    name: str
    iteration_id: int | None
    iteration: int
    stage: str
    unit_type: str
    seed: str
    targeting: list[JSON]
    variants: list[VariantDocument]
    dark_mode: str


class AudienceDocument(TypedDict):
    """``buckets: null`` means all of them."""

    unit_type: str
    targeting: list[JSON]
    seed: str
    buckets: list[int] | None


class RolloutDocument(TypedDict):
    experiment_id: int
    experiment: str
    experiment_name: str
    iteration_id: int
    iteration: int
    variant: VariantDocument
    control: VariantDocument
    audience: AudienceDocument
    holdback: list[int]
    holdback_until: str | None


class OverrideDocument(TypedDict):
    experiment: str
    unit_type: str
    unit_id: str
    variant: str
    until: str


class RestingDocument(TypedDict):
    """An experiment of the flag that serves nothing now."""

    key: str
    name: str


class FlagDocument(TypedDict):
    key: str
    type: str
    enabled: bool
    default: JSON
    client_visible: bool
    experiment: ExperimentDocument | None
    previews: list[ExperimentDocument]
    rollout: RolloutDocument | None
    overrides: list[OverrideDocument]
    resting: NotRequired[list[RestingDocument]]
    remote_only: NotRequired[bool]


class ExclusionListDocument(TypedDict):
    """``ids`` by unit type; ``rules`` is a list of rules, each a list of conditions."""

    key: str
    ids: dict[str, list[str]]
    rules: list[list[JSON]]


class SegmentDocument(TypedDict):
    """A named audience that some condition of the document asks about: ids by unit type, and
    rules.
    """

    key: str
    ids: dict[str, list[str]]
    rules: list[list[JSON]]


class HoldoutDocument(TypedDict):
    unit_type: str
    seed: str
    buckets: list[int]
    until: str | None


class CatalogueDocument(TypedDict):
    """Moments are ISO 8601 with a zone; lists keep their order, which is the order of
    precedence.
    """

    schema: int
    version: int
    built_at: str
    segments: NotRequired[list[SegmentDocument]]
    public_attributes: NotRequired[list[str]]
    exclusions: list[ExclusionListDocument]
    holdout: HoldoutDocument | None
    flags: list[FlagDocument]
