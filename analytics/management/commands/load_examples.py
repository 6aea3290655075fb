from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from analytics.services import examples
from experiments.core.clock import utc_now


class Command(BaseCommand):
    help = "Load the example experiments with their people and history; what is there already stays as it is."

    def handle(self, *args: Any, **options: Any) -> None:
        examples.load(utc_now(), progress=self.stdout.write)
        self.stdout.write(self.style.SUCCESS("The examples are loaded."))
