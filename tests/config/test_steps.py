"""Coroutines that run in the thread that brings what they wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from config.web.steps import Elsewhere, run_at_once


class Arriving:
    """A body as granian brings it: whoever waits is called through the loop, from granian's
    thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._error = loop, None

    def __await__(self) -> Any:  # Any: as granian's future
        yield self
        return b"body"

    def add_done_callback(self, step: Callable[..., None], context: None = None) -> None:
        self._step = step

    def come(self, error: BaseException | None = None) -> None:
        self._error = error
        self._loop.call_soon_threadsafe(self._step, self, context=None)

    def result(self) -> bytes:
        if self._error:
            raise self._error
        return b"body"


@pytest.fixture
def loop():
    found = asyncio.new_event_loop()
    run_at_once(found)
    yield found
    found.close()


def begin(loop: asyncio.AbstractEventLoop, coroutine: Any) -> None:  # Any: a coroutine of any kind
    """As granian does for each request."""
    loop.call_soon_threadsafe(lambda *_: None, coroutine, object())


def test_request__is_read_by_the_thread_that_brings_it__and_ends_where_its_job_is_done(
    loop: asyncio.AbstractEventLoop,
):
    arriving, jobs, seen = Arriving(loop), [], []

    async def request() -> None:
        seen.append((await arriving, threading.get_ident()))
        await Elsewhere(jobs.append)
        seen.append(("answered", threading.get_ident()))

    begin(loop, request())
    assert seen == []
    arriving.come()
    assert seen == [(b"body", threading.get_ident())]
    other = threading.Thread(target=jobs[0])
    other.start()
    other.join()
    assert seen[1] == ("answered", other.ident)


@pytest.mark.parametrize("error", [RuntimeError("the sender is gone"), asyncio.CancelledError()])
def test_body__that_does_not_arrive__is_the_coroutines_to_handle(
    loop: asyncio.AbstractEventLoop, error: BaseException
):
    arriving, seen = Arriving(loop), []

    async def request() -> None:
        try:
            await arriving
        except (RuntimeError, asyncio.CancelledError) as found:
            seen.append(found)

    begin(loop, request())
    arriving.come(error)
    assert seen == [error]


def test_loop__for_everything_else__is_the_loop_it_was(loop: asyncio.AbstractEventLoop):
    seen = []

    async def told() -> None:
        seen.append(threading.get_ident())

    loop.call_soon_threadsafe(seen.append, "called")
    loop.run_until_complete(asyncio.sleep(0))
    outside = threading.Thread(target=lambda: asyncio.run_coroutine_threadsafe(told(), loop))
    outside.start()
    outside.join()
    loop.run_until_complete(asyncio.sleep(0.01))
    assert seen == ["called", threading.get_ident()]
