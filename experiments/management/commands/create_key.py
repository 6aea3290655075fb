"""``manage.py create_key NAME --scope server``: make an API key and print it, once, as the last
line.
"""

from __future__ import annotations

from time import sleep
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.types import SYSTEM, Environment, Role, Scope
from experiments.services.people.keys import create_key

_OPERATOR = "operator"
_MARGIN = 0.3
"""Seconds beyond a poll that reading the new keyring may take."""


class Command(BaseCommand):
    help = "Make an API key and print it, once, as the last line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the key is for; shown in the changelog")
        parser.add_argument("--scope", required=True, choices=[scope.value for scope in Scope])
        parser.add_argument(
            "--environment",
            default=Environment.PRODUCTION.value,
            choices=[e.value for e in Environment],
        )
        owner = "the person for whom it acts; a management key needs one (default for others: the first administrator)"
        parser.add_argument("--owner", metavar="USERNAME", help=owner)

    def handle(self, *args: Any, **options: Any) -> None:  # Any: as Django passes them
        scope, environment = Scope(options["scope"]), Environment(options["environment"])
        if scope is Scope.MANAGEMENT and not options["owner"]:
            raise CommandError(
                "--owner: name the person for whom a management key acts; that person may not approve what it asks for"
            )
        owner = self._owner(options["owner"])
        try:
            key, text = create_key(
                SYSTEM,
                utc_now(),
                name=options["name"],
                scope=scope,
                environment=environment,
                owner=owner,
            )
        except AssayError as error:
            raise CommandError(str(error)) from error
        sleep(
            settings.POLL_SECONDS + _MARGIN
        )  # so that the key opens every running door by the time it can be read
        self.stderr.write(
            f"{key.name}: a {key.scope} key for {key.environment}, acting for {owner}. It is shown this once:"
        )
        self.stdout.write(text)

    def _owner(self, username: str | None) -> User:
        users = User.objects.filter(is_active=True)
        if username:
            found = users.filter(username=username).first()
            if found is None:
                raise CommandError(f"--owner {username}: there is no active account of this name")
            return found
        found = (
            users.filter(groups__name=Role.ADMIN.value).order_by("id").first()
            or users.filter(is_superuser=True).order_by("id").first()
        )
        return found or self._operator()

    def _operator(self) -> User:
        """Where nobody administers yet, whoever can run this command owns the key: an account
        nobody can log in with.
        """
        found, made = User.objects.get_or_create(
            username=_OPERATOR, defaults={"password": make_password(None)}
        )
        if made:
            self.stderr.write(
                f"There is no administrator yet; the key acts for a new account {_OPERATOR!r} that nobody can log in with."
            )
        return found
