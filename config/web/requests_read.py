"""Requests as they arrive, and their bodies: read whole and in time before any thread is taken, or
not read at all.
"""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any, Protocol

from django.conf import settings

from experiments.core.errors import NotAuthenticated
from experiments.core.types import Scope as KeyScope
from experiments.http.auth import opened_by_header
from experiments.http.parsing import BATCH_BODY

Environ = dict[str, Any]  # Any: as WSGI has it
SMALL = 64 * 1024
"""Smaller bodies are read when some key is there, larger ones only for a key that is good."""
KEYED = ("/api/v1/", "/ofrep/")
"""What begins the addresses of doors whose key is in a header."""
_BASE: Environ = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Granian",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}
_MOST_NAMES = 512
_names: dict[str, str] = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class RequestScope(Protocol):
    """What granian knows of a request."""

    http_version: str
    server: str
    client: str
    scheme: str
    method: str
    path: str
    query_string: str
    authority: str | None
    headers: Any  # Any: granian's own mapping


def environ_of(scope: RequestScope) -> Environ:
    """The request as WSGI has it, without a body. Names with an underscore are left out: they would
    pass for others.
    """
    found = _BASE.copy()
    host, _, port = scope.server.rpartition(":")
    found["SERVER_NAME"], found["SERVER_PORT"] = host.strip("[]"), port
    found["SERVER_PROTOCOL"] = f"HTTP/{scope.http_version}"
    found["REMOTE_ADDR"] = scope.client.rpartition(":")[0].strip("[]")
    found["REQUEST_METHOD"], found["wsgi.url_scheme"] = scope.method, scope.scheme
    path = scope.path
    found["PATH_INFO"] = path if path.isascii() else path.encode().decode("latin-1")
    found["QUERY_STRING"] = scope.query_string
    for header, value in scope.headers.items():
        name = _names.get(header) or _name(header)
        if name in found:
            found[name] = f"{found[name]}{';' if name == 'HTTP_COOKIE' else ','}{value}"
        elif name:
            found[name] = value
    if "HTTP_HOST" not in found:
        found["HTTP_HOST"] = scope.authority or ""
    return found


def _name(header: str) -> str:
    name = "" if "_" in header else f"HTTP_{header.upper().replace('-', '_')}"
    if name and len(_names) < _MOST_NAMES:
        _names[header] = name
    return name


def announced(environ: Environ) -> int:
    """The length of the body; 0 for none, and for one whose length nobody says."""
    length = environ.get("CONTENT_LENGTH", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0


def is_worth_reading(environ: Environ, length: int) -> bool:
    """Whether anybody will look at the body: its door refuses without one that is too long, or that
    comes without a key.

    A body in chunks is never read: every door refuses it by name.
    """
    if "HTTP_TRANSFER_ENCODING" in environ:
        return False
    if not environ["PATH_INFO"].startswith(KEYED):
        return length <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return length <= BATCH_BODY and (
        _has_good_key(environ) if length > SMALL else _has_key(environ)
    )


def with_body(environ: Environ, body: bytes) -> Environ:
    """The request as a WSGI application reads it."""
    environ["wsgi.input"] = BytesIO(body)
    return environ


def _has_key(environ: Environ) -> bool:
    return "HTTP_AUTHORIZATION" in environ or "HTTP_X_API_KEY" in environ


def _has_good_key(environ: Environ) -> bool:
    try:
        opened_by_header(environ, *KeyScope)
    except NotAuthenticated:
        return False
    return True
