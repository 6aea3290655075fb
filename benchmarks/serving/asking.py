"""Questions to live servers: how many a second, how late the slowest, how much memory.

A question's requests a second are compared with those of an empty POST view on the same server, with the same body,
in the second before; the median of the rounds' ratios counts. The load generator shares the machine's processors with what
it measures, and so does the drainer with what was queued; what it has not stored yet when a question is over is forgotten.
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
EMPTY, ONE, ALL, OFREP, FULL = "empty view", "assignments, one experiment", "assignments, all 50", "OFREP, one flag", "the same, all"
_BESIDE = {OFREP: EMPTY, ONE: EMPTY, ALL: EMPTY, FULL: ONE}
"""What each is compared with."""
_PATHS = {EMPTY: "/empty", ONE: "/api/v1/assignments", ALL: "/api/v1/assignments", OFREP: "/ofrep/v1/evaluate/flags/flag-7"}
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


def ratios(place: Place) -> list[Floor]:
    """A serving process's doors against its own empty view, and against a process with everything."""
    with server(place, "serve") as lean, server(place, "all") as full:
        targets = {name: question(place, lean, name) for name in _PATHS} | {FULL: question(place, full, ONE)}
        look(targets)
        rates: dict[str, list[float]] = {name: [] for name in targets}
        shares: dict[str, list[float]] = {name: [] for name in targets}
        late: list[float] = []
        for _ in range(ROUNDS):
            for name, beside in _BESIDE.items():
                for asked in (beside, name):
                    forget(place)
                    rates[asked].append(load.saturate(targets[asked], WINDOW))
                shares[name].append(rates[name][-1] / rates[beside][-1])
            late.append(slowest(place, targets[ONE], statistics.median(rates[ONE]) / 2))
        for name, found in rates.items():
            print(f"  {name:<30}{statistics.median(found):9,.0f} requests a second, at best {max(found):,.0f}")

        def of_empty(name: str) -> float:
            return 100 * statistics.median(shares[name])

        percent = "{:.0f} %"
        return [
            Floor(f"{OFREP}, exposure queued, of the empty view", of_empty(OFREP), 65, form=percent),
            Floor(f"{ONE}, exposure queued, of the empty view", of_empty(ONE), 40, form=percent),
            Floor(f"{ALL} in one answer, of the empty view", of_empty(ALL), 45, form=percent),
            Floor("serve to all, assignments", 1 / statistics.median(shares[FULL]), 2.5, form="{:.1f} ×"),
            Floor(
                "99 in 100 assignments at half load, the best round",
                min(late),
                5,
                least=False,
                form="{:.1f} ms",
                note=f"{statistics.median(rates[ONE]) / 2:,.0f} a second; the middle one {statistics.median(late):.1f} ms",
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
    """The 99th percentile at this load, in ms. Of several the best counts: a hiccup of the machine meets more than one in a hundred."""
    forget(place)
    taken = load.pace(target, a_second, 2)
    return taken[len(taken) * 99 // 100] * 1e3


def memory(place: Place) -> Floor:
    """A serving process with 500 experiments, after it has answered thousands about one and hundreds about all of them."""
    place.publish(500)
    forget(place)
    with server(place, "serve") as lean:
        load.saturate(question(place, lean, ONE), 2)
        load.pace(question(place, lean, ALL), 100, 3)
        return Floor("memory of a serving process with 500 experiments", lean.megabytes(), 120, least=False, form="{:.0f} MB")


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
            f"memory after {minutes:g} minutes, to that after {minutes / 10:g}", held[-1] / held[0], 1.05, least=False, form="{:.3f} ×"
        )


def forget(place: Place) -> None:
    """Let the drainer have nothing to do: no question pays for the one before."""
    for path in place.state.glob("spool-*/*.jsonl"):
        with suppress(FileNotFoundError):  # it was stored in this moment
            os.truncate(path, 0)
