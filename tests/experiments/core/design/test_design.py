"""Designs as one comparable piece."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.core.design.design import (
    JUDGED,
    Design,
    DesignMetric,
    DesignVariant,
    arm_digest,
    canonical,
    design_from_json,
    diff,
    digest,
    facets,
    judged,
    parse_thresholds,
)
from experiments.core.errors import InvalidInput
from experiments.core.types import Item

CONTROL = DesignVariant("control", "control", True, 500, {"model": "a"})
TREATMENT = DesignVariant("treatment", "treatment", False, 500, {"model": "b"}, model_hash="b1")
PRIMARY = DesignMetric("apply_conversion", 1, "proportion", "primary", "increase", 72)
SECONDARY = DesignMetric("clicks", 1, "count", "secondary", "increase")
DESIGN = Design(
    key="rerank",
    flag_key="rerank",
    flag_type="object",
    variants=(CONTROL, TREATMENT),
    metrics=(PRIMARY,),
)


def test_design__through_json__comes_back_the_same():
    assert design_from_json(DESIGN.as_json()) == DESIGN


def test_canonical__order_of_names__does_not_matter():
    assert (
        canonical({"b": 1, "a": [1, 2]}) == canonical({"a": [1, 2], "b": 1}) == '{"a":[1,2],"b":1}'
    )


def test_canonical__nan__is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": float("nan")})


@pytest.mark.parametrize(
    ("change", "voided"),
    [
        ({"hypothesis": "another"}, {Item.PRD, Item.APPROVAL}),
        ({"traffic": 900}, {Item.SAMPLE_SIZE, Item.DARK_LAUNCH, Item.APPROVAL}),
        (
            {"offline_thresholds": [{"metric": "auc", "op": ">=", "value": 0.9}]},
            {Item.OFFLINE, Item.APPROVAL},
        ),
        ({"confidence_level": "0.990"}, {Item.SAMPLE_SIZE, Item.APPROVAL}),
        ({"time_zone": "Europe/Berlin"}, {Item.APPROVAL}),
        ({"ramp": [{"share": 10, "hours": 24, "units": 0}]}, {Item.APPROVAL}),
        (
            {"metrics": (replace(PRIMARY, mde=0.2),)},
            {Item.METRICS, Item.SAMPLE_SIZE, Item.APPROVAL},
        ),
        ({"metrics": (PRIMARY, SECONDARY)}, set()),
        (
            {"variants": (CONTROL, replace(TREATMENT, model_hash="b2"))},
            {Item.FLAG, Item.OFFLINE, Item.DARK_LAUNCH, Item.APPROVAL},
        ),
        (
            {"variants": (replace(CONTROL, weight=400), replace(TREATMENT, weight=600))},
            {Item.SAMPLE_SIZE, Item.DARK_LAUNCH, Item.APPROVAL},
        ),
    ],
)
def test_digest__a_changed_field__voids_exactly_the_items_that_judge_it(change, voided):
    changed = replace(DESIGN, **change)

    assert {
        item for item in Item if digest(judged(changed, item)) != digest(judged(DESIGN, item))
    } == voided


def test_approval__judges__every_facet():
    assert set(JUDGED[Item.APPROVAL]) == set(
        facets(
            replace(
                DESIGN,
                segments={"beta": {"rules": [], "ids": {}}},
                ramp=[{"share": 10}],
                budget_micro=1,
                arrival_grace_seconds=20,
            )
        )
    )


def test_segments__changed__void_what_judges_who_is_meant__and_their_absence_leaves_older_verdicts_standing():
    beta, other = (
        replace(DESIGN, segments={"beta": {"rules": [], "ids": {}}}),
        replace(DESIGN, segments={"beta": {"rules": [[]], "ids": {}}}),
    )
    assert {item for item in Item if digest(judged(beta, item)) != digest(judged(other, item))} == {
        Item.DARK_LAUNCH,
        Item.APPROVAL,
    }
    assert "segments" not in judged(DESIGN, Item.APPROVAL)


def test_arm_digest__config_or_model_changed__is_another():
    assert (
        len(
            {
                arm_digest(arm)
                for arm in (
                    CONTROL,
                    TREATMENT,
                    replace(TREATMENT, model_hash="b2"),
                    replace(TREATMENT, config={}),
                )
            }
        )
        == 4
    )


def test_diff__one_field__is_two_lines():
    assert diff({"hypothesis": "old", "prd_url": ""}, {"hypothesis": "new", "prd_url": ""}) == (
        "- hypothesis: old",
        "+ hypothesis: new",
    )


@pytest.mark.parametrize(
    "document",
    [
        "x",
        [1],
        [{"metric": "a", "op": ">=", "value": 1, "more": 1}],
        [{"metric": "", "op": ">=", "value": 1}],
        [{"metric": "a", "op": "==", "value": 1}],
        [{"metric": "a", "op": ">=", "value": "1"}],
        [{"metric": "a", "op": ">=", "value": True}],
        [{"metric": "a", "op": ">=", "value": float("inf")}],
    ],
)
def test_thresholds__ill_formed__are_refused(document):
    with pytest.raises(InvalidInput):
        parse_thresholds(document)
