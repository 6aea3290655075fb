"""The few lines of HTTP that the examples share, so that each can be about its experiment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.simple_server import make_server

from experiments.sdk import AssayClient

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Handler = Callable[[dict[str, Any]], tuple[int, object]]
WORDS = {200: "OK", 400: "Bad Request", 404: "Not Found"}


def application(routes: dict[tuple[str, str], Handler]) -> Application:
    """A WSGI application of these (method, path) routes; a handler gets the query or the JSON
    body.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        handler = routes.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        status, body = (
            (404, {"error": "no such address"}) if handler is None else _handled(handler, environ)
        )
        start_response(f"{status} {WORDS[status]}", [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    return answer


def _handled(handler: Handler, environ: dict[str, Any]) -> tuple[int, object]:
    try:
        return handler(_sent(environ))
    except (KeyError, ValueError) as error:
        return 400, {"error": f"the request lacks or garbles {error}"}


def _sent(environ: dict[str, Any]) -> dict[str, Any]:
    if environ["REQUEST_METHOD"] == "GET":
        return dict(parse_qsl(environ.get("QUERY_STRING", "")))
    return json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


def client_from_environment() -> AssayClient:
    """ASSAY_URL and ASSAY_KEY say where Assay is; ASSAY_FOLDER keeps the last catalogue."""
    return AssayClient(
        os.environ["ASSAY_URL"], os.environ["ASSAY_KEY"], folder=os.environ.get("ASSAY_FOLDER")
    )


def serve(made: Application, port: int) -> None:
    """Until Ctrl-C."""
    with make_server("127.0.0.1", port, made) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}")
        server.serve_forever()
