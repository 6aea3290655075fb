"""Runs checks: the same numbers for the same seed, however many processes share the work.

Every check is cut into pieces, and each piece has its own stream of random numbers, derived from
the seed, the check's name and the piece's place; which process takes it, and which other checks
run, changes nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import connection
from zlib import crc32

import numpy as np

from analytics.core.calibration.check import CalibrationReport, Check, Count, Sums, result_of
from analytics.core.ground.errors import ImpossiblePlan

FULL = 10_000
"""``sims`` scales every check as if it had this many simulations in full."""
FEWEST = 20
"""No check is scaled below this many simulations."""

Progress = Callable[[str, float], None]
"""Hears the name of a check of which a piece is done, and the share of all work that is."""


@dataclass(frozen=True, slots=True)
class CheckPart:
    """A part of one check's simulations, with its own random numbers."""

    check: int
    place: int
    sims: int
    seed: np.random.SeedSequence


def calibrate(
    checks: Sequence[Check],
    *,
    seed: int = 0,
    sims: int | None = None,
    quick: bool = False,
    workers: int | None = None,
    progress: Progress = lambda name, share: None,
) -> CalibrationReport:
    """Run the checks and hold what they give against their ranges.

    ``sims`` scales all checks (10,000 is full size); ``quick`` takes their quick sizes. ``workers``
    None: one process a core.
    """
    sizes = [size_of(check, sims, quick) for check in checks]
    pieces = [
        piece for i, check in enumerate(checks) for piece in _pieces(i, check, sizes[i], seed)
    ]
    sums: list[dict[int, Sums]] = [{} for _ in checks]
    seconds = [0.0] * len(checks)
    for done, (piece, found, took) in enumerate(_worked(checks, pieces, workers or cores()), 1):
        sums[piece.check][piece.place] = found
        seconds[piece.check] += took
        progress(checks[piece.check].name, done / len(pieces))
    ordered = [[parts[place] for place in sorted(parts)] for parts in sums]
    results = (result_of(*row) for row in zip(checks, ordered, sizes, seconds, strict=True))
    return CalibrationReport(seed, tuple(results))


def size_of(check: Check, sims: int | None, quick: bool) -> int:
    """How many simulations a check gets."""
    if sims is not None and sims < 1:
        raise ImpossiblePlan(f"a calibration needs simulations, found sims={sims}")
    base = check.quick if quick else check.sims
    return base if sims is None else max(FEWEST, round(check.sims * sims / FULL))


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pieces(index: int, check: Check, sims: int, seed: int) -> list[CheckPart]:
    full, rest = divmod(sims, check.piece)
    sizes = [check.piece] * full + [rest] * (rest > 0)
    seeds = np.random.SeedSequence([seed, crc32(check.name.encode())]).spawn(len(sizes))
    return [
        CheckPart(index, place, size, own)
        for place, (size, own) in enumerate(zip(sizes, seeds, strict=True))
    ]


def _worked(
    checks: Sequence[Check], pieces: Sequence[CheckPart], workers: int
) -> Iterator[tuple[CheckPart, Sums, float]]:
    if workers == 1 or len(pieces) == 1:
        for piece in pieces:
            yield piece, *_count(checks[piece.check].count, piece)
        return
    spawned = multiprocessing.get_context(
        "spawn"
    )  # a fork would copy locks and connections of whoever calls
    pool = ProcessPoolExecutor(workers, mp_context=spawned, initializer=_end_with_parent)
    try:
        waiting: dict[Future[tuple[Sums, float]], CheckPart] = {
            pool.submit(_count, checks[p.check].count, p): p for p in pieces
        }
        for future in as_completed(waiting):
            yield waiting[future], *future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _count(count: Count, piece: CheckPart) -> tuple[Sums, float]:
    began = time.process_time()
    sums = np.atleast_1d(
        np.asarray(count(np.random.default_rng(piece.seed), piece.sims), dtype=float)
    )
    return sums, time.process_time() - began


def _end_with_parent() -> None:
    """Ctrl-C is the parent's to hear; a killed parent would leave its workers waiting for ever, so
    they end with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
