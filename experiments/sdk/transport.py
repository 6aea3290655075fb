"""Requests to the platform with nothing but the standard library: bounded in time and size, and
never redirected.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - else the first request imports it, and a child forked meanwhile would wait for that import for ever
import http.client
import json
import urllib.parse
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPResponse

from experiments.core.errors import InvalidInput

_LARGEST = 256 * 1024 * 1024
"""Bytes of an answer, unpacked; a catalogue of 500 experiments has three million."""
_GZIP = 16 + zlib.MAX_WBITS


class Unreachable(Exception):
    """No answer came: the server is away, too slow, or speaks no HTTP."""


@dataclass(frozen=True)
class Answer:
    """What the server said; header names are in lower case, the body is unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to be left alone, where it says so."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdigit() and len(text) < 7 else None

    def json(self) -> object:
        """The body's document; ``Unreachable`` when it is none, as from a proxy that answers in the
        server's place.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Unreachable(f"answer {self.status} is not JSON: {self.body[:80]!r}") from error


class _AsItComes(urllib.request.HTTPErrorProcessor):
    """Errors and redirects are answers too; following one would carry the key to another host."""

    def http_response(
        self, request: urllib.request.Request, response: HTTPResponse
    ) -> HTTPResponse:
        return response

    https_response = http_response


class Transport:
    """One server and one key. Proxies are taken from the environment, as everywhere."""

    def __init__(self, url: str, key: str, timeout: float = 5.0) -> None:
        self.url = checked_url(url)
        self._key = _checked_key(key)
        self._timeout = timeout
        self._opener = urllib.request.build_opener(_AsItComes)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """One request, one answer of any status; ``Unreachable`` when none came, within ``seconds``
        where that is less than usual.
        """
        sent = {
            "Authorization": f"Bearer {self._key}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": "assay-sdk",
        }
        if body is not None:
            sent["Content-Type"] = "application/json"
        request = urllib.request.Request(  # noqa: S310  # the scheme was checked
            self.url + path, data=body, headers={**sent, **(headers or {})}, method=method
        )
        try:
            with self._opener.open(
                request, timeout=self._timeout if seconds is None else min(seconds, self._timeout)
            ) as response:
                found = {name.lower(): value for name, value in response.headers.items()}
                return Answer(
                    response.status,
                    found,
                    _unpacked(response.read(_LARGEST + 1), found.get("content-encoding", "")),
                )
        except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
            raise Unreachable(f"{method} {self.url}{path}: {error!r}") from error


def checked_url(url: object) -> str:
    """The server's address without a slash at its end."""
    parts = urllib.parse.urlsplit(url) if isinstance(url, str) else None
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or not parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise InvalidInput(
            f"url: expected the server's address such as https://assay.example.com; found {str(url)[:100]!r}",
            "url",
        )
    return parts.geturl().rstrip("/")


def _checked_key(key: object) -> str:
    if (
        not isinstance(key, str)
        or not key.isascii()
        or not key.isprintable()
        or not key
        or " " in key
    ):
        raise InvalidInput("key: expected the text of an API key, without spaces", "key")
    return key


def _unpacked(body: bytes, encoding: str) -> bytes:
    """The body as it was before packing; refuses what would grow beyond all bounds."""
    if encoding == "gzip":
        inflater = zlib.decompressobj(_GZIP)
        body = inflater.decompress(body, _LARGEST + 1)
        if not inflater.eof:
            raise ValueError("a packed answer that ends early or is too large")
    if len(body) > _LARGEST:
        raise ValueError(f"an answer of more than {_LARGEST:,} bytes")
    return body
