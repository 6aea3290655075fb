"""Django's handler as this process uses it: an answer whole, and a tidy thread afterwards only
where there is something to tidy.

Django tells four receivers of the beginning and the end of every request. They close database
connections and forget the thread's addresses, and cost more than a decision. A thread that never
had a connection has nothing to close, and decisions need none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.db.backends.signals import connection_created

Answer = tuple[int, list[tuple[str, str]], bytes]
Environ = dict[str, Any]  # Any: as WSGI has it

_BEFORE: Sequence[Callable[..., None]] = (reset_queries, close_old_connections)
_AFTER: Sequence[Callable[..., None]] = (close_old_connections, close_caches, reset_urlconf)


class _Thread(threading.local):
    had_connection = False


_thread = _Thread()


def tidy_where_needed() -> None:
    """From now on this process calls Django's receivers itself, for threads that had a database
    connection.
    """
    connection_created.connect(_note_connection)
    for before in _BEFORE:
        request_started.disconnect(before)
    for after in _AFTER:
        request_finished.disconnect(after)


def _note_connection(**_: object) -> None:
    _thread.had_connection = True


class Handler(WSGIHandler):
    """Without the parts of WSGI that only cost here: granian takes an answer whole."""

    def answer(self, environ: Environ) -> Answer:
        """Middleware and view, and their answer."""
        request_started.send(sender=Handler, environ=environ)
        if _thread.had_connection:
            _call(_BEFORE)
        response = self.get_response(WSGIRequest(environ))
        response._handler_class = Handler  # type: ignore[attr-defined]  # Django sets it as well; stubs do not know it
        try:
            headers = list(response.items())
            if response.cookies:
                headers += [
                    ("Set-Cookie", cookie.output(header="")) for cookie in response.cookies.values()
                ]
            return response.status_code, headers, b"".join(response)
        finally:
            response.close()
            if _thread.had_connection:
                _call(_AFTER)


def _call(receivers: Sequence[Callable[..., None]]) -> None:
    for receiver in receivers:
        receiver(sender=Handler)
