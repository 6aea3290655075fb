"""What a unit does once it has met an arm, as the JSON that an application would send to the doors.

History and live traffic both send these bodies, so the pages show one truth. A unit has an activity
that is the same for its past and its present: what it did before predicts what it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from .base import Example, RequestProfile, ValueProfile

LONGEST_WAIT = timedelta(hours=48)
"""An event follows its exposure within this time, well inside every conversion window."""
AT_ONCE = timedelta(seconds=1)
"""A request to the AI, and what people think of its answer, follow the exposure directly."""
PAST = timedelta(days=14)
OBSERVED = 1 / 3
"""Few people answer when they are asked: the share of units whose rating arrives."""
LABELLED = 0.3
KEYS: Mapping[str, tuple[str, ...]] = {
    "job_view": ("job_id", "profile_id"),
    "job_click": ("job_id", "profile_id"),
    "apply": ("job_id", "profile_id"),
    "message": ("profile_id",),
    "scam_complaint": ("profile_id",),
    "dispute_routed": ("dispute_id",),
    "dispute_resolved": ("dispute_id",),
}
"""The keys of offline data sets that the payload of an event type keeps."""
COMMENTS = ("Spot on.", "Too general.", "Better than last time.", "Not right for me.")

Body = dict[str, Any]  # JSON of a door


@dataclass
class Doings:
    """Everything one unit's visit sends, by door."""

    events: list[Body] = field(default_factory=list)
    observations: list[Body] = field(default_factory=list)
    costs: list[Body] = field(default_factory=list)
    feedback: list[Body] = field(default_factory=list)

    def by_door(self) -> Iterator[tuple[str, Body]]:
        """(door, body) of each."""
        for door in ("events", "observations", "costs", "feedback"):
            for body in getattr(self, door):
                yield door, body


@dataclass(frozen=True)
class Visit:
    """A unit that meets an arm (or none, when it acts like control), when, and how the ids of what
    it sends begin.

    ``activity`` multiplies how much the unit does, with mean 1; ``shift`` moves the embeddings of
    its requests, in standard deviations. ``eager`` is the share of the truth that one visit shows:
    less than 1 for who comes again.
    """

    units: Mapping[str, str]
    arm: str
    first: datetime
    ident: str
    activity: float = 1.0
    language: str | None = None
    shift: float = 0.0
    eager: float = 1.0
    met: bool = True
    longest: timedelta = LONGEST_WAIT


def activity(random: np.random.Generator) -> float:
    """How active a unit is: mean 1, standard deviation a half."""
    return float(random.gamma(4.0, 0.25))


def language(example: Example, random: np.random.Generator) -> str | None:
    """The unit's language, where the example has several."""
    shares = example.languages
    return str(random.choice(list(shares), p=list(shares.values()))) if shares else None


def doings(example: Example, visit: Visit, random: np.random.Generator) -> Doings:
    """What the truth makes this unit do."""
    done = Doings()
    _happens(example, visit, random, done)
    if visit.met:
        _asks(example, visit, random, done)
        _rates(example, visit, random, done)
    return done


def before(example: Example, visit: Visit, random: np.random.Generator) -> Iterator[Body]:
    """What the unit did in the two weeks before it met the experiment."""
    for event_type, mean in example.past.items():
        for n in range(int(random.poisson(mean * visit.activity))):
            at = visit.first - PAST * random.random()
            yield _event(visit, f"p-{visit.ident}-{event_type}-{n}", event_type, at, random)


def _happens(example: Example, visit: Visit, random: np.random.Generator, done: Doings) -> None:
    for event_type, chance in example.truth.get(visit.arm, {}).items():
        if random.random() < chance * visit.eager:
            done.events.append(_later(example, visit, event_type, "", random))
    for event_type, mean in example.counts.get(visit.arm, {}).items():
        for n in range(int(random.poisson(mean * visit.activity * visit.eager))):
            done.events.append(_later(example, visit, event_type, f"-{n}", random))


def _later(
    example: Example, visit: Visit, event_type: str, nth: str, random: np.random.Generator
) -> Body:
    at = (
        visit.first
        + min(timedelta(minutes=1), visit.longest)
        + max(visit.longest - timedelta(minutes=1), timedelta(0)) * random.random()
    )
    body = _event(visit, f"e-{visit.ident}-{event_type}{nth}", event_type, at, random) | _stamp(
        example, visit
    )
    carried = example.measured.get(visit.arm, {}).get(event_type)
    return body if carried is None else body | {"value": drawn(carried, random)}


def _stamp(example: Example, visit: Visit) -> Body:
    """Which experiment and variant the application was serving, as it knows both."""
    return {"experiment": example.key, "variant": visit.arm} if visit.met else {}


def _event(
    visit: Visit, event_id: str, event_type: str, at: datetime, random: np.random.Generator
) -> Body:
    body: Body = {
        "event_id": event_id,
        "units": dict(visit.units),
        "event_type": event_type,
        "timestamp": at.isoformat(),
    }
    keys = KEYS.get(event_type)
    if keys:
        body["payload"] = {key: f"{key[0]}-{random.integers(100_000):05d}" for key in keys}
    return body


def _asks(example: Example, visit: Visit, random: np.random.Generator, done: Doings) -> None:
    asked = example.asked.get(visit.arm)
    if asked is None:
        return
    extra = int(random.poisson((asked.times - 1) * visit.activity)) if asked.times > 1 else 0
    for n in range(1 + extra):
        at = (
            visit.first
            + min(AT_ONCE, visit.longest)
            + n * (visit.longest / (extra + 1)) * random.random()
        )
        _asks_once(example, asked, visit, f"{visit.ident}-{example.key}-{n}", at, random, done)


def _asks_once(
    example: Example,
    asked: RequestProfile,
    visit: Visit,
    ident: str,
    at: datetime,
    random: np.random.Generator,
    done: Doings,
) -> None:
    cost, latency = spread(asked, random)
    request: Body = {
        "event_id": f"r-{ident}", "units": dict(visit.units), "event_type": "ai_request", "timestamp": at.isoformat(),
        "latency_ms": latency, **_stamp(example, visit),
        "embedding_stats": {"norm": round(float(random.normal(1 + 0.1 * visit.shift, 0.1)), 4)},
    }  # fmt: skip
    if visit.language is not None:
        request["language"] = visit.language
    if asked.model:
        request["request_id"] = f"q-{ident}"
        done.costs.append(_metered(asked, ident, at, cost, random))
    else:
        request["cost_micro"] = cost
    done.events.append(request)
    if asked.useful is not None and random.random() < LABELLED:
        done.feedback.append(_opinion(asked, visit, ident, at, random) | _stamp(example, visit))


def _metered(
    asked: RequestProfile, ident: str, at: datetime, cost: int, random: np.random.Generator
) -> Body:
    read, written = (max(1, round(tokens * (0.5 + random.random()))) for tokens in asked.tokens)
    body: Body = {
        "event_id": f"c-{ident}", "request_id": f"q-{ident}", "model": asked.model, "timestamp": at.isoformat(),
        "tokens_in": read, "tokens_out": written, "cache_hit": bool(random.random() < 0.2), "qps_bucket": "0-10",
    }  # fmt: skip
    return body if asked.priced else body | {"cost_micro": cost}


def _opinion(
    asked: RequestProfile, visit: Visit, ident: str, at: datetime, random: np.random.Generator
) -> Body:
    useful = random.random() < (asked.useful or 0.0)
    body: Body = {
        "event_id": f"f-{ident}", "units": dict(visit.units), "request_id": f"q-{ident}", "timestamp": (at + AT_ONCE).isoformat(),
        "label": "useful" if useful else "not_useful", "manual_edit_flag": bool(random.random() < asked.edited),
    }  # fmt: skip
    return (
        body | {"comment": COMMENTS[int(random.integers(len(COMMENTS)))]}
        if random.random() < 0.2
        else body
    )


def _rates(example: Example, visit: Visit, random: np.random.Generator, done: Doings) -> None:
    for metric, chance in example.rated.get(visit.arm, {}).items():
        value = float(random.random() < chance)
        if random.random() < OBSERVED:
            done.observations.append({
                "event_id": f"o-{visit.ident}-{metric}", "units": dict(visit.units), "experiment": example.key, "metric": metric,
                "value": value, "timestamp": (visit.first + AT_ONCE).isoformat(),
            })  # fmt: skip


def drawn(measured: ValueProfile, random: np.random.Generator) -> float:
    """One value of an event."""
    return round(
        float(np.clip(random.normal(measured.mean, measured.sd), measured.low, measured.high)), 3
    )


def spread(asked: RequestProfile, random: np.random.Generator) -> tuple[int, int]:
    """Cost and latency of one request: cost from half to half as much again, latency with a tail to
    the right.
    """
    cost = round(asked.cost_micro * (0.5 + random.random()))
    return cost, max(1, round(asked.latency_ms * float(random.lognormal(-0.06, 0.35))))
