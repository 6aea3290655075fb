"""By which covariates results may be broken down: declared whole, before launch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.core.design.breakdowns import Breakdown, parse_breakdowns
from experiments.core.design.design import Design, design_from_json, facets
from experiments.core.design.policies import SHIPPED
from experiments.core.design.rules import problems
from experiments.core.errors import InvalidInput
from experiments.core.types import JSON

LANGUAGE: JSON = [{"name": "language", "values": ["de", "en"]}]


def test_parse__name_and_values__in_their_order() -> None:
    assert parse_breakdowns(LANGUAGE) == (Breakdown("language", ("de", "en")),)
    assert parse_breakdowns(None) == () == parse_breakdowns([])


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("language", "expected a list"),
        ([{"name": "language"}], "expected exactly name and values"),
        ([{"name": "language", "values": ["de"]}], "2 to 20 values"),
        ([{"name": "language", "values": ["de", "de"]}], "declared twice"),
        ([{"name": "language", "values": ["de", 7]}], "expected 1 to 64 characters"),
        ([{"name": "", "values": ["de", "en"]}], "expected 1 to 64 characters"),
        ([*LANGUAGE, *LANGUAGE], "language is declared twice"),  # type: ignore[misc]  # a list, as JSON
        ([{"name": f"n{i}", "values": ["a", "b"]} for i in range(6)], "at most 5"),
    ],
)
def test_parse__anything_else__names_the_place(document: JSON, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_breakdowns(document)


def test_design__a_bad_breakdown_is_a_problem__and_a_good_one_is_frozen_but_not_judged() -> None:
    design = Design(key="rerank", breakdowns=LANGUAGE)
    bad = replace(design, breakdowns=[{"name": "language", "values": []}])
    assert [p.field for p in problems(bad, SHIPPED[0].rules, for_launch=False)] == [
        "breakdowns[0].values"
    ]
    assert problems(design, SHIPPED[0].rules, for_launch=False) == []
    assert design_from_json(design.as_json()).breakdowns == LANGUAGE
    assert facets(design) == facets(replace(design, breakdowns=None))
