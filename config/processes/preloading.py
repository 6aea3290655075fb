"""What the children of a worker share: loaded before the first of them is forked, and left alone by
the garbage collector.

A page that a child writes to is its own. Whatever a child loads itself is there once for each
child, and again for each child that replaces one; the collector's marks alone would copy most of
what they inherit.
"""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any

from celery.signals import worker_before_create_process, worker_init

from config.celery_settings import SLOW

STATISTICS = (
    "scipy.stats",
    "analytics.stores.postgres",
    "analytics.selectors.moments",
    *(
        f"analytics.services.{name}"
        for name in ("analysis", "dark_health", "holdbacks", "reports", "scanning")
    ),
)
"""What an analysis loads when it needs it."""


def load_first(sender: Any = None, **_: Any) -> None:  # Any: a worker, as Celery passes it
    """A worker that analyses with several children loads the statistics; the one for quick work
    needs none of them.

    A single child shares with nobody: it writes to half of the pages that it inherits, so they
    would be there twice.
    """
    if sender.concurrency != 1 and set(SLOW) & set(sender.app.amqp.queues.consume_from):
        for module in STATISTICS:
            import_module(module)


def keep(**_: Any) -> None:
    """Nothing that is here now is ever garbage to a child."""
    gc.collect()
    gc.freeze()


worker_init.connect(load_first)
worker_before_create_process.connect(keep)
