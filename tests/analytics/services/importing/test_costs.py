"""What an experiment has cost: from metered calls and events to the page, the API and the
budget.
"""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from analytics.models import AnalysisRun, ModelPrice, RequestCost
from analytics.readings.spending import costs_of
from analytics.services.importing.prices import load_prices
from experiments.core.errors import Forbidden, InvalidInput
from experiments.models import ChangeLogEntry, Experiment
from tests.analytics.stores.observed import START, World, day_exists, plan, world
from tests.factories import person

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
NOW = START + timedelta(days=5)
HEAD = "model,valid_from,price_in,price_out\n"
_ids = count(1)


def call(of: World, unit: str, *, micro: int | None, **fields: Any) -> None:
    """A unit's request, and what the model took for it."""
    number, at = next(_ids), START + HOUR
    day_exists("ai_request_costs", at)
    of.event(unit, "ai_request", at, request_id=f"r{number}")
    RequestCost.objects.create(
        **{
            "event_date": at.date(),
            "event_id": f"cost{number}",
            "ts": at,
            "received_ts": at,
            "request_id": f"r{number}",
            "model": "big",
            "cost_micro": micro,
            "environment": "production",
            "origin": "live",
            **fields,
        }
    )


def metered(budget: int | None = None) -> World:
    """Two units in control, one of which applied; one in treatment that did too, served by a model
    that told no money.
    """
    w = world()
    Experiment.objects.filter(pk=w.experiment.pk).update(budget_micro=budget)
    w.experiment.refresh_from_db()
    plan(w, "primary", "apply_conversion")
    for unit, arm in (("a", "control"), ("b", "control"), ("t", "treatment")):
        w.expose(unit, arm, START)
    for unit in ("a", "t"):
        w.event(unit, "apply", START + HOUR)
    call(w, "a", micro=3000, tokens_in=100, tokens_out=10, cache_hit=True)
    call(w, "b", micro=1000, tokens_in=100, cache_hit=False)
    call(w, "t", micro=None, tokens_in=1000, tokens_out=100)
    return w


def test_costs__by_arm__per_unit_and_per_outcome__and_what_has_no_price() -> None:
    w = metered(budget=5000)
    found = costs_of(w.experiment, NOW)
    assert found is not None
    control, treatment = found.arms
    assert (control.whole.calls, control.whole.tokens_in, control.whole.cache_hit_rate) == (
        2,
        200,
        0.5,
    )
    assert (control.per_unit_micro, control.outcomes, control.per_outcome_micro) == (
        2000.0,
        1.0,
        4000.0,
    )
    assert treatment.per_outcome_micro is None and "neither a cost nor a price" in treatment.why_not
    assert (found.spent_micro, found.budget_micro, found.left_micro) == (4000, 5000, 1000)


def test_costs__priced_later__are_known_and_spent() -> None:
    w = metered(budget=5000)
    load_prices(person("reviewer"), NOW, text=HEAD + "big,2026-01-01,2,10\n")
    found = costs_of(w.experiment, NOW)
    assert found is not None
    assert (found.arms[1].per_outcome_micro, found.arms[1].whole.priced_micro) == (3000.0, 3000)
    assert (found.spent_micro, found.left_micro) == (7000, -2000)


def test_costs__masked__keep_the_money_and_hide_the_outcomes() -> None:
    w = metered()
    AnalysisRun.objects.create(
        experiment=w.experiment, iteration=w.iteration, computed_at=NOW, data_cut=NOW, masked=True
    )
    found = costs_of(w.experiment, NOW)
    assert found is not None
    assert found.arms[0].whole.cost_micro == 4000
    assert (
        {arm.outcomes for arm in found.arms}
        == {None}
        == {arm.per_outcome_micro for arm in found.arms}
    )
    assert "masked" in found.arms[0].why_not


def test_prices__corrected__with_a_line_each__and_the_same_again_changes_nothing() -> None:
    reviewer = person("reviewer")
    assert load_prices(reviewer, NOW, text=HEAD + "big,2026-01-01,2,10\nbig,2026-02-01,1,5\n") == 2
    assert (
        load_prices(
            reviewer,
            NOW,
            text=HEAD + "big,2026-01-01,2.00,10\nbig,2026-02-01,1,6\n",
            reason="a typo",
        )
        == 1
    )
    line = ChangeLogEntry.objects.filter(action="model_price_set").latest("pk")
    assert (line.before, line.after, line.reason) == (
        {"price_in": "1.000000", "price_out": "5.000000"},
        {"price_in": "1", "price_out": "6"},
        "a typo",
    )


def test_prices__one_bad_line_or_no_right__loads_nothing() -> None:
    with pytest.raises(InvalidInput, match="line 3: price_in"):
        load_prices(
            person("reviewer"), NOW, text=HEAD + "big,2026-01-01,2,10\nbig,2026-02-01,free,5\n"
        )
    with pytest.raises(Forbidden):
        load_prices(person("stranger"), NOW, text=HEAD + "big,2026-01-01,2,10\n")
    assert not ModelPrice.objects.exists()


def test_load_prices__a_file__says_how_many(tmp_path: Path) -> None:
    file, out = tmp_path / "prices.csv", StringIO()
    file.write_text("\ufeff" + HEAD + "big,2026-01-01,2,10\n", encoding="utf-8")
    call_command("load_prices", str(file), stdout=out)
    call_command("load_prices", str(file), stdout=out)
    assert out.getvalue().splitlines() == [
        "prices.csv: 1 prices are new or corrected",
        "prices.csv: 0 prices are new or corrected",
    ]
    file.write_text("model\n")
    with pytest.raises(CommandError, match="expected the columns"):
        call_command("load_prices", str(file))
