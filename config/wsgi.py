"""The WSGI application: ``granian --interface wsgi config.wsgi:application``."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from config import decisions, exposures  # noqa: E402  (needs the apps that the line above loads)
from experiments.selectors import serving  # noqa: E402  (as above)

decisions.wire()
exposures.wire()
exposures.start()
serving.start_polling()
