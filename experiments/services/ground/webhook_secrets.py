"""Signing secrets that are kept nowhere: each is made from the subscription's salt and the
installation's own secret.

Reading the database alone signs nothing. A new ``ASSAY_SECRET_KEY`` makes every secret a new one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from django.conf import settings

from experiments.core.messages.signing import secret_text
from experiments.models import Subscription


def new_salt() -> str:
    """What a new secret is made from."""
    return secrets.token_hex(32)


def secret_of(subscription: Subscription) -> str:
    """The secret that signs a webhook's messages; empty for channels that sign nothing."""
    if subscription.channel != "webhook":
        return ""
    message = f"webhook\x00{subscription.salt}".encode()
    return secret_text(hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).digest())
