"""Runs each request's coroutine in the thread that brings what it waits for, instead of on the
event loop.

granian has one thread for Python. It hands every request, and every body that has arrived, to the
event loop with ``call_soon_threadsafe``, which wakes another thread each time. Here these calls run
the coroutine at once, in granian's thread. Everything else goes to the event loop as before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import CoroutineType
from typing import Any, Protocol

Found = Any  # Any: what granian's futures and asyncio's have in common has no type


class Awaited(Protocol):
    """What a coroutine may wait for: granian's futures, and ``Elsewhere``."""

    def add_done_callback(self, step: Callable[..., None], context: None = None) -> object: ...


class Elsewhere:
    """Awaited, it gives a job away; whoever does the job calls what the job was given, and the
    coroutine goes on there.
    """

    __slots__ = ("_give",)

    def __init__(self, give: Callable[[Callable[[], None]], None]) -> None:
        self._give = give

    def __await__(self) -> Generator[Elsewhere, None, None]:
        yield self

    def add_done_callback(self, step: Callable[..., None], context: None = None) -> None:
        self._give(step)


class CoroutineStep:
    """Goes on with a coroutine until it waits for the next thing, and is then called again by
    that.
    """

    __slots__ = ("_send", "_throw")

    def __init__(self, coroutine: Coroutine[Awaited, None, None]) -> None:
        self._send, self._throw = coroutine.send, coroutine.throw

    def __call__(self, found: Found = None) -> None:
        try:
            awaited = self._send(None) if found is None else self._with(found)
        except StopIteration:
            return
        awaited.add_done_callback(self, context=None)

    def _with(self, found: Found) -> Awaited:
        try:
            found.result()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (the coroutine handles it)
            return self._throw(error)
        return self._send(None)


def run_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """From now on whoever hands a coroutine, or its next step, to this loop from another thread
    runs it there.
    """
    hand_over = loop.call_soon_threadsafe

    def call_soon_threadsafe(
        callback: Callable[..., object], *args: Any, context: Any = None
    ) -> Any:  # Any: as asyncio has it
        if type(callback) is CoroutineStep:
            return callback(*args)
        if len(args) == 2 and type(args[0]) is CoroutineType:  # granian's way to begin a request
            return CoroutineStep(args[0])()
        return hand_over(callback, *args, context=context)

    loop.call_soon_threadsafe = call_soon_threadsafe  # type: ignore[method-assign, assignment]  # a loop has no setting for this
