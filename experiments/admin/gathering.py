"""Read a whole form before refusing it, so that people see every fault at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from experiments.core.errors import InvalidInput, Problem
from experiments.core.figures import counted

P = ParamSpec("P")
R = TypeVar("R")
_found: ContextVar[list[Problem] | None] = ContextVar("faults_of_a_form", default=None)


@contextmanager
def all_at_once() -> Iterator[None]:
    """Let every reader inside go on after a fault; refuse with all of them at the end."""
    found: list[Problem] = []
    token = _found.set(found)
    try:
        yield
    finally:
        _found.reset(token)
    if found:
        raise InvalidInput(
            f"{counted(len(found), 'entry', 'entries')} cannot be read.",
            found[0].field,
            problems=found,
        )


def gathered(read: Callable[P, R]) -> Callable[P, R | None]:
    """A reader whose faults are kept while a form is read, and raised otherwise."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R | None:
        found = _found.get()
        try:
            return read(*args, **kwargs)
        except InvalidInput as fault:
            if found is None:
                raise
            found.extend(fault.problems or [Problem(fault.code, fault.message, fault.field)])
            return None

    return reading
