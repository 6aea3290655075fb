"""The demo's cast: one person per job, so that one visitor can walk a path that needs several."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import Group, User

from experiments.core.types import SYSTEM, Actor, Role
from experiments.selectors.actors import actor_for_user
from experiments.services import audit

PASSWORD = "demo"  # noqa: S105  # printed by the demo for everybody to see


@dataclass(frozen=True)
class Person:
    username: str
    name: str
    role: Role


CAST: tuple[Person, ...] = (
    Person("olivia", "Olivia Moreno", Role.PRODUCT_OWNER),
    Person("paula", "Paula Weiss", Role.PRODUCT_OWNER),
    Person("dmitri", "Dmitri Sokolov", Role.DATA_SCIENTIST),
    Person("quinn", "Quinn Harper", Role.QA),
    Person("ada", "Ada Okafor", Role.ADMIN),
    Person("victor", "Victor Lind", Role.VIEWER),
)


def hire(now: datetime) -> dict[str, Actor]:
    """Every member of the cast as an actor, by username; those who are missing are created."""
    return {person.username: actor_for_user(_user(person, now)) for person in CAST}


def _user(person: Person, now: datetime) -> User:
    found = User.objects.filter(username=person.username).first()
    if found is not None:
        return found
    first, last = person.name.split(" ", 1)
    user = User(username=person.username, first_name=first, last_name=last, is_staff=True)
    user.set_password(PASSWORD)
    user.save()
    user.groups.add(Group.objects.get(name=person.role.value))
    audit.record(SYSTEM, now, action="create_user", obj=user, reason="member of the demo's cast", after={"role": person.role.value})
    return user
