"""All flags of one context: our assignments door against Unleash's ``/api/frontend``, one process
each.

Fifty flags with one condition that holds and two variants that halve the users; every request for
another user, the same keep-alive connections and load generator. Unleash keeps its flags in memory
and its tables in the embedded PostgreSQL, as ours do. By hand: see README.md.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote

from benchmarks.serving import asking, load, place
from benchmarks.serving.documents import ARMS, ATTRIBUTES
from benchmarks.serving.floors import Floor, table

HERE = Path(__file__).parent
FLAGS, ROUNDS, WINDOW = 50, 7, 1.5
ADMIN, FRONTEND = "*:*.bench-admin", "*:development.bench-frontend"
START_SECONDS = 90


@contextmanager
def unleash() -> Iterator[int]:
    """A running Unleash with its flags; the port."""
    from django.conf import settings
    from django.db import connection

    from config.ownership import as_owner
    from config.processes.embedded import place as places

    with as_owner(), connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE unleash")
    port = place.free_port()
    sockets = str(places.find(settings.STATE).sockets)
    told = {
        "BENCH_PORT": str(port),
        "BENCH_SOCKETS": sockets,
        "BENCH_ADMIN": ADMIN,
        "BENCH_FRONTEND": FRONTEND,
        "NODE_ENV": "production",
    }
    process = subprocess.Popen(
        ["node", "server.mjs"], cwd=HERE, env=os.environ | told, stdout=subprocess.DEVNULL
    )
    try:
        _wait(port, process)
        for number in range(FLAGS):
            _make_flag(port, f"flag-{number}")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.5)
    raise SystemExit("Unleash has not started; see above, and README.md for what it needs")


def _make_flag(port: int, name: str) -> None:
    features = "/api/admin/projects/default/features"
    _tell(port, features, {"name": name, "type": "experiment"})
    variants = [
        {
            "name": arm,
            "weight": 500,
            "weightType": "variable",
            "stickiness": "userId",
            "payload": _payload(at),
        }
        for at, arm in enumerate(ARMS)
    ]
    constraints = [
        {"contextName": key, "operator": "IN", "values": [value]}
        for key, value in ATTRIBUTES.items()
    ]
    parameters = {"rollout": "100", "stickiness": "userId", "groupId": name}
    strategy = {
        "name": "flexibleRollout",
        "constraints": constraints,
        "parameters": parameters,
        "variants": variants,
    }
    _tell(port, f"{features}/{name}/environments/development/strategies", strategy)
    _tell(port, f"{features}/{name}/environments/development/on", {})


def _payload(arm: int) -> dict[str, str]:
    return {"type": "json", "value": json.dumps({"model": f"ranker-{arm}", "top_k": 20 + arm})}


def _tell(port: int, path: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        json.dumps(body).encode(),
        {"Authorization": ADMIN, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20):
        pass


def questions(port: int) -> load.Target:
    """As Unleash's own clients ask."""
    told = "&".join(
        f"properties[{quote(name)}]={quote(value)}" for name, value in ATTRIBUTES.items()
    )
    lines = f"Host: 127.0.0.1\r\nAuthorization: {FRONTEND}\r\nAccept: application/json\r\n\r\n"
    requests = [
        f"GET /api/frontend?userId=user-{number}&{told} HTTP/1.1\r\n{lines}".encode()
        for number in range(asking.UNITS)
    ]
    return load.Target(port, requests)


def look(target: load.Target) -> None:
    """Waits until Unleash evaluates all flags, which it reads anew every ten seconds; stops when it
    never does.
    """
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        toggles = json.loads(load.answer_to(target))["toggles"]
        if len(toggles) == FLAGS and all(toggle["variant"]["name"] in ARMS for toggle in toggles):
            return
        time.sleep(1)
    raise SystemExit(
        f"Unleash: wanted {FLAGS} toggles with variants, found {len(toggles)}: {str(toggles)[:300]}"
    )


def main() -> int:
    """Print the table; 1 when the floor is missed."""
    if not (HERE / "node_modules" / "unleash-server").is_dir():
        raise SystemExit(f"npm install unleash-server, in {HERE}")
    with (
        place.place(FLAGS) as here,
        place.server(here, "serve", workers=1) as ours,
        unleash() as port,
    ):
        targets = {"assay": asking.question(here, ours, asking.ALL), "unleash": questions(port)}
        look(targets["unleash"])
        rates: dict[str, list[float]] = {name: [] for name in targets}
        for _ in range(ROUNDS):
            for name, target in targets.items():
                rates[name].append(load.saturate(target, WINDOW))
    for name, found in rates.items():
        print(
            f"  {name:<10}{statistics.median(found):9,.0f} requests a second, at best {max(found):,.0f}"
        )
    ratio = statistics.median(
        one / other for one, other in zip(rates["assay"], rates["unleash"], strict=True)
    )
    floor = Floor(
        "all 50 flags of a context, one process each: assay to Unleash", ratio, 4, form="{:.1f} ×"
    )
    print(table([floor]))
    return int(not floor.met)


if __name__ == "__main__":
    sys.exit(main())
