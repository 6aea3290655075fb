"""After a fork the child has the parent's memory, but none of its threads and perhaps its held
locks: who must begin anew.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """Something with locks, threads or unsent items of its own."""

    def after_fork(self) -> None:
        """Make this the child's own: new locks, no threads, nothing that the parent will send."""


_alive: WeakSet[Forked] = WeakSet()


def watch(one: Forked) -> None:
    """Tell ``one`` in every child, for as long as it lives."""
    _alive.add(one)


def _in_child() -> None:
    for one in list(_alive):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_child)
