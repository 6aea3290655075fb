from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, OutputWrapper

from analytics.services import examples
from experiments.core.clock import utc_now


class Command(BaseCommand):
    help = "Load the example experiments with their people and history; what is there already stays as it is."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError(
                "The examples bring people whose password everybody knows, so they are for a demo only. Set ASSAY_DEMO=1 if this is one."
            )
        progress = LineEach(self.stdout)
        examples.load(utc_now(), progress=progress)
        progress.end()
        self.stdout.write(self.style.SUCCESS("The examples are loaded."))


class LineEach:
    """One line for each example, told by the word before the colon: growing on a terminal, else its
    last state.
    """

    def __init__(self, out: OutputWrapper) -> None:
        self._out, self._last = out, ""

    def __call__(self, text: str) -> None:
        """Show how far one of them is."""
        if self._last and self._last.split(":")[0] != text.split(":", maxsplit=1)[0]:
            self.end()
        self._last = text
        if self._out.isatty():
            self._out.write(f"\r\033[K{text}", ending="")
            self._out.flush()

    def end(self) -> None:
        """Leave the line as it stands."""
        if self._last:
            self._out.write("" if self._out.isatty() else self._last)
        self._last = ""
