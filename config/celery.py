"""The Celery application: ``celery -A config.celery worker``. The beat table is in
celery_settings.py.
"""

from __future__ import annotations

import os
from typing import Any

from config import roles

roles.leave_out()

from celery import Celery  # noqa: E402  (what they can do without is left out first)
from celery.exceptions import SoftTimeLimitExceeded  # noqa: E402
from celery.signals import task_postrun  # noqa: E402
from django_structlog.celery.steps import DjangoStructLogInitStep  # noqa: E402

from analytics.core.ground.nets import never_hold  # noqa: E402
from config.celery_settings import BEAT  # noqa: E402
from config.processes import preloading  # noqa: E402, F401  (its signals)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# The end of a task's time ends the task: no net under a part of the work may take it for that
# part's fault.
never_hold(lambda error: isinstance(error, SoftTimeLimitExceeded))
_ON_BEAT = frozenset(tick.task for tick in BEAT)

app = Celery("assay")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"].add(DjangoStructLogInitStep)
app.autodiscover_tasks(["experiments", "analytics"])


@task_postrun.connect
def note(task: Any = None, state: str = "", **_: Any) -> None:
    """Whoever watches wants to know that beat's tasks come to their end, not that they were
    sent.
    """
    from experiments.core.clock import utc_now
    from experiments.services.ground.slots import heard  # needs the apps

    if state == "SUCCESS" and task is not None and task.name in _ON_BEAT:
        heard(utc_now(), task.name)
