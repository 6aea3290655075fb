"""The WSGI application: ``granian --interface wsgi config.wsgi:application``."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from django.conf import settings  # noqa: E402  (what follows needs the apps that the line above loads)

from config import exposures  # noqa: E402
from experiments.selectors import serving  # noqa: E402

if not settings.SERVES_ONLY:
    from config import decisions

    decisions.wire()
exposures.wire()
exposures.start()
serving.start_polling()
