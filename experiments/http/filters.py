"""What lists of experiments and flags can be narrowed by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django_filters import CharFilter, ChoiceFilter, IsoDateTimeFilter, MultipleChoiceFilter

from experiments.core.errors import InvalidInput
from experiments.core.types import Origin, Outcome, Status
from experiments.models import Experiment

_OUTCOMES = [(outcome.value, outcome.value) for outcome in Outcome if outcome.value]


class MomentFilter(IsoDateTimeFilter):
    """A moment of any zone, compared in UTC: PostgreSQL knows fewer offsets than ISO 8601
    allows.
    """

    def filter(
        self, rows: QuerySet[Any], value: datetime | None
    ) -> QuerySet[Any]:  # Any: of whatever is listed
        if value is None:
            return super().filter(rows, value)
        try:
            return super().filter(rows, value.astimezone(UTC))
        except OverflowError:
            raise InvalidInput(
                f"{value.isoformat()}: lies outside the years 1 to 9999 in UTC", self.field_name
            ) from None


class ExperimentFilters(django_filters.FilterSet):
    """``status`` may be given several times; everything else narrows further."""

    status = MultipleChoiceFilter(choices=[(one.value, one.value) for one in Status])
    outcome = ChoiceFilter(choices=_OUTCOMES)
    origin = ChoiceFilter(choices=[(one.value, one.value) for one in Origin])
    experiment_type = CharFilter()
    unit_type = CharFilter()
    flag = CharFilter(field_name="flag__key")
    policy = CharFilter(field_name="policy__key")
    owner = CharFilter(field_name="owner__username", help_text="The owner's user name.")
    tag = CharFilter(method="tagged")
    search = CharFilter(method="named", help_text="Part of a name, key or description.")
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")

    def tagged(self, rows: QuerySet[Experiment], name: str, value: str) -> QuerySet[Experiment]:
        """Experiments that carry a tag."""
        return rows.filter(tags__contains=[value])

    def named(self, rows: QuerySet[Experiment], name: str, value: str) -> QuerySet[Experiment]:
        """Experiments that speak of something."""
        return rows.filter(
            Q(name__icontains=value) | Q(key__icontains=value) | Q(description__icontains=value)
        )


class FlagFilters(django_filters.FilterSet):
    """Of flags."""

    enabled = django_filters.BooleanFilter()
    client_visible = django_filters.BooleanFilter()
    type = ChoiceFilter(
        field_name="value_type",
        choices=[(t, t) for t in ("boolean", "string", "integer", "float", "object")],
    )
    search = CharFilter(method="named", help_text="Part of a key or description.")

    def named(self, rows: QuerySet[Experiment], name: str, value: str) -> QuerySet[Experiment]:
        """Flags that speak of something."""
        return rows.filter(Q(key__icontains=value) | Q(description__icontains=value))
