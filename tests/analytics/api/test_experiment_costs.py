"""`GET …/costs`: money in millionths, null where it cannot be said."""

from __future__ import annotations

import pytest

from experiments.core.types import Scope
from tests.analytics.services.importing.test_costs import metered
from tests.factories import draft

pytestmark = pytest.mark.django_db


def test_costs__by_variant_and_model__against_the_budget(doors):
    w = metered(budget=5000)
    answer = doors.client(Scope.READ).get(f"/api/v1/experiments/{w.experiment.key}/costs")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["spent_micro"], body["budget_micro"], body["left_micro"]) == (4000, 5000, 1000)
    control, treatment = body["variants"]
    assert (control["cost_micro"], control["outcomes"], control["cost_per_outcome_micro"]) == (
        4000,
        1.0,
        4000.0,
    )
    assert (treatment["unpriced_calls"], treatment["cost_per_outcome_micro"]) == (1, None)
    assert body["models"]["big"]["calls"] == 3


def test_costs__never_launched__nothing_spent(doors):
    experiment = draft("unlaunched", budget_micro=700)
    body = doors.client(Scope.READ).get(f"/api/v1/experiments/{experiment.key}/costs").json()
    assert (body["spent_micro"], body["left_micro"], body["variants"]) == (0, 700, [])


def test_costs__an_ingest_key__may_not_read_them(doors):
    w = metered()
    assert (
        doors.client(Scope.INGEST).get(f"/api/v1/experiments/{w.experiment.key}/costs").status_code
        == 403
    )
