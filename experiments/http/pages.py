"""One way to list: filters that refuse what they do not know, and pages of a stated size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from experiments.core.errors import InvalidInput

DEFAULT_PAGE, LARGEST_PAGE, FURTHEST = 100, 500, 1_000_000
PAGE_PARAMETERS = [
    OpenApiParameter(
        "limit", {"type": "integer", "minimum": 0, "maximum": LARGEST_PAGE, "default": DEFAULT_PAGE}
    ),
    OpenApiParameter(
        "offset", {"type": "integer", "minimum": 0, "maximum": FURTHEST, "default": 0}
    ),
]
_PAGING = frozenset({"limit", "offset"})

Filters = type[django_filters.FilterSet]


def page(
    request: Request, rows: QuerySet[Any], name: str, show: Callable[[Any], object]
) -> dict[str, Any]:
    """A page of rows under their plural, with how many there are in all. Any: rows of any model,
    one kind at a time, and an answer.
    """
    limit, offset = (
        whole(request, "limit", DEFAULT_PAGE, LARGEST_PAGE),
        whole(request, "offset", 0, FURTHEST),
    )
    return {
        name: [show(row) for row in rows[offset : offset + limit]],
        "total": rows.count(),
        "limit": limit,
        "offset": offset,
    }


def whole(request: Request, name: str, default: int, largest: int) -> int:
    """A whole number of the address, from 0 up."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= largest):
        raise InvalidInput(
            f"{name}: expected a whole number from 0 to {largest:,}, found {text[:40]!r}", name
        )
    return int(text)


def filtered(request: Request, filters: Filters, rows: QuerySet[Any]) -> QuerySet[Any]:
    """The rows that the address asks for; a misspelled filter would otherwise quietly ask for all.
    Any: as above.
    """
    known = filters.base_filters
    unknown = sorted(set(request.query_params) - set(known) - _PAGING)
    if unknown:
        raise InvalidInput(
            f"unknown filter {unknown[0][:64]!r}; known are {', '.join(sorted([*known, *_PAGING]))}",
            unknown[0][:64],
        )
    asked = filters(request.query_params, queryset=rows)
    if not asked.is_valid():
        raise _refusal(request, known, asked.errors)
    return asked.qs


def _refusal(
    request: Request,
    known: Mapping[str, django_filters.Filter],
    errors: Mapping[str, Iterable[str]],
) -> InvalidInput:
    name = next(iter(errors))
    choices = _choices(known[name]) if name in known else ()
    wanted = (
        f"expected one of {', '.join(choices)}" if choices else " ".join(map(str, errors[name]))
    )
    found = ", ".join(request.query_params.getlist(name))
    return InvalidInput(f"{name}: {wanted}, found {found[:80]!r}", name)


def parameters(filters: Filters) -> list[OpenApiParameter]:
    """The filters and the pages, for the schema."""
    described = [
        OpenApiParameter(
            name,
            _type(one),
            enum=_choices(one) or None,
            description=one.extra.get("help_text", ""),
            many=isinstance(one, django_filters.MultipleChoiceFilter),
        )
        for name, one in filters.base_filters.items()
    ]
    return [*described, *PAGE_PARAMETERS]


def _type(one: django_filters.Filter) -> type | OpenApiTypes:
    if isinstance(one, django_filters.IsoDateTimeFilter):
        return OpenApiTypes.DATETIME
    return bool if isinstance(one, django_filters.BooleanFilter) else str


def _choices(one: django_filters.Filter) -> tuple[str, ...]:
    return tuple(value for value, _ in one.extra.get("choices", ()))
