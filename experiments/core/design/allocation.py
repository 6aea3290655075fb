"""Bucket plans: which of a layer's 1,000 buckets an iteration takes. Nothing here moves a held
bucket.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache

from experiments.core.errors import InvalidInput, Refused
from experiments.core.figures import counted
from experiments.core.types import BUCKETS, DARK_BUCKETS, REST_DAYS, THOUSANDTHS

_SUM_TOLERANCE = Fraction(1, 1_000_000)
_SMALLEST_EXPONENT = -30


@dataclass(frozen=True)
class BucketRow:
    """A bucket as the layer holds it: held by a variant, resting until a moment, or free."""

    index: int
    held: bool = False
    resting_until: datetime | None = None


@dataclass(frozen=True)
class BucketPlan:
    """The buckets that a step adds to each arm, and how many each arm holds after it."""

    added: tuple[tuple[int, ...], ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class DarkPlan:
    """A dark launch: the buckets of each arm (none for control) and control's twins."""

    dark: tuple[tuple[int, ...], ...]
    twins: tuple[int, ...]


def rest_until(released_at: datetime) -> datetime:
    """The moment from which a released bucket may be handed out again."""
    return released_at + timedelta(days=REST_DAYS)


def free_buckets(rows: Iterable[BucketRow], now: datetime) -> frozenset[int]:
    """The buckets a layer can hand out now: not held, and rested if ever released."""
    return frozenset(
        row.index
        for row in rows
        if not row.held and (row.resting_until is None or row.resting_until <= now)
    )


def main_buckets(traffic: int, reserved: int = 0) -> int:
    """How many buckets a traffic share (thousandths of all units) means beside the reserved ones.

    Dark buckets and twins come on top of the share; near 100 % what they leave is all there is.
    """
    if not 0 <= traffic <= THOUSANDTHS:
        raise InvalidInput(
            f"traffic is {traffic} thousandths; expected 0 to {THOUSANDTHS}", "traffic"
        )
    return min(traffic, BUCKETS - reserved)


def plan(
    order: Sequence[int],
    free: Collection[int],
    weights: Sequence[int],
    traffic: int,
    held: Sequence[Collection[int]] = (),
    reserved: int = 0,
) -> BucketPlan:
    """The buckets to add so that the arms hold ``traffic`` thousandths of all units in their
    proportions.

    ``order`` is the layer's shuffled order, ``free`` what it can hand out, ``weights`` the arms'
    split (thousandths summing to 1,000), ``held`` the main buckets each arm has now, ``reserved``
    the iteration's dark and twin buckets. The counts depend on the target alone, never on the
    steps that led there. Refuses a step that adds nothing, leaves an arm without a new bucket,
    would take one away, or wants more than is free.
    """
    mine = [frozenset(arm) for arm in held] or [frozenset[int]() for _ in weights]
    target = counts(weights, main_buckets(traffic, reserved))
    _refuse_bad_step(weights, target, [len(arm) for arm in mine])
    taken = frozenset[int]().union(*mine)
    open_now = frozenset(free) - taken
    available = [index for index in order if index in open_now]
    wanted = sum(target) - len(taken)
    if wanted > len(available):
        message = f"{counted(wanted, 'bucket')} wanted, {len(available)} free in the layer; lower the share or wait for resting buckets"
        raise Refused(message, "traffic")
    return BucketPlan(_hand_out(weights, sum(target), mine, iter(available)), target)


def _hand_out(
    weights: Sequence[int], total: int, held: Sequence[Collection[int]], available: Iterator[int]
) -> tuple[tuple[int, ...], ...]:
    """Walk the arms' fixed sequence; slots past what an arm holds take the next free bucket."""
    added: list[list[int]] = [[] for _ in weights]
    seen = [0] * len(weights)
    for arm in sequence(tuple(weights))[:total]:
        seen[arm] += 1
        if seen[arm] > len(held[arm]):
            added[arm].append(next(available))
    return tuple(tuple(arm) for arm in added)


def _refuse_bad_step(weights: Sequence[int], target: Sequence[int], held: Sequence[int]) -> None:
    if len(held) != len(weights):
        raise InvalidInput(f"{len(weights)} weights for {len(held)} arms", "weights")
    if sum(target) <= sum(held):
        raise Refused(
            f"the arms hold {sum(held)} buckets and the step asks for {sum(target)}: a ramp only adds",
            "traffic",
        )
    for arm, (weight, after, before) in enumerate(zip(weights, target, held, strict=True)):
        if weight and after <= before:
            message = f"the step from {sum(held)} to {sum(target)} buckets gives arm {arm + 1} (weight {weight}) none; take a larger step"
            raise Refused(message, "traffic")


def counts(weights: Sequence[int], total: int) -> tuple[int, ...]:
    """How many of ``total`` buckets each arm has: within one of its exact share, and never falling
    in ``total``.
    """
    dealt = sequence(tuple(weights))[:total]
    return tuple(dealt.count(arm) for arm in range(len(weights)))


@lru_cache(maxsize=512)
def sequence(weights: tuple[int, ...]) -> tuple[int, ...]:
    """The arms in the order in which they receive buckets: largest remainder, one bucket at a time.

    Largest remainder taken anew for each total can take a bucket away when the total grows (the
    Alabama paradox), which would move units. So each further bucket goes to the arm that is
    furthest below its share, among those that keep every arm within one bucket of its share at
    this and every later total (Still 1979). With two arms both are the same.
    """
    _check_weights(weights)
    given = [0] * len(weights)
    dealt: list[int] = []
    for total in range(1, BUCKETS + 1):
        arm = next(
            arm
            for arm in _by_shortfall(weights, given, total)
            if _keeps_shares(weights, given, arm, total)
        )
        given[arm] += 1
        dealt.append(arm)
    return tuple(dealt)


def _by_shortfall(weights: Sequence[int], given: Sequence[int], total: int) -> list[int]:
    """Arms below their share of ``total``, furthest below first, the earlier arm on equal terms."""
    shortfall = [
        weight * total - THOUSANDTHS * count for weight, count in zip(weights, given, strict=True)
    ]
    return sorted(
        (arm for arm, short in enumerate(shortfall) if short > 0), key=lambda arm: -shortfall[arm]
    )


def _keeps_shares(weights: Sequence[int], given: Sequence[int], arm: int, total: int) -> bool:
    """Whether giving this bucket to ``arm`` leaves enough later ones for every arm's rounded-down
    share.

    Only totals at which some arm is still ahead of its share can be too tight, so the search ends
    there.
    """
    after = [count + (index == arm) for index, count in enumerate(given)]
    horizon = max(
        -(-count * THOUSANDTHS // weight)
        for weight, count in zip(weights, after, strict=True)
        if weight
    )
    return all(
        _owed(weights, after, later) <= later - total
        for later in range(total, min(horizon, BUCKETS) + 1)
    )


def _owed(weights: Sequence[int], given: Sequence[int], total: int) -> int:
    return sum(
        max(0, weight * total // THOUSANDTHS - count)
        for weight, count in zip(weights, given, strict=True)
    )


def _check_weights(weights: Sequence[int]) -> None:
    if any(weight < 0 for weight in weights) or sum(weights) != THOUSANDTHS:
        message = f"weights {list(weights)} sum to {sum(weights)}; expected thousandths of 0 or more that sum to {THOUSANDTHS}"
        raise InvalidInput(message, "weights")


def plan_dark(
    order: Sequence[int], free: Collection[int], weights: Sequence[int], control: int
) -> DarkPlan:
    """A dark launch's buckets: ten over the test arms in their proportions, at least one each, and
    ten control twins.
    """
    _check_weights(weights)
    shares = dark_counts(weights, control)
    open_now = frozenset(free)
    available = [index for index in order if index in open_now]
    if len(available) < 2 * DARK_BUCKETS:
        raise Refused(
            f"a dark launch wants {2 * DARK_BUCKETS} buckets, {len(available)} are free in the layer",
            "dark_launch",
        )
    hand = iter(available)
    dark = tuple(tuple(next(hand) for _ in range(share)) for share in shares)
    return DarkPlan(dark, tuple(next(hand) for _ in range(DARK_BUCKETS)))


def dark_counts(weights: Sequence[int], control: int) -> tuple[int, ...]:
    """Dark buckets for each arm: none for control, ten over the others, at least one each."""
    tests = [arm for arm, weight in enumerate(weights) if arm != control and weight]
    if not 1 <= len(tests) <= DARK_BUCKETS:
        raise Refused(
            f"a dark launch needs 1 to {DARK_BUCKETS} test arms with traffic, found {len(tests)}",
            "variants",
        )
    spare = DARK_BUCKETS - len(tests)
    whole = sum(weights[arm] for arm in tests)
    ideal = [max(Fraction(0), Fraction(DARK_BUCKETS * weights[arm], whole) - 1) for arm in tests]
    extra = _largest_remainder([spare * part / (sum(ideal) or 1) for part in ideal], spare)
    share = {arm: 1 + more for arm, more in zip(tests, extra, strict=True)}
    return tuple(share.get(arm, 0) for arm in range(len(weights)))


def to_thousandths(fractions: Sequence[float | Decimal | str]) -> list[int]:
    """Fractions that sum to 1 as whole thousandths that sum to 1,000 exactly, by largest remainder.

    Equal remainders are settled from the middle outward, so that three thirds are 333/334/333.
    Refuses what is negative or not a number, sums that miss 1 by more than a millionth, and a
    positive share that would come out as none.
    """
    exact = [_exact(value, f"weights[{index}]") for index, value in enumerate(fractions)]
    total = sum(exact, Fraction(0))
    if abs(total - 1) > _SUM_TOLERANCE:
        raise InvalidInput(f"weights sum to {float(total):.6g}; expected 1", "weights")
    whole = _largest_remainder([part * THOUSANDTHS / total for part in exact], THOUSANDTHS)
    for index, (part, share) in enumerate(zip(exact, whole, strict=True)):
        if part and not share:
            raise InvalidInput(
                f"weights[{index}]: {float(part):.6g} is less than a thousandth and would get no unit",
                f"weights[{index}]",
            )
    return whole


def _exact(value: float | Decimal | str, path: str) -> Fraction:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    # The exponent is bounded before the fraction is written out: 1e-999999 would fill the memory.
    far_too_small = bool(number.is_finite() and number) and number.adjusted() < _SMALLEST_EXPONENT
    if (
        isinstance(value, bool)
        or not number.is_finite()
        or not 0 <= number <= 1 + _SUM_TOLERANCE
        or far_too_small
    ):
        raise InvalidInput(
            f"{path}: expected a fraction between 0 and 1, found {str(value)[:64]!r}", path
        )
    return Fraction(number)


def _largest_remainder(quotas: Sequence[Fraction], total: int) -> list[int]:
    """Whole numbers near the quotas that sum to ``total``; equal remainders from the middle
    outward.
    """
    whole = [math.floor(quota) for quota in quotas]
    middle = Fraction(len(quotas) - 1, 2)
    ranked = sorted(
        range(len(quotas)),
        key=lambda index: (whole[index] - quotas[index], abs(index - middle), index),
    )
    for index in ranked[: total - sum(whole)]:
        whole[index] += 1
    return whole
