"""The login page's form: it says how long to wait after failed logins."""

from __future__ import annotations

import math

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from experiments.http.logins import WAITS


class PatientForm(AuthenticationForm):
    """The same words whether the account exists or not."""

    def get_invalid_login_error(self) -> ValidationError:
        seconds = getattr(self.request, WAITS, 0.0)
        if not seconds:
            return super().get_invalid_login_error()
        return ValidationError(
            f"Too many failed logins. Try again in {math.ceil(seconds)} seconds.", code="wait"
        )
