"""Two questions an orchestrator asks: are you alive, and can you work?"""

from __future__ import annotations

from dataclasses import dataclass

import redis
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.processes.background import Found, Reader
from experiments.selectors.concerns import concerns

_ONCE = Retry(NoBackoff(), 0)
OK = "ok"
SILENT = "no answer"


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers; asks nobody else, so that a dead database never gets a serving process
    restarted.
    """
    return HttpResponse("ok\n", content_type="text/plain")


@dataclass(frozen=True)
class ServerState:
    """What a server answered: "ok" or the name of the error; and sentences about the
    installation.
    """

    said: str
    concerns: tuple[str, ...] = ()


def _ask_postgresql() -> ServerState:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        return ServerState(type(error).__name__)
    return ServerState(OK, tuple(_concerns()))


def _ask_redis() -> ServerState:
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=_ONCE
        ) as client:
            client.ping()
    except redis.RedisError as error:
        return ServerState(type(error).__name__)
    return ServerState(OK)


def _concerns() -> list[str]:
    """Never a reason not to be ready."""
    try:
        return concerns()
    except Error as error:
        return [f"cannot say: {type(error).__name__}"]


postgresql = Reader(_ask_postgresql)
cache = Reader(_ask_redis)
"""Both are asked in the background: a server that accepts connections and then says nothing would
hold up whoever waits for it.
"""


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """503 while PostgreSQL does not answer; a missing Redis is named but only slows things down.

    ``seconds_ago`` says when each was asked last. ``concerns`` are sentences about an installation
    that works and should still be changed.
    """
    read = {"postgresql": postgresql.look(), "redis": cache.look()}
    said = {name: _said(found) for name, found in read.items()}
    ages = {name: round(found.age, 1) for name, found in read.items() if found.value is not None}
    works = said["postgresql"] == OK
    named = (
        read["postgresql"].value.concerns if works and read["postgresql"].value is not None else ()
    )
    answer = {**said, "seconds_ago": ages, **({"concerns": list(named)} if named else {})}
    return JsonResponse(answer, status=200 if works else 503)


def _said(found: Found[ServerState]) -> str:
    return found.value.said if found.value is not None and found.works else SILENT
