"""A message of beat that nobody took within its tick is routine; a task that somebody ended is
not.
"""

from __future__ import annotations

import logging

import pytest
import structlog

from config.logs import expired_is_routine

EXPIRED = {
    "event": "task_revoked",
    "expired": True,
    "task": "analytics.tasks.count_told",
    "level": "warning",
}


def logger(level: int) -> logging.Logger:
    return logging.Logger("django_structlog", level)


def test_expired_message__is_logged_at_debug_only() -> None:
    assert expired_is_routine(logger(logging.DEBUG), "warning", dict(EXPIRED))["level"] == "debug"
    with pytest.raises(structlog.DropEvent):
        expired_is_routine(logger(logging.WARNING), "warning", dict(EXPIRED))


@pytest.mark.parametrize(
    "other", [EXPIRED | {"expired": False, "terminated": True}, EXPIRED | {"event": "task_failed"}]
)
def test_other_ends_of_tasks__stay_warnings(other: dict[str, object]) -> None:
    assert expired_is_routine(logger(logging.WARNING), "warning", dict(other)) == other


def test_expired_message__the_chain_of_the_house_drops_it() -> None:
    assert expired_is_routine in structlog.get_config()["processors"]
