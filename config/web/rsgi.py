"""The web application as granian serves it: ``granian --interface rsgi
config.web.rsgi:application``.

granian's own thread reads each request with its body, within a time and a size, and only then gives
it to one of our threads, where Django answers it. So however slowly clients send, they hold no
thread of ours; and granian sends each answer from its own memory, so those who read slowly hold
none either. The event loop keeps the time.
"""

from __future__ import annotations

from config.web.wsgi import handler

# What follows needs the apps that this loads.
# isort: split
import asyncio
import os
import resource
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

import msgspec
import structlog

from config import env
from config.web.handling import Answer, tidy_where_needed
from config.web.requests_read import (
    SMALL,
    Environ,
    RequestScope,
    announced,
    environ_of,
    is_worth_reading,
    with_body,
)
from config.web.steps import Elsewhere, run_at_once
from config.web.threads import Pools, configured
from experiments.core.errors import AssayError
from experiments.http.errors import RETRY_SECONDS, error_body

log = structlog.get_logger(__name__)

SECONDS = env.integer("ASSAY_BODY_SECONDS", 10)
"""For a body to arrive; longer ones get a second more for each ``SLOWEST`` bytes."""
SLOWEST = 32 * 1024
MOST_AT_ONCE = 64 * 1024 * 1024
"""Bytes of long bodies that may be on their way into one process."""
FORGOTTEN, FORGETTING = 16 * 1024 * 1024, 5.0
"""How much of a refused body is taken after the answer, and for how long: a sender still sending
would not see the answer.
"""
TICK = 0.05


class Arriving(Awaitable[bytes], Protocol):
    """A body on its way."""

    def cancel(self) -> bool: ...


class Protocolled(Protocol):
    """granian's end of a request."""

    def __call__(self) -> Arriving: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...


class Room:
    """So many bytes of long bodies may be on their way at the same time."""

    def __init__(self, size: int) -> None:
        self._left, self._lock = size, threading.Lock()

    def take(self, size: int) -> bool:
        """Whether there was room; a size of 0 needs none."""
        if not size:
            return True
        with self._lock:
            fits = size <= self._left
            self._left -= size if fits else 0
        return fits

    def give_back(self, size: int) -> None:
        if size:
            with self._lock:
                self._left += size


class Application:
    """One for each process. Its threads begin with its event loop."""

    def __init__(self) -> None:
        self._pools: Pools | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._late_at: dict[Arriving, float] = {}
        self._room = Room(MOST_AT_ONCE)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        _allow_many_connections()
        tidy_where_needed()
        run_at_once(loop)
        self._loop, self._pools = loop, configured()
        # granian logs that a worker died, in a form of its own; this line says that another one
        # took its place.
        log.info("web_process_started", pid=os.getpid())
        loop.call_soon(self._tick, loop)

    async def __rsgi__(self, scope: RequestScope, protocol: Protocolled) -> None:
        environ = environ_of(scope)
        length = announced(environ)
        comes = length > 0 or "HTTP_TRANSFER_ENCODING" in environ
        body = await self._body(environ, length, protocol) if comes else b""
        if body is None:
            return
        await self._answer(environ, body, protocol)
        if comes and not body and self._loop is not None:
            asyncio.run_coroutine_threadsafe(_forget(protocol), self._loop)

    async def _body(self, environ: Environ, length: int, protocol: Protocolled) -> bytes | None:
        """The body, empty when nobody will look at it; None when it was answered that it is late,
        cut off or one too many.
        """
        if not is_worth_reading(environ, length):
            return b""
        long = length if length > SMALL else 0
        if not self._room.take(long):
            protocol.response_bytes(*_refusal(503, _MANY))
            return None
        try:
            return await self._in_time(protocol, SECONDS + length / SLOWEST)
        except (
            RuntimeError
        ):  # granian's word for a body that ended early; nobody may be there to read this
            protocol.response_bytes(*_refusal(400, _CUT))
            return None
        except TimeoutError:
            log.info(
                "body_late",
                path=environ["PATH_INFO"][:200],
                ip=environ["REMOTE_ADDR"],
                announced=length,
            )
            protocol.response_bytes(*_refusal(408, _LATE))
            return None
        finally:
            self._room.give_back(long)

    async def _in_time(self, protocol: Protocolled, seconds: float) -> bytes:
        """The body; cancelled by the tick when it takes too long, which costs less than a timer for
        each.
        """
        arriving = protocol()
        self._late_at[arriving] = time.monotonic() + seconds
        try:
            return bytes(await arriving)
        except asyncio.CancelledError:
            raise TimeoutError from None
        finally:
            self._late_at.pop(arriving, None)

    def _answer(self, environ: Environ, body: bytes, protocol: Protocolled) -> Elsewhere:
        """Let a thread of the right pool answer; the coroutine ends in that thread."""
        assert self._pools is not None
        pool = self._pools.for_request(environ["PATH_INFO"], body)

        def job(step: Callable[[], None]) -> None:
            try:
                protocol.response_bytes(*handler.answer(with_body(environ, body)))
            finally:
                step()

        return Elsewhere(lambda step: pool.give(partial(job, step)))

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        for arriving, late in list(self._late_at.items()):
            if late < now:
                arriving.cancel()
        loop.call_later(TICK, self._tick, loop)


def _allow_many_connections() -> None:
    """As many open files as the system allows: each slow client has one for as long as it takes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _forget(protocol: Protocolled) -> None:
    """Take a body that nobody read, after its answer."""
    with suppress(Exception):  # the sender is gone, or is slow; it has its answer
        async with asyncio.timeout(FORGETTING):
            taken = 0
            async for piece in protocol:
                taken += len(piece)
                if taken > FORGOTTEN:
                    return


_LATE = AssayError(
    "the body has not arrived in time; send the same request again", code="body_late"
)
_CUT = AssayError(
    "the connection ended before the announced length; send the same request again", code="body_cut"
)
_MANY = AssayError(
    "too many long bodies arrive at once; send the same request again later", code="busy"
)


def _refusal(status: int, error: AssayError) -> Answer:
    """Every refusal's shape; any origin may read it."""
    again = [("retry-after", str(RETRY_SECONDS))] if status == 503 else []
    headers = [
        ("content-type", "application/json"),
        ("access-control-allow-origin", "*"),
        ("cache-control", "no-store"),
    ]
    return status, [*headers, *again], msgspec.json.encode(error_body(error))


application = Application()
