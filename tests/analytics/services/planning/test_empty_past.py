"""A metric of which nothing was ever seen is no baseline: the number is asked for, by its label."""

from __future__ import annotations

import pytest

from analytics.readings import prefill
from analytics.services.planning import planning
from analytics.services.planning.planning import plan_sample_size
from experiments.core.design.design import MetricPlan
from experiments.core.errors import InvalidInput
from tests.factories import NOW, draft, person

pytestmark = pytest.mark.django_db
EMPTY = (MetricPlan("apply_conversion", "primary", mde=0.1),)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_empty_baseline__of_a_metric_without_events__asks_for_the_number_by_its_label(
    monkeypatch, own_catalogue, value
):
    monkeypatch.setitem(prefill._READERS, "unit", lambda span, metric: (value, None, 5000))
    row = draft(metrics=EMPTY)
    with pytest.raises(InvalidInput) as refusal:
        plan_sample_size(person("owner"), NOW, experiment_id=row.pk)
    (problem,) = refusal.value.problems
    assert (
        problem.message
        == "apply_conversion: enter “Baseline today”; the last 28 days have no data to read it from"
    )
    assert problem.field == "metrics.apply_conversion.baseline"


def test_baseline_of_zero__typed__is_refused_by_its_label(own_catalogue):
    row = draft(metrics=(MetricPlan("apply_conversion", "primary", baseline=0.0, mde=0.1),))
    with pytest.raises(InvalidInput) as refusal:
        plan_sample_size(person("owner"), NOW, experiment_id=row.pk)
    assert (
        "“Baseline today” must be above 0 and below 1 (0.2 is 20 %), found 0"
        in refusal.value.problems[0].message
    )
    assert planning.words.LABELS["baseline"] == "“Baseline today”"
