"""Columns and filters of lists whose fields hold codes: shown as words, ordered and filtered by the
code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin

from experiments.selectors.wording import words


def spoken(field: str, title: str = "") -> Callable[[Any], str | None]:
    """A column for ``list_display``. Any: rows of any model."""

    @admin.display(description=title or words(field).capitalize(), ordering=field, empty_value="–")
    def shown(row: Any) -> str | None:
        value = getattr(row, field)
        return words(value) if value else None

    return shown


class SpokenFilter(admin.AllValuesFieldListFilter):
    """All values of a field, in words."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": words(choice["display"])}


class SpokenRelated(admin.RelatedFieldListFilter):
    """Rows that a field points at, by their names in words."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": words(choice["display"])}
