"""Whether the rows of a request count against the caps of client keys."""

from __future__ import annotations

from django.http import HttpRequest

from experiments.core.serving.keyring import KeyIdentity
from experiments.core.types import Scope
from experiments.http.addresses import client_address, sender_of
from experiments.services.serving.client_rows import Admit, admitting


def admission(request: HttpRequest, key: KeyIdentity) -> Admit | None:
    """What decides whether a unit's row is stored; ``None``: every row is, as with all keys that
    browsers do not hold.
    """
    if key.scope is not Scope.CLIENT:
        return None
    return admitting(key.key_id, sender_of(client_address(request)))
