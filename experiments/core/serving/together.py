"""Many experiments or flags asked at once, at less than the sum of their prices; the answers are
each one's own.

Exclusions and the global holdout are one question whoever asks it, and experiments that share a
targeting and a unit type are matched once for all of them. What is left for each is its hash and a
look-up. A flag with overrides or a rollout is asked by itself, as ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from operator import getitem
from typing import Self

from experiments.core.hashing import buckets_under
from experiments.core.serving.entities import Holdout
from experiments.core.serving.evaluation import (
    Alone,
    Assignment,
    Compiled,
    Evaluator,
    Served,
    assignment_of,
)
from experiments.core.serving.order import StepName, in_order
from experiments.core.targeting.exclusions import Exclusions
from experiments.core.targeting.predicates import Attributes, Units
from experiments.core.types import Reason
from experiments.core.units import unit_id


class Assigned(Collection[Assignment]):
    """The answers to one request in columns, which cost a fraction of as many objects; iterating
    makes these.
    """

    __slots__ = ("buckets", "served", "unit_ids")

    def __init__(
        self,
        served: Sequence[Served],
        unit_ids: Sequence[str | None],
        buckets: Sequence[int | None],
    ) -> None:
        self.served, self.unit_ids, self.buckets = served, unit_ids, buckets

    @classmethod
    def of(cls, answers: Sequence[Assignment]) -> Self:
        """These answers."""
        return cls(
            [one.served for one in answers],
            [one.unit_id for one in answers],
            [one.bucket for one in answers],
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The answers of all parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            [served for part in parts for served in part.served],
            [unit_id for part in parts for unit_id in part.unit_ids],
            [bucket for part in parts for bucket in part.buckets],
        )

    def at(self, places: Sequence[int]) -> Self:
        """The answers at these places, in their order."""
        return type(self)(
            [self.served[at] for at in places],
            [self.unit_ids[at] for at in places],
            [self.buckets[at] for at in places],
        )

    def __iter__(self) -> Iterator[Assignment]:
        return map(assignment_of, self.served, self.unit_ids, self.buckets)

    def __len__(self) -> int:
        return len(self.served)

    def __contains__(self, answer: object) -> bool:
        return any(one == answer for one in self)


class Together:
    """Answers in the order of ``asked``."""

    def __init__(
        self, asked: Sequence[Compiled], exclusions: Exclusions, holdout: Holdout | None
    ) -> None:
        self._exclusions = exclusions if exclusions.lists else None
        self._holdout = holdout
        alike: dict[tuple[str, str], dict[int, Alone]] = {}
        others: dict[int, Evaluator] = {}
        for place, (evaluate, alone) in enumerate(asked):
            if alone is not None and alone.experiment.seed.isascii():
                alike.setdefault(_shared_by(alone), {})[place] = alone
            else:
                others[place] = evaluate
        self._alike = [_Alike(list(group.values())) for group in alike.values()]
        self._others = list(others.values())
        answered = [place for group in alike.values() for place in group] + list(others)
        self._order = sorted(range(len(answered)), key=answered.__getitem__)
        self._in_order = answered == sorted(answered)

    def __call__(self, units: Units, attributes: Attributes, now: datetime) -> Assigned:
        """What each of them answers to this request."""
        excluded = (
            self._exclusions is not None
            and self._exclusions.excluded_by(units, attributes) is not None
        )
        held = self._holdout is not None and self._holdout.holds(
            unit_id(units, self._holdout.unit_type), now
        )
        parts = [alike.answers(units, attributes, excluded, held) for alike in self._alike]
        if self._others:
            parts.append(
                Assigned.of([evaluate(units, attributes, now) for evaluate in self._others])
            )
        found = Assigned.joined(parts)
        return found if self._in_order else found.at(self._order)


def _shared_by(alone: Alone) -> tuple[str, str]:
    """What experiments must have in common to be asked as one. As text, in which 1, 1.0 and true
    are not the same.
    """
    return repr(alone.experiment.targeting), alone.experiment.unit_type


_BARRIERS = in_order(
    "answering many at once",
    (
        (StepName.EXCLUSIONS, Reason.EXCLUDED),
        (StepName.TARGETING, Reason.NOT_TARGETED),
        (StepName.UNIT, Reason.UNIT_MISSING),
        (StepName.HOLDOUT, Reason.HOLDOUT),
    ),
)
"""What may keep a request from the experiments' buckets."""


class _Alike:
    """Experiments of one targeting and one unit type."""

    def __init__(self, those: Sequence[Alone]) -> None:
        first = those[0].experiment
        self._matches, self._unit_type = first.matches, first.unit_type
        self._seeds = [alone.experiment.seed.encode("ascii") for alone in those]
        self._tables: list[Sequence[Served]] = [alone.table for alone in those]
        self._otherwise = {
            reason: [alone.otherwise[reason] for alone in those] for reason in those[0].otherwise
        }

    def answers(self, units: Units, attributes: Attributes, excluded: bool, held: bool) -> Assigned:
        """What each experiment answers to this request."""
        identity = unit_id(units, self._unit_type)
        barred = {
            Reason.EXCLUDED: excluded,
            Reason.NOT_TARGETED: not self._matches(units, attributes),
            Reason.UNIT_MISSING: identity is None,
            Reason.HOLDOUT: held,
        }
        for reason in _BARRIERS:
            if barred[reason]:
                return self._all(reason)
        buckets = buckets_under(self._seeds, identity or "")
        return Assigned(
            list(map(getitem, self._tables, buckets)), [identity] * len(buckets), buckets
        )

    def _all(self, reason: Reason) -> Assigned:
        served = self._otherwise[reason]
        return Assigned(served, [None] * len(served), [None] * len(served))
