"""What an experiment costs, and prices from a file: pure."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from analytics.core.finops import CostLine, Costs, Outcomes, arm_costs, by_model, summed
from analytics.core.intake.price_table import BadPrices, Price, parse_prices

HEAD = "model,valid_from,price_in,price_out\n"
BIG = CostLine(
    calls=10, tokens_in=1000, tokens_out=200, cost_micro=4000, cache_known=8, cache_hits=2
)
SMALL = CostLine(calls=5, cost_micro=1000, priced_micro=1000)


def test_arm_costs__per_unit_and_per_outcome() -> None:
    arm = arm_costs(
        "treatment",
        "Treatment",
        is_control=False,
        units=100,
        models={"big": BIG, "small": SMALL},
        outcomes=Outcomes(20.0),
    )
    assert (arm.whole.calls, arm.whole.cost_micro, arm.whole.cache_hit_rate) == (15, 5000, 0.25)
    assert (arm.per_unit_micro, arm.per_outcome_micro, arm.why_not) == (50.0, 250.0, "")


@pytest.mark.parametrize(
    ("line", "outcomes", "why"),
    [
        (
            CostLine(calls=3, cost_micro=10, unpriced=1),
            Outcomes(5.0),
            "1 of 3 calls have neither a cost nor a price",
        ),
        (BIG, Outcomes(0.0), "no outcome yet"),
        (BIG, Outcomes(None, "csat is a mean that counts no outcomes"), "csat is a mean"),
    ],
)
def test_arm_costs__what_cannot_be_said__has_a_reason_and_no_number(
    line: CostLine, outcomes: Outcomes, why: str
) -> None:
    arm = arm_costs("a", "A", is_control=True, units=10, models={"big": line}, outcomes=outcomes)
    assert arm.per_outcome_micro is None
    assert why in arm.why_not
    assert (arm.per_unit_micro is None) == bool(line.unpriced)


def test_cache_hit_rate__nobody_said__is_none() -> None:
    assert SMALL.cache_hit_rate is None
    assert summed([]).cost_micro == 0


def test_by_model__all_arms_together__the_dearest_first() -> None:
    arms = [
        arm_costs(
            "a", "A", is_control=True, units=1, models={"small": SMALL}, outcomes=Outcomes(1.0)
        ),
        arm_costs(
            "b",
            "B",
            is_control=False,
            units=1,
            models={"small": SMALL, "big": BIG},
            outcomes=Outcomes(1.0),
        ),
    ]
    assert [(model, line.cost_micro) for model, line in by_model(arms).items()] == [
        ("big", 4000),
        ("small", 2000),
    ]


def test_costs__left_of_a_budget__goes_below_zero_when_overspent() -> None:
    assert Costs((), {}, BIG, "", 5000, 4000).left_micro == -1000
    assert Costs((), {}, BIG, "", 5000, None).left_micro is None


def test_prices__a_file__line_by_line() -> None:
    found = parse_prices(HEAD + "gpt-x,2026-03-01,2.50,10\n gpt-x ,2026-04-01,2,8.000001\n")
    assert found[0] == Price("gpt-x", date(2026, 3, 1), Decimal("2.50"), Decimal(10))
    assert found[1].model == "gpt-x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model,price\n", "expected the columns"),
        ("", "found none"),
        (HEAD + ",2026-03-01,1,1\n", "line 2: model"),
        (HEAD + "m,1.3.2026,1,1\n", "line 2: valid_from"),
        (HEAD + "m,2026-03-01,free,1\n", "line 2: price_in"),
        (HEAD + "m,2026-03-01,1,-1\n", "line 2: price_out"),
        (HEAD + "m,2026-03-01,NaN,1\n", "line 2: price_in"),
        (HEAD + "m,2026-03-01,1,0.0000001\n", "at most 6 decimals"),
        (HEAD + "m,2026-03-01,1,1\nm,2026-03-01,2,2\n", "stands there twice"),
        (HEAD + "m,2026-03-01,1\n", "line 2: price_out"),
    ],
)
def test_prices__what_is_none__names_its_line(text: str, says: str) -> None:
    with pytest.raises(BadPrices, match=says):
        parse_prices(text)
