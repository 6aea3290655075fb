"""The order of a geo pilot's periods: as numbers, dates or moments when all of them are, else as
they first appear in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from analytics.core.intake.cell_moments import MomentReader
from analytics.core.intake.magnitudes import fits
from analytics.core.intake.table_faults import BadTable


def in_time(periods: Iterable[str], order: Sequence[str], moments: MomentReader) -> tuple[str, ...]:
    """The periods in their order; BadTable where it would be a guess. ``order`` names them,
    ``moments`` how dates are written.
    """
    seen = tuple(periods)
    if order:
        unordered = [period for period in seen if period not in order]
        if unordered or len(set(order)) < len(order):
            raise BadTable(
                f"the order names {'a period twice' if not unordered else f'no period {unordered[0]!r}'}: {', '.join(order)[:300]}"
            )
        return tuple(period for period in order if period in seen)
    if moments.format is not None:
        return _as_told(seen, moments if moments.zone else replace(moments, zone=ZoneInfo("UTC")))
    if moments.zone is not None:
        return _as_told(seen, moments)
    _refuse_two_orders(seen)
    for reading in (_as_number, _as_date):
        keys = [reading(period) for period in seen]
        if all(key is not None for key in keys) and len(set(keys)) == len(keys):
            return tuple(period for _, period in sorted(zip(keys, seen, strict=True)))
    return _by_moment(seen)


def _as_told(periods: Sequence[str], moments: MomentReader) -> tuple[str, ...]:
    """The periods as moments in the form and zone that a person named; every one of them has to
    be.
    """
    try:
        at = {period: moments.read(period) for period in periods}
    except ValueError as error:
        wrong = next(period for period in periods if not _reads(period, moments))
        raise BadTable(f"period {wrong[:40]!r}: {error}") from None
    return _one_after_another(at)


def _by_moment(periods: Sequence[str]) -> tuple[str, ...]:
    """Moments in their order if all periods are, else as they come; the zone of a clock time beside
    others is not guessed.
    """
    try:
        at = {period: datetime.fromisoformat(period) for period in periods}
    except ValueError:
        return tuple(periods)
    bare = [period for period, moment in at.items() if moment.utcoffset() is None]
    if bare and len(bare) < len(at):
        raise BadTable(
            f"period {bare[0][:40]!r} has no zone, and others have: --time-zone says which it is of"
        )
    return _one_after_another(at)


def _one_after_another(at: Mapping[str, datetime]) -> tuple[str, ...]:
    order = sorted(at, key=lambda period: at[period])
    for one, next_one in pairwise(order):
        if at[one] == at[next_one]:
            raise BadTable(
                f"periods {one[:40]!r} and {next_one[:40]!r} are the same moment; write it in a single way"
            )
    return tuple(order)


def _reads(text: str, moments: MomentReader) -> bool:
    try:
        moments.read(text)
    except ValueError:
        return False
    return True


def _refuse_two_orders(periods: Sequence[str]) -> None:
    """2019.6 … 2019.12 are months to people and decimals to a sort: where the two orders differ,
    nothing is guessed.
    """
    parts = [period.replace(",", ".").partition(".") for period in periods]
    if not all(whole.isdecimal() and (rest.isdecimal() or not mark) for whole, mark, rest in parts):
        return
    as_decimals = sorted(
        range(len(parts)), key=lambda k: float(f"{parts[k][0]}.{parts[k][2] or 0}")
    )
    as_pairs = sorted(range(len(parts)), key=lambda k: (int(parts[k][0]), int(parts[k][2] or 0)))
    if as_decimals != as_pairs:
        one, other = ([periods[k] for k in order][:6] for order in (as_decimals, as_pairs))
        raise BadTable(
            f"the periods can be ordered in two ways: {', '.join(one)} or {', '.join(other)}; choose with --order"
        )


def _as_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if fits(number) else None


def _as_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text if len(text) > 7 else f"{text}-01")
    except ValueError:
        return None
