"""Keys: shown once, checked in memory, gone when revoked, and made by administrators alone."""

from __future__ import annotations

from functools import partial

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from experiments.core.errors import Forbidden, InvalidInput, NotAuthenticated, Refused
from experiments.core.types import SYSTEM, Environment, Role, Scope
from experiments.models import ApiKey, ChangeLogEntry, ServingDocument
from experiments.selectors import keys, serving
from experiments.selectors.actors import actor_for_user
from experiments.services.people.keys import create_key, revoke_key
from tests.serving_cast import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_catalogue")]


@pytest.fixture
def ada():
    user = User.objects.create(username="ada")
    user.groups.add(Group.objects.get_or_create(name=Role.ADMIN.value)[0])
    return user


def _made(owner, scope=Scope.SERVER, **more):
    made = create_key(SYSTEM, NOW, name="shop", scope=scope, owner=owner, **more)
    serving.refresh(NOW)
    return made


def test_create_key__authenticates_without_the_database(ada, django_assert_num_queries):
    key, text = _made(ada, environment=Environment.TEST)
    with django_assert_num_queries(0):
        identity = keys.authenticate(text)
    assert (identity.key_id, identity.scope, identity.environment) == (
        key.pk,
        Scope.SERVER,
        Environment.TEST,
    )
    assert (identity.actor.user_id, identity.actor.roles) == (ada.pk, frozenset({Role.ADMIN}))


def test_create_key__its_text__is_stored_nowhere(ada):
    key, text = _made(ada)
    assert text.startswith(f"assay_server_{key.selector}_")
    secret = text.rsplit("_", 1)[1]
    assert secret not in str(list(ServingDocument.objects.values())) + str(
        list(ChangeLogEntry.objects.values())
    ) + str(key.__dict__)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"),
        lambda t: t.replace("server", "read"),
        lambda _: "x",
    ],
)
def test_authenticate__anything_but_the_whole_key__is_refused(ada, change):
    _, text = _made(ada)
    with pytest.raises(NotAuthenticated):
        keys.authenticate(change(text))


def test_revoke_key__closes_it_with_the_next_poll_and_says_why(ada):
    key, text = _made(ada)
    revoke_key(actor_for_user(ada), NOW, key_id=key.pk, reason="leaked")
    serving.refresh(NOW)
    with pytest.raises(NotAuthenticated):
        keys.authenticate(text)
    assert ChangeLogEntry.objects.get(action="revoke_key").reason == "leaked"
    with pytest.raises(Refused, match="revoked already"):
        revoke_key(SYSTEM, NOW, key_id=key.pk, reason="again")


def test_create_key__by_anybody_else__is_refused(ada):
    stranger = User.objects.create(username="sam")
    with pytest.raises(Forbidden):
        create_key(actor_for_user(stranger), NOW, name="x", scope=Scope.READ, owner=ada)
    _, text = _made(ada, Scope.MANAGEMENT)
    with pytest.raises(Forbidden):
        create_key(keys.authenticate(text).actor, NOW, name="x", scope=Scope.READ, owner=ada)
    with pytest.raises(InvalidInput):
        create_key(SYSTEM, NOW, name=" ", scope=Scope.READ, owner=ada)


def test_command__waits_until_every_door_has_read_the_key(ada, keys_at_once):
    call_command("create_key", "shop", "--scope", "server")
    assert keys_at_once == [pytest.approx(settings.POLL_SECONDS, abs=0.5)]
    assert keys_at_once[0] > settings.POLL_SECONDS


def test_command__prints_the_key_as_its_last_line(ada, capsys):
    call_command("create_key", "shop", "--scope", "client", "--environment", "test")
    text = capsys.readouterr().out.strip().splitlines()[-1]
    serving.refresh(NOW)
    assert keys.authenticate(text).scope is Scope.CLIENT


def test_command__nobody_administers_yet__the_key_acts_for_an_account_without_a_login(capsys):
    call_command("create_key", "shop", "--scope", "server")
    text = capsys.readouterr().out.strip().splitlines()[-1]
    serving.refresh(NOW)
    assert keys.authenticate(text).actor.roles == frozenset()
    assert not User.objects.get(username="operator").has_usable_password()


def test_command__management_key_that_names_nobody__is_refused(ada):
    with pytest.raises(CommandError, match="--owner: name the person"):
        call_command("create_key", "ci", "--scope", "management")
    call_command("create_key", "ci", "--scope", "management", "--owner", "ada")
    assert (ApiKey.objects.get().owner, ApiKey.objects.get().made_by) == (ada, None)


def test_command__owner_unknown__is_refused():
    with pytest.raises(CommandError, match="no active account"):
        call_command("create_key", "shop", "--scope", "server", "--owner", "nobody")


@pytest.mark.parametrize("role", list(Role))
def test_management_key__for_somebody_whose_job_starts_nothing__is_refused(ada, role):
    owner = User.objects.create(username="sam")
    owner.groups.set([Group.objects.get_or_create(name=role.value)[0]])
    made = partial(create_key, actor_for_user(ada), NOW, name="ci", owner=owner)
    assert made(scope=Scope.READ)[0].owner == owner
    if role in (Role.PRODUCT_OWNER, Role.ADMIN):
        assert made(scope=Scope.MANAGEMENT)[0].owner == owner
    else:
        with pytest.raises(Refused, match="sam is no admin or product owner; choose somebody who"):
            made(scope=Scope.MANAGEMENT)
