"""A plan that takes longer than its own horizon: amber, said where people look, and changed with
one press.
"""

from __future__ import annotations

import pytest

from analytics.selectors.cards import card_of
from analytics.services.planning.planning import plan_sample_size
from analytics.services.planning.replanning import proposals, replan, rounded_up
from experiments.core.design.design import MetricPlan
from experiments.core.errors import Forbidden, Refused
from experiments.core.life.checklist import out_of_reach, states
from experiments.core.types import Item
from experiments.selectors.checklist import facts
from tests.factories import NOW, draft, lifecycle_of, person

pytestmark = pytest.mark.django_db
SMALL = (MetricPlan("apply_conversion", "primary", baseline=0.2, mde=0.04),)


@pytest.fixture
def long_plan(own_catalogue):
    """20 new units a day, and an effect of 4 % to find."""
    row = draft(policy="ai-low", metrics=SMALL, traffic=1000)
    plan_sample_size(person("owner"), NOW, experiment_id=row.pk, units_per_day=200.0)
    return lifecycle_of(row)


def _sample_size(row):
    return next(one for one in states(facts(row, NOW)) if one.item is Item.SAMPLE_SIZE)


def test_long_plan__is_amber__and_said_in_head_list_and_form(long_plan):
    item = _sample_size(long_plan)
    assert item.state == "amber"
    assert item.settled
    said = card_of(long_plan, NOW).sentence
    assert "in 8 weeks you can find +" in said
    assert "your +4 % needs" in said
    assert out_of_reach(facts(long_plan, NOW).evidence[Item.SAMPLE_SIZE]) in said


def test_long_plan__one_press__takes_a_number_that_the_horizon_answers(long_plan):
    before = long_plan.evidence.filter(item=Item.SAMPLE_SIZE).first()
    (proposal,) = proposals(before.detail)
    assert proposal.value > 0.04
    replan(person("owner"), NOW, experiment_id=long_plan.pk, metric="apply_conversion")
    after = lifecycle_of(long_plan)
    assert after.planned_metrics.get(role="primary").mde == pytest.approx(proposal.value)
    assert after.planned_metrics.get(role="primary").baseline == 0.2


@pytest.mark.parametrize("name", ["stranger", "qa"])
def test_replan__by_whom_may_not_edit_the_draft__is_refused(name, long_plan):
    with pytest.raises(Forbidden):
        replan(person(name), NOW, experiment_id=long_plan.pk, metric="apply_conversion")


def test_replan__nothing_proposed__is_refused(long_plan):
    with pytest.raises(Refused, match="no other number is proposed for 'revenue'"):
        replan(person("owner"), NOW, experiment_id=long_plan.pk, metric="revenue")


@pytest.mark.parametrize(
    ("value", "found"), [(0.3174, 0.32), (0.32, 0.32), (1.01, 1.1), (0.0101, 0.011)]
)
def test_rounded_up__two_digits_and_never_below(value, found):
    assert rounded_up(value) == pytest.approx(found)
