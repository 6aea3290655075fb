"""The names under which outcomes are told: each becomes a metric once, an experiment has fifty,
browsers make none.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from analytics.core.intake.ingest_items import parse_event, parse_items, parse_observation
from analytics.models import ToldOutcome
from analytics.services.analysis import counting
from analytics.services.ingest import told_outcomes
from analytics.services.ingest.ingest import IngestIdentity, ingest_events, ingest_observations
from experiments.core.types import Environment, Scope
from experiments.models import Iteration, Metric
from tests.analytics.stores.observed import START, crowd, plan, world
from tests.serving_cast import launched

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
SERVER = IngestIdentity(scope=Scope.SERVER)


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    told_outcomes._known.clear()


def tell(names: list[str], identity: IngestIdentity = SERVER, experiment: str = "told") -> None:
    items = [
        {
            "event_id": f"{name}-{identity.scope}",
            "event_type": name,
            "user_id": "u",
            "experiment": experiment,
            "timestamp": AT.isoformat(),
        }
        for name in names
    ]
    result = ingest_events(parse_items(items, parse_event), now=AT, identity=identity)
    assert result.accepted == len(names), result.errors


def names() -> list[str]:
    return list(ToldOutcome.objects.order_by("slot").values_list("name", flat=True))


def test_outcome__told_first__becomes_an_exploratory_metric_of_its_event() -> None:
    launched("told")
    tell(["deal_won", "booked"])
    metric = Metric.objects.get(key="deal_won", current=True)
    assert (metric.exploratory, metric.source, metric.kind, metric.event_types) == (
        True,
        "event",
        "proportion",
        ["deal_won"],
    )
    assert names() == ["booked", "deal_won"]


def test_outcome__51st_name_or_one_that_is_no_name__is_other_and_makes_no_metric() -> None:
    launched("told")
    tell(["order.completed"])
    assert (names(), Metric.objects.filter(key__contains="order").count()) == (["other"], 0)
    tell([f"outcome_{n:02}" for n in range(60)])
    assert names() == [*(f"outcome_{n:02}" for n in range(50)), "other"]
    assert not Metric.objects.filter(key="outcome_55").exists()


@pytest.mark.parametrize(
    "identity", [IngestIdentity(scope=Scope.CLIENT), IngestIdentity(Environment.TEST, Scope.SERVER)]
)
def test_outcome__said_by_a_browser_or_a_test__makes_no_name_and_no_metric(
    identity: IngestIdentity,
) -> None:
    launched("told", client_visible=True)
    before = Metric.objects.count()
    tell(["deal_won"], identity)
    seen = {
        "event_id": "o1",
        "metric": "invented",
        "value": 1,
        "user_id": "u",
        "timestamp": AT.isoformat(),
    }
    ingest_observations(
        parse_items([seen, seen | {"event_id": "o2", "experiment": "told"}], parse_observation),
        now=AT,
        identity=identity,
    )
    assert (names(), Metric.objects.count()) == ([], before)


def test_count__told_names_and_the_rest_as_other__units_not_rows() -> None:
    w = world()
    plan(w, "secondary", "complained")
    tell([f"outcome_{n:02}" for n in range(50)], experiment=w.experiment.key)
    tell(["one_too_many"], experiment=w.experiment.key)
    crowd(w, "control", 4, START)
    stamp = {"experiment_id": w.experiment.pk, "variant_id": w.arms["control"].pk}
    for unit, kind in (
        ("0", "outcome_07"),
        ("0", "outcome_07"),
        ("1", "outcome_07"),
        ("2", "one_too_many"),
        ("2", "never_seen_before"),
    ):
        w.event(f"control{START:%d%H}-{unit}", kind, START + timedelta(hours=1), **stamp)
    w.event(f"control{START:%d%H}-3", "outcome_07", START - timedelta(hours=1), **stamp)
    found = counting.count(Iteration.objects.get(pk=w.iteration.pk), AT)
    control = next(arm for arm in found.arms if arm["key"] == "control")
    assert (control["units"], control["outcomes"]["outcome_07"], control["outcomes"]["other"]) == (
        4,
        2,
        1,
    )
    assert len(control["outcomes"]) == 52, "and the planned one"
