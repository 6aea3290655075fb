"""What every test of a door needs: keys of each scope, and a catalogue that is what the tables say."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from experiments.core.clock import utc_now
from experiments.core.types import SYSTEM, Environment, Role, Scope
from experiments.selectors import serving
from experiments.services import catalogue
from experiments.services.keys import create_key


@pytest.fixture(autouse=True)
def own_files(settings, tmp_path):
    """Files of this test's own, and nothing in memory from another test's database."""
    settings.CATALOGUE_DIR = tmp_path / "catalogue"
    settings.SPOOL = tmp_path / "spool"
    serving.forget()
    yield
    serving.forget()


@dataclass
class Doors:
    """Clients with keys; ``publish`` makes this process serve what the tables hold."""

    owner: User

    def key(self, scope=Scope.SERVER, environment=Environment.PRODUCTION):
        _, text = create_key(SYSTEM, utc_now(), name=f"{scope} {environment}", scope=scope, environment=environment, owner=self.owner)
        serving.refresh(utc_now())
        return text

    def client(self, scope=Scope.SERVER, environment=Environment.PRODUCTION):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.key(scope, environment)}")
        return client

    def publish(self):
        catalogue.publish(utc_now(), reason="test")
        serving.refresh(utc_now())


@pytest.fixture
def doors(db):
    owner = User.objects.create(username="olga")
    owner.groups.add(Group.objects.get_or_create(name=Role.PRODUCT_OWNER.value)[0])
    return Doors(owner)
