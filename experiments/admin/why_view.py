"""Why this user? What a unit gets of every flag, and the step that decided; asked of the catalogue
that is served.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from experiments.admin.base import WorkplaceAdmin
from experiments.admin.doing import problems_of
from experiments.admin.fields import Field, filled, read_choice, read_json
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, InvalidInput
from experiments.core.serving.explaining import Explanation, explain_all
from experiments.core.types import Environment
from experiments.core.units import check_units
from experiments.selectors import serving

MOST_CHARACTERS = 20_000


def ask(admin: WorkplaceAdmin, request: HttpRequest) -> HttpResponse:
    """A form by GET, so that an answer can be sent as a link; nothing is recorded by asking."""
    admin.refuse_unless_may_view(request)
    data, context = request.GET.dict(), dict[str, Any]()
    if data.get("units"):
        try:
            context = _answer(data)
        except AssayError as refusal:
            context = {"problems": problems_of(refusal), "refusal": "This cannot be asked."}
    shown = {
        "title": "Why this user?",
        "fields": filled(_fields(), data, context.get("problems", ())) if data else _fields(),
        **context,
    }
    return admin.page(
        request, "admin/assay/why.html", shown, status=400 if "problems" in context else 200
    )


def _fields() -> list[Field]:
    environments = [(one.value, one.value) for one in Environment]
    return [
        Field(
            "units",
            "Units",
            required=True,
            help="One id of a user, or pairs: user=u1, tenant=acme, session=s9.",
        ),
        Field(
            "attributes",
            "Attributes (JSON)",
            "json",
            "{}",
            rows=2,
            help='What targeting reads, as {"country": "de"}.',
        ),
        Field(
            "environment",
            "Keys of",
            "select",
            value=Environment.PRODUCTION.value,
            choices=environments,
        ),
    ]


def _answer(data: dict[str, str]) -> dict[str, Any]:
    units = read_units(data["units"])
    attributes = read_json(
        data.get("attributes", "")[:MOST_CHARACTERS], "attributes", "Attributes", empty={}
    )
    if not isinstance(attributes, dict):
        raise InvalidInput('Attributes: wanted an object like {"country": "de"}.', "attributes")
    environment = read_choice(
        Environment,
        data.get("environment") or Environment.PRODUCTION.value,
        "environment",
        "Keys of",
    )
    state = serving.current()
    found = explain_all(state.catalogue, units, attributes, utc_now(), environment)
    return {
        "explanations": sorted(found, key=_interest),
        "catalogue": state.version,
        "stale": state.stale,
    }


def _interest(one: Explanation) -> tuple[bool, bool, str]:
    """What serves a variant first, then what an experiment was asked about, then plain flags."""
    return one.variant is None, one.experiment is None, one.flag or ""


def read_units(text: str) -> dict[str, str]:
    """``u1`` or ``user=u1, tenant=acme`` as a map of units. Ids stay as they are: white space at an
    end is what may be wrong.
    """
    pairs = [part.partition("=") for part in text[:MOST_CHARACTERS].split(",") if part.strip()]
    if len(pairs) == 1 and not pairs[0][1]:
        units = {"user": pairs[0][0]}
    elif all(sign for _, sign, _ in pairs):
        units = {kind.strip(): unit for kind, _, unit in pairs}
    else:
        raise InvalidInput("Units: write one id, or pairs like user=u1, tenant=acme.", "units")
    problems = check_units(units)
    if problems:
        raise InvalidInput(problems[0].message, "units", problems)
    return units
