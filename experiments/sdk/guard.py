"""Nothing that goes wrong in here may go wrong in the application: it gets a fallback, and the log
a line.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

log = logging.getLogger("assay")

P = ParamSpec("P")
R = TypeVar("R")

_reported: set[tuple[str, type[BaseException]]] = set()


def quietly(fallback: Callable[[], R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Answer with ``fallback()`` where the function would raise. Each kind of fault is logged once,
    not at every request.
    """

    def guarded(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if is_new(function.__qualname__, error):
                    log.exception("%s: answered with a fallback", function.__qualname__)
                return fallback()

        return call

    return guarded


def is_new(where: str, error: Exception) -> bool:
    """Whether this kind of fault is seen here for the first time."""
    kind = (where, type(error))
    seen = kind in _reported
    _reported.add(kind)
    return not seen
