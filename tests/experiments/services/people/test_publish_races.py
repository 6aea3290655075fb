"""Publishers that commit at the same moment: versions follow each other and no change is lost."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from experiments.core.errors import NotAuthenticated
from experiments.core.types import SYSTEM, Scope
from experiments.models import Flag, ServingDocument
from experiments.selectors import keys, serving
from experiments.services.ground import publishing
from experiments.services.people.keys import create_key
from tests.serving_cast import NOW

PUBLISHERS = 6
pytestmark = pytest.mark.usefixtures("own_catalogue")


@pytest.mark.django_db(transaction=True)
def test_publish__six_at_once__the_last_version_holds_every_change():
    together = Barrier(PUBLISHERS)

    def change(number):
        try:
            with transaction.atomic():
                Flag.objects.create(key=f"flag{number}", created_at=NOW)
                together.wait(timeout=20)
                return publishing.publish(NOW, reason="race").version
        finally:
            connection.close()

    with ThreadPoolExecutor(PUBLISHERS) as pool:
        versions = sorted(pool.map(change, range(PUBLISHERS)))
    assert versions == list(range(1, PUBLISHERS + 1))
    last = json.loads(ServingDocument.objects.filter(kind="catalogue").latest("version").body)
    assert [flag["key"] for flag in last["flags"]] == [
        f"flag{number}" for number in range(PUBLISHERS)
    ]


@pytest.mark.django_db
def test_publish_keyring__owner_switched_off__his_keys_open_nothing():
    owner = User.objects.create(username="olga")
    _, text = create_key(SYSTEM, NOW, name="shop", scope=Scope.SERVER, owner=owner)
    User.objects.update(is_active=False)
    publishing.publish_keyring(NOW)
    serving.refresh(NOW)
    with pytest.raises(NotAuthenticated):
        keys.authenticate(text)
