"""From an account or a key to the actor that services know."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User

from experiments.core.errors import Forbidden
from experiments.core.types import Actor, ActorKind, Role, Scope
from experiments.models import ApiKey


def actor_for_user(user: User | AbstractBaseUser | AnonymousUser) -> Actor:
    """A person with the roles of his groups; the superuser flag adds none."""
    if not isinstance(user, User) or not user.is_active:
        raise Forbidden("nobody is signed in, or the account is switched off; sign in first")
    return Actor(
        kind=ActorKind.PERSON,
        label=user.get_full_name() or user.get_username(),
        user_id=user.pk,
        roles=roles_of(user),
    )


def actor_for_key(api_key: ApiKey) -> Actor:
    """A key, acting within its scope for its owner."""
    owner = api_key.owner
    label = f"key {api_key.name} for {owner.get_full_name() or owner.get_username()}"
    return Actor(ActorKind.KEY, label, owner.pk, roles_of(owner), Scope(api_key.scope), api_key.pk)


def roles_of(user: User) -> frozenset[Role]:
    """The platform roles among a user's groups."""
    names = set(user.groups.values_list("name", flat=True))
    return frozenset(role for role in Role if role.value in names)
