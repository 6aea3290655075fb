"""Many people and machines press at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.db import connection

from experiments.core.errors import AssayError


def race(*calls: Callable[[], object]) -> list[object]:
    """Run the calls at the same moment, each on a connection of its own; their results, or the
    refusals that they met.

    Any other exception is raised: a deadlock is no refusal.
    """
    barrier, results, faults = (
        threading.Barrier(len(calls)),
        [None] * len(calls),
        list[BaseException](),
    )

    def run(index: int, call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results[index] = call()
        except AssayError as refusal:
            results[index] = refusal
        except BaseException as fault:  # noqa: BLE001 (raised below)
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if faults:
        raise faults[0]
    return results
