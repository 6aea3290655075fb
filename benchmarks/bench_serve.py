"""How fast we decide and answer, against floors and against what one would use instead; ratios of
one run.

``python -m benchmarks.bench_serve [--part deciding|asking|memory] [--minutes 10] [--rounds 5]``.
Exit code 1 when a floor is missed. Nothing else should run on the machine meanwhile, though ratios
bear much of it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from benchmarks.serving import asking
from benchmarks.serving.floors import Floor, table
from benchmarks.serving.place import place

PARTS = ("deciding", "asking", "memory")


def measured(parts: list[str], minutes: float, rounds: int) -> Iterator[Floor]:
    """The parts asked for, all by default; a long run only when asked for."""
    if "deciding" in parts:
        from benchmarks.serving import (
            deciding,
        )  # the peers' modules: not in what a server's memory is compared with

        yield from deciding.measured()
    if minutes or {"asking", "memory"} & set(parts):
        with place() as here:
            if "asking" in parts:
                yield from asking.ratios(here, rounds)
            if minutes:
                yield asking.steady(here, minutes)
            if "memory" in parts:
                yield asking.memory(here)


def main() -> int:
    """Print the table; 1 when a floor is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--part", action="append", choices=PARTS, default=[], help="only this (may be repeated)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=0,
        help="also run this long at half load and watch the memory",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=asking.ROUNDS,
        help="how often each question to a server is asked",
    )
    asked = parser.parse_args()
    floors = list(
        measured(asked.part or ([] if asked.minutes else list(PARTS)), asked.minutes, asked.rounds)
    )
    print(table(floors))
    return int(not all(floor.met for floor in floors))


if __name__ == "__main__":
    sys.exit(main())
