from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from analytics.services.writing import sealing
from experiments.core.clock import utc_now

SHOWN = 50


class Command(BaseCommand):
    help = "Compare changelog, decisions and sign-offs with their chain of seals. Ends with 1 when a row or a seal does not fit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--head",
            default="",
            help="a seal noted earlier, as number:sha256; it must be in the chain",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = sealing.audit()
        broken = list(found.breaks)
        if options["head"] and not sealing.holds(options["head"]):
            broken.append(f"the chain does not contain the seal {options['head']}")
        for one in broken[:SHOWN]:
            self.stdout.write(self.style.ERROR(f"BREAK {one}"))
        if len(broken) > SHOWN:
            self.stdout.write(self.style.ERROR(f"… and {len(broken) - SHOWN:,} more"))
        self.stdout.write(f"{found.sealed:,} rows are sealed; the last seal is {found.head}")
        self.stdout.write(self._tail(found))
        if broken:
            sys.exit(1)
        self.stdout.write(self.style.SUCCESS("No sealed row was changed or removed."))

    def _tail(self, found: sealing.Audit) -> str:
        if found.oldest_unsealed is None:
            return "Every row is sealed."
        minutes = (utc_now() - found.oldest_unsealed).total_seconds() / 60
        return f"{found.unsealed:,} rows wait for beat to seal them; the oldest was written {minutes:,.0f} minutes ago."
