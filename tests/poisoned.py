"""The Celery application of a worker in which some experiments poison their analysis, by name; for
tests with a real pool.

``poison…`` ends the worker's process as the kernel would; ``endless…`` never comes to its end.
``POISONED_SECONDS``: a task's time instead of the one in the settings, which outweighs the options
of Celery's command line.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from datetime import datetime

import django

from config.celery import app

__all__ = ["app"]

if "POISONED_SECONDS" in os.environ:
    seconds = float(os.environ["POISONED_SECONDS"])
    app.conf.update(task_soft_time_limit=seconds, task_time_limit=2 * seconds)
django.setup()

from analytics import tasks  # noqa: E402  (needs the apps)
from experiments.models import Experiment  # noqa: E402

_analyse = tasks.SLOW["analyse"]


def _poisoned(experiment_id: int, now: datetime) -> object:
    key = Experiment.objects.get(pk=experiment_id).key
    if key.startswith("poison"):
        os.kill(os.getpid(), signal.SIGKILL)
    while key.startswith("endless"):
        time.sleep(0.1)
    return _analyse.work(experiment_id, now)


tasks.SLOW = {**tasks.SLOW, "analyse": replace(_analyse, work=_poisoned)}
