"""A stand-in for the platform on a port of its own: serves a catalogue, remembers what it is told,
and fails on demand.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "assay_server_0123456789ab_" + "0" * 48


class StandIn:
    """``catalogue`` is what it serves (bytes or a document); ``failing`` answers instead of what
    would be said, first come first.
    """

    def __init__(self, catalogue=None, port=0):
        self.catalogue = catalogue
        self.failing = deque()
        self.stale = False
        self.asked = []
        self.told = {}
        self.refuse = lambda item: False
        self.server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def ids(self, kind):
        return [item["event_id"] for item in self.told.get(kind, [])]

    def answer(self, method, path, headers, body):
        self.asked.append((method, path, dict(headers)))
        if self.failing:
            return self.failing.popleft()
        if path == "/api/v1/catalogue":
            return self._catalogue(headers)
        kind = path.rsplit("/", 1)[1]
        items = json.loads(body)[kind]
        if any(self.refuse(item) for item in items):
            return 400, {}, b'{"error": {"message": "an item that no parser takes"}}'
        self.told.setdefault(kind, []).extend(items)
        return (
            200,
            {},
            json.dumps(
                {"accepted": len(items), "duplicates": 0, "conflicts": 0, "errors": []}
            ).encode(),
        )

    def _catalogue(self, headers):
        body = (
            self.catalogue
            if isinstance(self.catalogue, bytes)
            else json.dumps(self.catalogue).encode()
        )
        etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        if headers.get("If-None-Match") == etag:
            return 304, {"ETag": etag}, b""
        return (
            200,
            {"ETag": etag, "Content-Encoding": "gzip", "X-Assay-Stale": str(self.stale).lower()},
            gzip.compress(body),
        )


def _handler(platform):
    class Handler(BaseHTTPRequestHandler):
        def _any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, said = platform.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(said)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = _any  # noqa: N815  # the names that http.server calls

        def log_message(self, *_args):
            pass

    return Handler
