"""``manage.py load_prices FILE.csv``: model prices from a file, all of them or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.services.importing.prices import load_prices
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError
from experiments.core.types import SYSTEM


class Command(BaseCommand):
    help = "Load model prices (columns model,valid_from,price_in,price_out; money per million tokens). What stands already is left alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="A CSV file in UTF-8.")
        parser.add_argument(
            "--reason",
            default="",
            help="Kept in the history of every price that is new or corrected.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["file"])
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path}: cannot be read: {error}") from error
        try:
            written = load_prices(
                SYSTEM, utc_now(), text=text, reason=options["reason"] or f"loaded from {path.name}"
            )
        except AssayError as refusal:
            raise CommandError(f"{path.name}: {refusal}") from refusal
        self.stdout.write(f"{path.name}: {written} prices are new or corrected")
