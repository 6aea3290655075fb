"""The web application as granian serves it: ``granian --interface rsgi config.rsgi:application``.

The event loop reads each request with its body, within a time and a size, and only then gives it to a thread,
where Django answers it as it would under WSGI. So however slowly clients send, they hold no thread; and granian
sends each answer from its own memory, so those who read slowly hold none either.
"""

from __future__ import annotations

from config.wsgi import application as django

# What follows needs the apps that this loads.
# isort: split
import asyncio
import os
import resource
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Any, Protocol

import msgspec
import structlog

from config import env
from config.requests_read import SMALL, Environ, Scope, announced, environ_of, is_worth_reading, with_body
from config.threads import Pools, configured
from experiments.core.errors import AssayError
from experiments.http.errors import RETRY_SECONDS, error_body

log = structlog.get_logger(__name__)

SECONDS = env.integer("ASSAY_BODY_SECONDS", 10)
"""For a body to arrive; longer ones get a second more for each ``SLOWEST`` bytes."""
SLOWEST = 32 * 1024
MOST_AT_ONCE = 64 * 1024 * 1024
"""Bytes of long bodies that may be on their way into one process."""
FORGOTTEN, FORGETTING = 16 * 1024 * 1024, 5.0
"""How much of a refused body is taken after the answer, and for how long: a sender still sending would not see the answer."""
TICK = 0.05

Answer = tuple[int, list[tuple[str, str]], bytes]


class Protocolled(Protocol):
    """granian's end of a request."""

    def __call__(self) -> Awaitable[bytes]: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None: ...


class Application:
    """One for each process. Its threads begin with its event loop."""

    def __init__(self) -> None:
        self._pools: Pools | None = None
        self._late_at: dict[asyncio.Task[Any], float] = {}
        self._long = 0
        self._answered: deque[asyncio.Future[None]] = deque()

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        _allow_many_connections()
        self._pools = configured()
        # granian logs that a worker died, in a form of its own; this line says that another one took its place.
        log.info("web_process_started", pid=os.getpid())
        loop.call_soon(self._tick, loop)

    async def __rsgi__(self, scope: Scope, protocol: Protocolled) -> None:
        self._finish()
        environ = environ_of(scope)
        length = announced(environ)
        if length or "HTTP_TRANSFER_ENCODING" in environ:
            body = await self._body(environ, length, protocol)
            if body is None:
                return
        else:
            body = b""
        await self._answer(environ, body, protocol)
        if not body and (length or "HTTP_TRANSFER_ENCODING" in environ):
            await _forget(protocol)

    async def _body(self, environ: Environ, length: int, protocol: Protocolled) -> bytes | None:
        """The body, empty when nobody will look at it; None when it was answered that it is late or one too many."""
        if not is_worth_reading(environ, length):
            return b""
        long = length if length > SMALL else 0
        if self._long + long > MOST_AT_ONCE:
            protocol.response_bytes(*_refusal(503, _MANY))
            return None
        self._long += long
        try:
            return await self._in_time(protocol, SECONDS + length / SLOWEST)
        except RuntimeError:  # granian's word for a sender who is gone
            return None
        except TimeoutError:
            log.info("body_late", path=environ["PATH_INFO"][:200], ip=environ["REMOTE_ADDR"], announced=length)
            protocol.response_bytes(*_refusal(408, _LATE))
            return None
        finally:
            self._long -= long

    async def _in_time(self, protocol: Protocolled, seconds: float) -> bytes:
        """The body; cancelled by the tick when it takes too long, which costs less than a timer for each."""
        task = asyncio.current_task()
        assert task is not None
        self._late_at[task] = time.monotonic() + seconds
        try:
            return bytes(await protocol())
        except asyncio.CancelledError:
            if task in self._late_at:
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            self._late_at.pop(task, None)

    def _answer(self, environ: Environ, body: bytes, protocol: Protocolled) -> Awaitable[None]:
        """Let a thread answer. What it returns comes true a little later, so that nobody wakes the loop for that alone."""
        assert self._pools is not None
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def job() -> None:
            try:
                protocol.response_bytes(*_answer_of(with_body(environ, body)))
            finally:
                self._answered.append(done)

        self._pools.for_request(environ["PATH_INFO"], body).give(job)
        return done

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._finish()
        now = time.monotonic()
        for task in [task for task, late in self._late_at.items() if late < now]:
            del self._late_at[task]
            task.cancel()
        loop.call_later(TICK, self._tick, loop)

    def _finish(self) -> None:
        while self._answered:
            done = self._answered.popleft()
            if not done.done():
                done.set_result(None)


def _allow_many_connections() -> None:
    """As many open files as the system allows: each slow client has one for as long as it takes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _answer_of(environ: Environ) -> Answer:
    """Django's answer, whole."""
    begun: list[tuple[int, list[tuple[str, str]]]] = []
    parts = django(environ, lambda status, headers, *more: begun.append((int(status[:3]), headers)))
    try:
        return *begun[0], b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()


async def _forget(protocol: Protocolled) -> None:
    """Take a body that nobody read, after its answer."""
    with suppress(Exception):  # the sender is gone, or is slow; it has its answer
        async with asyncio.timeout(FORGETTING):
            taken = 0
            async for piece in protocol:
                taken += len(piece)
                if taken > FORGOTTEN:
                    return


_LATE = AssayError("the body has not arrived in time; send the same request again", code="body_late")
_MANY = AssayError("too many long bodies arrive at once; send the same request again later", code="busy")


def _refusal(status: int, error: AssayError) -> Answer:
    """Every refusal's shape; any origin may read it."""
    again = [("retry-after", str(RETRY_SECONDS))] if status == 503 else []
    headers = [("content-type", "application/json"), ("access-control-allow-origin", "*"), ("cache-control", "no-store")]
    return status, [*headers, *again], msgspec.json.encode(error_body(error))


application = Application()
