"""What has to be there before programs start: an up-to-date database, folders, static files."""

from __future__ import annotations

from django.conf import settings
from django.core.management import CommandError
from django.db import OperationalError, connections

from config import schema
from config.processes import services
from config.web import static_files
from experiments.selectors import serving, serving_files


def prepare(*, migrate: bool) -> None:
    """Database up to date, folders there, static files collected. Another's database is migrated
    only when asked.

    A database that does not answer keeps nobody from serving who has a catalogue: applications have
    waited long enough.
    """
    try:
        _prepare_database(migrate)
    except OperationalError as error:
        if serving_files.read(serving.CATALOGUE) is None:
            raise CommandError(
                f"The database does not answer; is DATABASE_URL right?\n{error}"
            ) from None
        print(
            "The database does not answer; serving what the catalogue file holds until it does.",
            flush=True,
        )
    connections.close_all()
    for folder in (settings.SPOOL, settings.CATALOGUE_DIR):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    static_files.collect()


def _prepare_database(migrate: bool) -> None:
    if migrate or services.embedded():
        if applied := schema.bring_up_to_date():
            print(f"Database set up: {applied} migrations applied.", flush=True)
    elif missing := schema.missing():
        raise CommandError(
            f"The database lacks {missing} migrations. Run `manage.py migrate` first."
        )
