"""Questions to live servers: how many a second, how much processor time each takes, how late the
slowest, how much memory.

A question's requests a second are compared with those of an empty POST view on the same server,
with the same body, in the second before; the median of the rounds' ratios counts. The load
generator shares the machine's processors with what it measures, and so does the drainer with what
was queued; what it has not stored yet when a question is over is forgotten.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from contextlib import suppress

from benchmarks.serving import load
from benchmarks.serving.documents import ATTRIBUTES, experiment_key
from benchmarks.serving.floors import Floor
from benchmarks.serving.load import Target
from benchmarks.serving.place import Place, Server, server

ROUNDS = 15
WINDOW = 1.0
UNITS = 2_000
EMPTY, ONE, ALL, OFREP, FULL = (
    "empty view",
    "assignments, one experiment",
    "assignments, all 50",
    "OFREP, one flag",
    "the same, all",
)
_BESIDE = {OFREP: EMPTY, ONE: EMPTY, ALL: EMPTY, FULL: ONE}
"""What each is compared with."""
_PATHS = {
    EMPTY: "/empty",
    ONE: "/api/v1/assignments",
    ALL: "/api/v1/assignments",
    OFREP: "/ofrep/v1/evaluate/flags/flag-7",
}
_BODIES: dict[str, Callable[[str], object]] = {
    ALL: lambda unit: {"unit": unit, "attributes": ATTRIBUTES},
    ONE: lambda unit: {"unit": unit, "experiments": [experiment_key(7)], "attributes": ATTRIBUTES},
    OFREP: lambda unit: {"context": {"targetingKey": unit, **ATTRIBUTES}},
}
_BODIES[EMPTY] = _BODIES[ONE]


def question(place: Place, at: Server, name: str) -> Target:
    """Its requests for many units, with the key."""
    key = {"Authorization": f"Bearer {place.key}"}
    bodies = (json.dumps(_BODIES[name](f"user-{number}")).encode() for number in range(UNITS))
    return Target(at.port, [load.request(_PATHS[name], body, key) for body in bodies])


def ratios(place: Place, rounds: int = ROUNDS) -> list[Floor]:
    """A serving process's doors against its own empty view, and against a process with
    everything.
    """
    with server(place, "serve") as lean, server(place, "all") as full:
        at = {name: full if name == FULL else lean for name in (*_PATHS, FULL)}
        targets = {name: question(place, at[name], ONE if name == FULL else name) for name in at}
        look(targets)
        found = Found()
        for _ in range(rounds):
            for name, beside in _BESIDE.items():
                for asked in (beside, name):
                    forget(place)
                    found.take(asked, at[asked], targets[asked])
                found.compare(name, beside)
            found.lag(place, targets)
        found.tell()
        return found.floors()


class Found:
    """What the rounds have found so far, by question."""

    def __init__(self) -> None:
        self.rates: dict[str, list[float]] = {}
        self.costs: dict[str, list[float]] = {}
        self.shares: dict[str, list[float]] = {}
        self.late: list[float] = []
        self.later: list[float] = []

    def take(self, name: str, at: Server, target: Target) -> None:
        """Answers a second, and the processor time of each."""
        before = at.processor_seconds()
        rate = load.saturate(target, WINDOW)
        self.rates.setdefault(name, []).append(rate)
        self.costs.setdefault(name, []).append(
            (at.processor_seconds() - before) / rate / WINDOW * 1e6
        )

    def compare(self, name: str, beside: str) -> None:
        self.shares.setdefault(name, []).append(self.rates[name][-1] / self.rates[beside][-1])

    def lag(self, place: Place, targets: dict[str, Target]) -> None:
        """The slowest hundredth at half load: of our door, and that of the empty view right
        before.
        """
        empty, ours = (
            slowest(place, targets[name], statistics.median(self.rates[name]) / 2)
            for name in (EMPTY, ONE)
        )
        self.late.append(ours)
        self.later.append(ours / empty)

    def tell(self) -> None:
        for name, rates in self.rates.items():
            usual, cost = statistics.median(rates), statistics.median(self.costs[name])
            print(
                f"  {name:<30}{usual:9,.0f} requests a second, at best {max(rates):,.0f}; {cost:.0f} µs of a processor each"
            )

    def floors(self) -> list[Floor]:
        percent, middle = "{:.0f} %", statistics.median
        of_empty = {name: 100 * middle(shares) for name, shares in self.shares.items()}
        note = f"{middle(self.late):.1f} ms at {middle(self.rates[ONE]) / 2:,.0f} a second"
        return [
            Floor(
                f"{OFREP}, exposure queued, of the empty view", of_empty[OFREP], 65, form=percent
            ),
            Floor(f"{ONE}, exposure queued, of the empty view", of_empty[ONE], 40, form=percent),
            Floor(f"{ALL} in one answer, of the empty view", of_empty[ALL], 45, form=percent),
            Floor("serve to all, assignments", 100 / of_empty[FULL], 2.5, form="{:.1f} ×"),
            Floor(
                "slowest hundredth at half load, to the empty view's",
                middle(self.later),
                3,
                least=False,
                form="{:.1f} ×",
                note=note,
            ),
        ]


def look(targets: dict[str, Target]) -> None:
    """Stops when a door does not answer what it is asked."""
    for name, wanted in {ONE: 1, ALL: 50, FULL: 1}.items():
        answer = json.loads(load.answer_to(targets[name]))["assignments"]
        if len(answer) != wanted or any(item["reason"] != "experiment" for item in answer):
            raise SystemExit(f"{name}: wanted {wanted} assignments, found {str(answer)[:300]}")
    if json.loads(load.answer_to(targets[OFREP]))["reason"] != "SPLIT":
        raise SystemExit("OFREP does not split")


def slowest(place: Place, target: Target, a_second: float) -> float:
    """The 99th percentile at this load, in ms."""
    forget(place)
    taken = load.pace(target, a_second, 2)
    return taken[len(taken) * 99 // 100] * 1e3


def memory(place: Place) -> Floor:
    """A serving process with 500 experiments, after it has answered thousands about one and
    hundreds about all of them.
    """
    place.publish(500)
    forget(place)
    with server(place, "serve") as lean:
        load.saturate(question(place, lean, ONE), 2)
        load.pace(question(place, lean, ALL), 100, 3)
        return Floor(
            "memory of a serving process with 500 experiments",
            lean.megabytes(),
            120,
            least=False,
            form="{:.0f} MB",
        )


def steady(place: Place, minutes: float) -> Floor:
    """Memory at the end of a long run at half load, against that after its first tenth."""
    with server(place, "serve") as lean:
        target = question(place, lean, ONE)
        half = load.saturate(target, 3) / 2
        held = []
        for _ in range(10):
            load.pace(target, half, minutes * 6)
            held.append(lean.megabytes())
            print(f"  {held[-1]:.1f} MB", flush=True)
        return Floor(
            f"memory after {minutes:g} minutes, to that after {minutes / 10:g}",
            held[-1] / held[0],
            1.05,
            least=False,
            form="{:.3f} ×",
        )


def forget(place: Place) -> None:
    """Let the drainer have nothing to do: no question pays for the one before."""
    for path in place.state.glob("spool-*/*.jsonl"):
        with suppress(FileNotFoundError):  # it was stored in this moment
            os.truncate(path, 0)
