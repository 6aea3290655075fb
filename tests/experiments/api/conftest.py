"""What every test of a door needs: keys of each scope, and a catalogue that is what the tables
say.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Group, User
from django.test import override_settings
from rest_framework.test import APIClient

from experiments.core.clock import utc_now
from experiments.core.types import SYSTEM, Environment, Role, Scope
from experiments.selectors import serving
from experiments.services.ground import publishing
from experiments.services.people.keys import create_key


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
        _, text = create_key(
            SYSTEM,
            utc_now(),
            name=f"{scope} {environment}",
            scope=scope,
            environment=environment,
            owner=self.owner,
        )
        serving.refresh(utc_now())
        return text

    def client(self, scope=Scope.SERVER, environment=Environment.PRODUCTION):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.key(scope, environment)}")
        return client

    def publish(self):
        publishing.publish(utc_now(), reason="test")
        serving.refresh(utc_now())


def doors_of(username):
    owner = User.objects.create(username=username)
    owner.groups.add(Group.objects.get_or_create(name=Role.PRODUCT_OWNER.value)[0])
    return Doors(owner)


@pytest.fixture
def doors(db):
    return doors_of("olga")


@pytest.fixture(scope="module")
def folders_of_the_file(tmp_path_factory):
    """Folders for what a fixture of the whole file publishes; each test has its own again."""
    folder = tmp_path_factory.mktemp("file")
    with override_settings(CATALOGUE_DIR=folder / "catalogue", SPOOL=folder / "spool"):
        serving.forget()
        yield
    serving.forget()
