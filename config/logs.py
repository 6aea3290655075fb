"""Logs: one JSON object a line on standard error, from our own code and from libraries alike."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


class _NoSolverChatter(logging.Filter):
    """SciPy's global optimiser, inside its Barnard test, tells the root logger its bounds at every
    call.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return record.module != "_shgo"


class _RefusedIsRoutine(logging.Filter):
    """Django's refusals of a request (too many fields, an unknown host, a form that cannot be
    parsed) are the sender's faults: a warning in a single line, without the traceback of a fault of
    ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        status = getattr(record, "status_code", None)
        if record.name.startswith("django.") and isinstance(status, int) and 400 <= status < 500:
            record.exc_info = record.exc_text = None
            if record.levelno > logging.WARNING:
                record.levelno, record.levelname = (
                    logging.WARNING,
                    logging.getLevelName(logging.WARNING),
                )
        return True


def expired_is_routine(logger: WrappedLogger, _: str, event: EventDict) -> EventDict:
    """Log at debug that nobody took a message of beat within its tick: the next tick sends the same
    work again.

    This happens whenever the workers are busy for longer than a tick. ``assay_beat_lag_seconds``
    tells how long it lasts.
    """
    if event.get("event") != "task_revoked" or not event.get("expired"):
        return event
    if not logger.isEnabledFor(logging.DEBUG):
        raise structlog.DropEvent
    event["level"] = "debug"
    return event


def configure_structlog() -> None:
    """Hand structlog's events to the standard library's handlers, where LOGGING formats them."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            expired_is_routine,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def django_logging(*, level: str, requests: bool) -> dict[str, Any]:
    """Django's LOGGING; one line per request only when asked for, since serving answers thousands a
    second.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processor": structlog.processors.JSONRenderer(),
                "foreign_pre_chain": _SHARED,
            }
        },
        "filters": {
            "no_solver_chatter": {"()": _NoSolverChatter},
            "refused_is_routine": {"()": _RefusedIsRoutine},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "filters": ["no_solver_chatter", "refused_is_routine"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"level": "WARNING"},
            # A line for each task that beat sends would bury what the tasks change.
            "celery": {"level": "WARNING"},
            "django.server": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            "django_structlog": {"level": "INFO" if requests else "WARNING"},
        },
    }
