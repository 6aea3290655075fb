"""The words of the platform as types; no Django here.

Enum values are what tables, answers and documents carry, so they never change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

JSON: TypeAlias = "None | bool | int | float | str | list[JSON] | dict[str, JSON]"
Units: TypeAlias = "dict[str, str]"
"""Unit type → unit id, as a request or an event carries them."""

BUCKETS = 1000
"""Buckets in a layer."""
THOUSANDTHS = 1000
"""Weights and traffic shares are whole thousandths."""
DARK_BUCKETS = 10
"""Buckets that a dark launch gives to the test arms; as many again are control twins."""
REST_DAYS = 30
"""Days a released bucket rests before another experiment may have it."""


class Status(StrEnum):
    DRAFT = "draft"
    DARK_LAUNCH = "dark_launch"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    ARCHIVED = "archived"


class Outcome(StrEnum):
    NONE = ""
    PROMOTED = "promoted"
    REVERTED = "reverted"
    STOPPED_HARM = "stopped_harm"
    WORSE = "worse"
    NO_EFFECT = "no_effect"
    INCONCLUSIVE = "inconclusive"
    CANCELLED = "cancelled"


class PauseCause(StrEnum):
    NONE = ""
    PERSON = "person"
    HARM = "harm"


class FlagType(StrEnum):
    BOOLEAN = "boolean"
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    OBJECT = "object"


class DarkMode(StrEnum):
    SHADOW = "shadow"
    VISIBLE = "visible"


class BucketRole(StrEnum):
    """Why an iteration holds a bucket."""

    MAIN = "main"
    DARK = "dark"
    TWIN = "twin"


class Phase(StrEnum):
    """In which part of an experiment's life a unit was first exposed; only MAIN enters results."""

    MAIN = "main"
    DARK = "dark"
    TWIN = "twin"
    ROLLOUT = "rollout"
    OVERRIDE = "override"


class Reason(StrEnum):
    """Why a unit got the value it got: the step of the evaluation order that decided."""

    UNKNOWN_FLAG = "unknown_flag"
    SWITCHED_OFF = "switched_off"
    OVERRIDE = "override"
    EXCLUDED = "excluded"
    UNIT_MISSING = "unit_missing"
    NOT_TARGETED = "not_targeted"
    HOLDOUT = "holdout"
    EXPERIMENT = "experiment"
    DARK_LAUNCH = "dark_launch"
    PREVIEW = "preview"
    HOLDBACK = "holdback"
    ROLLOUT = "rollout"
    NOT_IN_EXPERIMENT = "not_in_experiment"
    ARM_STOPPED = "arm_stopped"
    NOT_SERVING = "not_serving"
    DEFAULT = "default"


class Scope(StrEnum):
    SERVER = "server"
    CLIENT = "client"
    MANAGEMENT = "management"
    INGEST = "ingest"
    READ = "read"


class Environment(StrEnum):
    PRODUCTION = "production"
    TEST = "test"


class Role(StrEnum):
    """A person's job on the platform; the name of a Django group."""

    VIEWER = "viewer"
    PRODUCT_OWNER = "product_owner"
    DATA_SCIENTIST = "data_scientist"
    QA = "qa"
    ADMIN = "admin"


class Item(StrEnum):
    """A checklist item."""

    PRD = "prd"
    FLAG = "flag"
    METRICS = "metrics"
    SAMPLE_SIZE = "sample_size"
    OFFLINE = "offline"
    DARK_LAUNCH = "dark_launch"
    APPROVAL = "approval"


class Verdict(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"
    NOT_APPLICABLE = "not_applicable"


class MetricKind(StrEnum):
    PROPORTION = "proportion"
    MEAN = "mean"
    COUNT = "count"
    RATIO = "ratio"
    QUANTILE = "quantile"
    DURATION = "duration"


class Direction(StrEnum):
    """Which way is better."""

    INCREASE = "increase"
    DECREASE = "decrease"


class MetricRole(StrEnum):
    PRIMARY = "primary"
    SECONDARY = "secondary"
    GUARDRAIL = "guardrail"


class MarginKind(StrEnum):
    """How a guardrail's margin is meant: percentage points, relative, milliseconds or money."""

    POINTS = "points"
    RELATIVE = "relative"
    MILLISECONDS = "ms"
    MONEY = "money"


class GuardrailRule(StrEnum):
    """What a promotion needs of a guardrail."""

    SAFE = "safe"
    NO_BREACH = "no_breach"


class GuardrailAction(StrEnum):
    STOP = "stop"
    HOLD = "hold"
    ESCALATE = "escalate"


class Origin(StrEnum):
    LIVE = "live"
    IMPORT = "import"


class ActorKind(StrEnum):
    PERSON = "person"
    KEY = "key"
    MACHINE = "machine"


@dataclass(frozen=True)
class Actor:
    """Who does something: a person, a key that acts for its owner, or the machine itself.

    ``user_id`` is the person, or the key's owner; the machine has none. ``label`` is what the
    changelog shows.
    """

    kind: ActorKind
    label: str
    user_id: int | None = None
    roles: frozenset[Role] = frozenset()
    scope: Scope | None = None
    key_id: int | None = None


SYSTEM = Actor(kind=ActorKind.MACHINE, label="assay")
"""The machine: beat jobs and start-up."""
