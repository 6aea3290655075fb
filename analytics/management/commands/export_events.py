"""``manage.py export_events KEY --as USERNAME``: an experiment's events as CSV, to join with
offline data by the keys of their payloads.
"""

from __future__ import annotations

import csv
from datetime import timedelta
from itertools import chain
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.core.sheet import cell
from analytics.selectors.reporting.event_export import exported_events, header
from analytics.services.writing.event_export import log_event_export
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.types import Actor
from experiments.selectors.actors import actor_for_user
from experiments.selectors.experiments import resolve


class Command(BaseCommand):
    help = (
        "Print the events of an experiment's units as CSV, with keys of their payloads as columns. "
        "The export is written to the changelog."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="Key, name, id or UUID of the experiment.")
        parser.add_argument(
            "--as",
            dest="username",
            required=True,
            help="A data scientist or administrator: who exports.",
        )
        parser.add_argument("--reason", default="export for offline analysis")
        parser.add_argument(
            "--payload",
            default="job_id,profile_id,dispute_id",
            help="Keys of payloads, separated by commas.",
        )
        parser.add_argument(
            "--event", action="append", default=[], help="Only this event type (may be repeated)."
        )
        parser.add_argument("--days", type=int, default=90, help="How many days back from today.")

    def handle(self, *args: Any, **options: Any) -> None:
        now, keys = utc_now(), [key for key in options["payload"].split(",") if key]
        try:
            experiment = resolve(options["key"])
            rows = exported_events(
                experiment.pk,
                payload=keys,
                since=now - timedelta(days=options["days"]),
                until=now,
                event_types=options["event"],
            )
            first = next(rows, None)
            log_event_export(
                _actor(options["username"]),
                now,
                experiment_id=experiment.pk,
                payload=list(keys),
                reason=options["reason"],
            )
        except AssayError as refusal:
            raise CommandError(str(refusal)) from refusal
        writer = csv.writer(self.stdout, lineterminator="\n")
        writer.writerow(header(keys))
        for row in chain(() if first is None else (first,), rows):
            writer.writerow([cell(value) for value in row])


def _actor(username: str) -> Actor:
    found = User.objects.filter(username=username, is_active=True).first()
    if found is None:
        raise CommandError(f"--as {username}: there is no active account of this name")
    return actor_for_user(found)
