"""Failed logins, counted for a while by account, by address, and by both together."""

from __future__ import annotations

from django.db import models


class LoginCount(models.Model):
    """How often logins of one subject failed in a row. ``known``: this account has logged in from
    this address.
    """

    subject = models.CharField(max_length=320, unique=True)
    failures = models.PositiveIntegerField(default=0)
    known = models.BooleanField(default=False)
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "login_counts"
