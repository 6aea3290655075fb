"""Beat: ``python -m config.processes.beat``. The table is fixed, what is due is in the database.

Beat only sends names of tasks. So it has an application of its own, which loads no task, no model
and no analysis.
"""

from __future__ import annotations

import logging.config
import os

from config import roles

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
roles.leave_out(always=True)

from celery import Celery  # noqa: E402  (what it can do without is left out first)
from django.conf import settings  # noqa: E402

logging.config.dictConfig(settings.LOGGING)
app = Celery("assay", fixups=[])  # Celery's own fixup would set Django up
app.config_from_object("django.conf:settings", namespace="CELERY")


if __name__ == "__main__":
    # Celery's command line would load its worker, its shell and its monitors too.
    app.Beat(loglevel="WARNING", quiet=True).run()
