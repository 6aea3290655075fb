"""What doors make of a possible answer, made once and used for everybody whom it meets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from experiments.core.evaluation import Served

T = TypeVar("T")
MOST = 20_000


class Prepared(Generic[T]):
    """Found by the answer's identity, which stays its own for as long as it is held here.

    A catalogue has a few answers an experiment; those of catalogues long gone are dropped, with all the
    others, when there are too many.
    """

    def __init__(self, make: Callable[[Served], T], most: int = MOST) -> None:
        self._make, self._most = make, most
        self._made: dict[int, tuple[Served, T]] = {}

    def of(self, served: Served) -> T:
        """What was made of this answer."""
        found = self._made.get(id(served))
        if found is None:
            if len(self._made) >= self._most:
                self._made = {}
            found = self._made[id(served)] = (served, self._make(served))
        return found[1]
