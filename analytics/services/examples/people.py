"""The demo's cast: one person per job, so that one visitor can walk a path that needs several."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import Group, User

from experiments.core.clock import utc_now
from experiments.core.types import SYSTEM, Actor, Environment, Scope
from experiments.models import ApiKey
from experiments.selectors.actors import actor_for_user
from experiments.selectors.cast import CAST, HIRED, PASSWORD, Member
from experiments.services.ground import audit
from experiments.services.people import keys


def hire(now: datetime) -> dict[str, Actor]:
    """Every member of the cast as an actor, by username; those who are missing are created."""
    return {person.username: actor_for_user(_user(person, now)) for person in CAST}


def server_key(name: str) -> str:
    """A new server key under this name; the keys of earlier runs under it are revoked."""
    now = utc_now()
    admin = User.objects.get(username="ada")
    actor = actor_for_user(admin)
    for old in ApiKey.objects.filter(name=name, revoked_at__isnull=True):
        keys.revoke_key(actor, now, key_id=old.pk, reason=f"a new run of {name}")
    return keys.create_key(
        actor, now, name=name, scope=Scope.SERVER, environment=Environment.PRODUCTION, owner=admin
    )[1]


def _user(person: Member, now: datetime) -> User:
    found = User.objects.filter(username=person.username).first()
    if found is not None:
        return found
    first, last = person.name.split(" ", 1)
    user = User(username=person.username, first_name=first, last_name=last, is_staff=True)
    user.set_password(PASSWORD)
    user.save()
    user.groups.add(Group.objects.get(name=person.role.value))
    audit.record(
        SYSTEM, now, action="create_user", obj=user, reason=HIRED, after={"role": person.role.value}
    )
    return user
