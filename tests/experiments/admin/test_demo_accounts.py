"""Outside the demo nobody signs in with the known password. Administrators see which accounts have
it.
"""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from analytics.services.examples.people import hire
from config.checks import concerns_of_the_installation
from experiments.core.clock import utc_now
from experiments.core.types import Actor, ActorKind, Role
from experiments.selectors import concerns
from experiments.selectors.cast import PASSWORD
from experiments.services.people.accounts import set_password

pytestmark = pytest.mark.django_db
ADMIN = Actor(ActorKind.PERSON, "root", roles=frozenset({Role.ADMIN}))


@pytest.fixture
def cast(monkeypatch, settings):
    settings.DEMO = False
    monkeypatch.setattr(concerns, "KEPT_SECONDS", -1.0)
    monkeypatch.setattr(concerns, "_known", None)
    for role in Role:
        Group.objects.get_or_create(name=role.value)
    hire(utc_now())


@pytest.fixture
def admin(db):
    made = User.objects.create(username="root", is_staff=True)
    made.groups.add(Group.objects.get_or_create(name=Role.ADMIN.value)[0])
    return made


def sign_in(client, username="ada", password=PASSWORD):
    return (
        client.post("/admin/login/", {"username": username, "password": password}).status_code
        == 302
    )


def test_load_examples__outside_the_demo__is_refused(settings):
    settings.DEMO = False
    with pytest.raises(CommandError, match="ASSAY_DEMO=1"):
        call_command("load_examples", stdout=StringIO())
    assert not User.objects.filter(username="ada").exists()


def test_demo_accounts__sign_in_only_in_the_demo(cast, client, settings):
    assert not sign_in(client)
    settings.DEMO = True
    assert sign_in(client)


def test_session_of_the_demo__is_nobody_outside_it(cast, client, settings):
    settings.DEMO = True
    assert sign_in(client)
    assert client.get("/admin/").status_code == 200
    settings.DEMO = False
    assert client.get("/admin/").status_code == 302


def test_another_password__makes_it_an_account_like_any_other(cast, client):
    ada = User.objects.get(username="ada")
    set_password(ADMIN, utc_now(), account_id=ada.pk, password="correct horse battery")
    assert sign_in(client, password="correct horse battery")
    assert "ada" not in concerns.demo_people()


def test_namesake_who_was_not_made_by_the_demo__signs_in(client, settings):
    settings.DEMO = False
    User.objects.create_user("ada", password="correct horse", is_staff=True)
    assert sign_in(client, password="correct horse")


def test_check_readyz_and_the_admins_pages__name_them(cast, client, admin):
    (found,) = [
        message.msg for message in concerns_of_the_installation(None) if "demo" in message.msg
    ]
    assert "ada, dmitri, olivia, paula, quinn, victor" in found
    named = client.get("/readyz").json()["concerns"]
    assert any("ada, dmitri" in one for one in named)
    client.force_login(admin)
    assert b"ada, dmitri, olivia" in client.get("/admin/").content


def test_in_the_demo__nobody_is_warned(cast, settings):
    settings.DEMO = True
    assert not any("demo" in one for one in concerns.found())
