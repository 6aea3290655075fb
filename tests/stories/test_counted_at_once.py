"""Ask for a variant, record a result, analyse at once: whoever was told of is counted, though
exposures are queued.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command

from analytics.models import Assignment, EventId
from analytics.services.ingest.drain import drain_once
from experiments.core.clock import utc_now
from experiments.selectors import serving
from experiments.services.serving import spool
from tests.stories.company import Http, hire, new_key

MANY = 300
URL = "experiments"
HALVES = [
    {"name": "control", "traffic_allocation": 50},
    {"name": "treatment", "traffic_allocation": 50},
]


@pytest.fixture
def doors(db, settings, tmp_path) -> Iterator[tuple[Http, Http]]:
    """A server key and a management key on an installation whose spool nobody drains by the way."""
    settings.CATALOGUE_DIR, settings.SPOOL = tmp_path / "catalogue", tmp_path / "spool"
    serving.forget()
    hire()
    yield Http(new_key("server", "olivia")), Http(new_key("management", "olivia"))
    serving.forget()
    spool.release()


def launched(doors: tuple[Http, Http]) -> str:
    tools = doors[1]
    body = {
        "name": "prompts",
        "variants": HALVES,
        "traffic_allocation": 1.0,
        "primary_metric": "satisfaction",
    }
    assert tools.post(URL, body).status_code == 201
    assert tools.post(f"{URL}/prompts/start").status_code == 200
    serving.refresh(utc_now())
    return "prompts"


def told(doors: tuple[Http, Http], name: str) -> None:
    """The printed calls, one unit after the other."""
    server = doors[0]
    for number in range(MANY):
        unit = f"user-{number}"
        answer = server.post(
            f"{URL}/get-variant", {"experiment_name": name, "user_id": unit}
        ).json()
        assert answer["variant"] is not None
        result = {
            "experiment_name": name,
            "metric_name": "satisfaction",
            "metric_value": 1.0,
            "user_id": unit,
        }
        assert server.post(f"{URL}/record-result", result).status_code == 200


def test_results_recorded__before_anything_is_drained__every_unit_is_in_its_arm(doors) -> None:
    told(doors, launched(doors))
    rows = Assignment.objects.all()
    assert rows.count() == MANY
    assert set(rows.values_list("exposure_count", flat=True)) == {0}, (
        "the exposures themselves are still queued"
    )
    implied = dict(rows.values_list("user_id", "variant_id"))
    moments = dict(rows.values_list("user_id", "exposure_ts"))
    drain_once(utc_now())
    assert (
        dict(rows.values_list("user_id", "variant_id")) == implied
        and not rows.filter(crossover=True).exists()
    )
    assert set(rows.values_list("exposure_count", flat=True)) == {1}
    assert all(at < moments[unit] for unit, at in rows.values_list("user_id", "exposure_ts")), (
        "the earlier moment wins"
    )


def test_analyze__at_once__counts_everybody_who_was_told_of(doors) -> None:
    name = launched(doors)
    told(doors, name)
    answer = doors[1].get(f"{URL}/{name}/analyze?metric=satisfaction")
    assert answer["exposures_waiting"] == 0
    assert Assignment.objects.filter(exposure_count=1).count() == MANY
    assert (
        sum(arm["count"] for arm in answer["variant_stats"].values())
        == answer["current_sample_size"]
        == MANY
    )


def test_analyze_command__at_once__counts_exposures_that_were_only_queued(doors) -> None:
    name = launched(doors)
    for number in range(20):
        doors[0].post(f"{URL}/get-variant", {"experiment_name": name, "user_id": f"user-{number}"})
    assert not Assignment.objects.exists()
    printed = StringIO()
    call_command("analyze", name, "--json", stdout=printed)
    found = json.loads(printed.getvalue())
    assert sum(arm["units"] for arm in found["arms"]) == 20
    assert found["exposures_waiting"] == 0


def test_result_of_a_unit_without_a_variant__is_stored_and_implies_nothing(doors) -> None:
    name = launched(doors)
    doors[1].post(f"{URL}/{name}/pause", {"reason": "to see"})
    serving.refresh(utc_now())
    result = {
        "experiment_name": name,
        "metric_name": "satisfaction",
        "metric_value": 1.0,
        "user_id": "somebody",
    }
    assert doors[0].post(f"{URL}/record-result", result).status_code == 200
    assert not Assignment.objects.exists() and EventId.objects.count() == 1
