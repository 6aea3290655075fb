"""Two questions an orchestrator asks: are you alive, and can you work?"""

from __future__ import annotations

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from redis.backoff import NoBackoff
from redis.retry import Retry

from experiments.selectors.concerns import concerns

_ONCE = Retry(NoBackoff(), 0)


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers; asks nobody else, so that a dead database never gets a serving process restarted."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """503 while PostgreSQL does not answer; a missing Redis is named but only slows things down.

    ``concerns`` are sentences about an installation that works and should still be changed.
    """
    state = {"postgresql": _answers(_ask_postgresql), "redis": _answers(_ask_redis)}
    works = state["postgresql"] == "ok"
    found = {"concerns": named} if works and (named := _concerns()) else {}
    return JsonResponse(state | found, status=200 if works else 503)


def _concerns() -> list[str]:
    """Never a reason not to be ready."""
    try:
        return concerns()
    except DatabaseError as error:
        return [f"cannot say: {type(error).__name__}"]


def _answers(ask: Callable[[], None]) -> str:
    try:
        ask()
    except (DatabaseError, redis.RedisError) as error:
        return type(error).__name__
    return "ok"


def _ask_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_redis() -> None:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, retry=_ONCE) as client:
        client.ping()
