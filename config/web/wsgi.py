"""Django as WSGI has it; ``config.web.rsgi`` is what granian serves, and reads bodies before a
thread takes a request.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable
from typing import Any

import django

from config import database, roles
from config.processes import scheduling

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault(database.VARIABLE, "web")
roles.leave_out()
scheduling.answer_undisturbed()
django.setup(set_prefix=False)

from config.web.handling import Handler  # noqa: E402  (needs the apps that the line above loads)

handler = Handler()


def application(
    environ: dict[str, Any], start_response: Any
) -> Iterable[bytes]:  # Any: as WSGI has it
    """Django, its answers handed over whole: a body sent after its headers waits some 40 ms for the
    client's acknowledgement.
    """
    answer = handler(environ, start_response)
    if answer.streaming:
        return answer
    try:
        return list(answer)
    finally:
        answer.close()


from django.conf import settings  # noqa: E402  (what follows needs the apps that the line above loads)

from config import exposures  # noqa: E402
from experiments.selectors import serving  # noqa: E402

if not settings.SERVES_ONLY:
    from config import decisions

    decisions.wire()
exposures.wire()
exposures.start()
serving.start_polling()
if not (settings.SERVES_ONLY and settings.DRAINS_BESIDE):
    # A request waits at most this long for a thread that computes: one that drains the spool or
    # draws a page; the usual 5 ms add up. Where nobody computes for long, taking turns only costs:
    # a tenth of the requests a second, and the slowest are twice as slow.
    sys.setswitchinterval(0.0002)
# What was loaded so far stays: no collection need ever look at it again.
gc.freeze()
