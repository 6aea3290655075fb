"""What doors make of a possible answer, made once and used for everybody whom it meets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

from experiments.core.serving.evaluation import Served

T = TypeVar("T")
MOST = 20_000
_NOT_YET = object()


class Prepared(Generic[T]):
    """Found by the answer's identity, which stays its own for as long as it is held here.

    A catalogue has a few answers an experiment; those of catalogues long gone are dropped, with all
    the others, when there are too many.
    """

    def __init__(self, make: Callable[[Served], T], most: int = MOST) -> None:
        self._make, self._most = make, most
        self._held = _Held[T]()

    def of(self, served: Served) -> T:
        """What was made of this answer."""
        found = self._held.made.get(id(served), _NOT_YET)
        return self._of(served) if found is _NOT_YET else cast("T", found)

    def each(self, answers: Sequence[Served]) -> list[T]:
        """What was made of each of these."""
        made = self._held.made
        try:
            return list(map(made.__getitem__, map(id, answers)))
        except KeyError:
            return [self._of(served) for served in answers]

    def _of(self, served: Served) -> T:
        held = self._held
        if id(served) not in held.made:
            if len(held.made) >= self._most:
                held = self._held = _Held()
            held.answers.append(served)
            held.made[id(served)] = self._make(served)
        return held.made[id(served)]


class _Held(Generic[T]):
    """What was made, by identity, and the answers whose identities these are: kept and dropped with
    one another.
    """

    def __init__(self) -> None:
        self.made: dict[int, T] = {}
        self.answers: list[Served] = []
