"""Passwords: each failure is a line in the log, and makes the next attempt wait. A session that is
open stays open.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from experiments.core.clock import utc_now
from experiments.http.addresses import UNKNOWN, client_address, sender_of
from experiments.selectors.concerns import is_demo_user
from experiments.services.people import logins

log = structlog.get_logger(__name__)
WAITS = "assay_login_waits"
"""On a request: the seconds that this login has to wait."""


class PatientBackend(ModelBackend):
    """Django's own accounts, with a back-off by account and by address. It speaks for every
    password: no other backend is asked.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,  # Any: as the framework passes them
    ) -> User | None:
        if username is None or password is None:
            return None
        now, address = utc_now(), UNKNOWN if request is None else sender_of(client_address(request))
        seconds = logins.begin(now, account=_readable(username), address=address)
        if seconds:
            log.warning(
                "login_refused",
                account=_readable(username),
                address=address,
                wait_seconds=round(seconds),
            )
            if request is not None:
                setattr(request, WAITS, seconds)
            raise PermissionDenied
        user = super().authenticate(request, username=username, password=password, **kwargs)
        if user is None:
            log.warning("login_failed", account=_readable(username), address=address)
            raise PermissionDenied
        logins.succeeded(now, account=_readable(username), address=address)
        return user

    def user_can_authenticate(self, user: Any) -> bool:
        """Asked at each login and for each open session: the demo's people only act in the demo."""
        return super().user_can_authenticate(user) and (settings.DEMO or not is_demo_user(user))


def _readable(username: str) -> str:
    return username.replace("\0", "")[:150]
