"""After a harm stop an experiment begins anew; what clients of before still report is never counted
in the new iteration.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from analytics.core.intake.growthbook_items import read_exposure
from analytics.core.intake.ingest_items import parse_exposure, parse_items
from analytics.models import Assignment
from analytics.services.ingest.ingest import IngestIdentity, ingest_exposures
from experiments.core.protocols import growthbook
from experiments.core.serving import catalogue_parsing as catalogues
from experiments.core.types import SYSTEM, Environment, Scope, Status
from experiments.models import Flag, Iteration
from experiments.sdk import AssayClient
from experiments.sdk.outbox import Collected
from experiments.selectors import serving
from experiments.selectors.serving_rows import catalogue_document
from experiments.services.life import lifecycle
from tests.clients.parity import Unit, growthbook_python_each
from tests.factories import NOW, experiment_in, person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_catalogue")]
UNITS = [f"u{n}" for n in range(100)]
STOPPED = NOW + timedelta(days=3)
RESUMED = STOPPED + timedelta(hours=2)
LATER = RESUMED + timedelta(hours=1)


@pytest.fixture
def experiment():
    made = experiment_in(Status.RUNNING)
    Flag.objects.update(client_visible=True)
    serving.refresh(NOW)
    return made


def begun_anew(experiment):
    lifecycle.emergency_stop(SYSTEM, STOPPED, experiment_id=experiment.pk, reason="errors")
    lifecycle.resume(person("approver"), RESUMED, experiment_id=experiment.pk, reason="mended")
    assert Iteration.objects.get(ended_at__isnull=True).number == 2


def page() -> dict[str, object]:
    """What a page has loaded now, as its SDK reads it."""
    found = growthbook.payload(
        catalogues.parse(catalogue_document(LATER, version=1, built_at=NOW)),
        Environment.PRODUCTION,
        NOW,
        client=True,
    )
    return json.loads(catalogues.canonical(found.as_json()))


def reports(document, units=UNITS) -> list[dict[str, object]]:
    """What GrowthBook's tracking plugin for JavaScript says of each unit's experiment: the SDK
    decides, the plugin repeats its key.
    """
    sent = []
    for unit, met in zip(
        units,
        growthbook_python_each([document] * len(units))([Unit({"user": unit}) for unit in units]),
        strict=True,
    ):
        for answer in met.values():
            if answer.arm is not None:
                key = next(
                    rule["key"]
                    for feature in document["features"].values()
                    for rule in feature["rules"]
                )
                viewed = {
                    "experimentId": key,
                    "variationId": answer.arm,
                    "hashAttribute": "id",
                    "hashValue": unit,
                }
                sent.append(
                    {
                        "event_name": "Experiment Viewed",
                        "properties_json": viewed,
                        "sdk_language": "js",
                    }
                )
    return sent


def told_by_pages(events, now=LATER):
    items = parse_items(
        events,
        lambda event: read_exposure(event, {"id": "user"}, f"e{id(event)}-{now.isoformat()}"),
    )
    return ingest_exposures(items, now=now, identity=IngestIdentity(scope=Scope.CLIENT))


def told_by_sdk(items, now=LATER):
    return ingest_exposures(parse_items(items, parse_exposure), now=now, identity=IngestIdentity())


def in_iteration(number: int):
    return Assignment.objects.filter(iteration__number=number)


def sdk_of(now) -> AssayClient:
    body = catalogues.canonical(
        {"environment": "production", **catalogue_document(now, version=1, built_at=now)}
    )
    return AssayClient.from_document(body, outbox=Collected(), clock=lambda: now)


def outbox_of(client: AssayClient, key: str) -> list[dict[str, object]]:
    for unit in UNITS:
        client.variant(key, unit)
    return [item for kind, item in client.outbox.items if kind == "exposures"]


def test_an_old_page__reports_after_the_new_iteration_began__and_none_of_it_is_counted_there(
    experiment,
):
    old = reports(page())
    assert len(old) == len(UNITS)
    begun_anew(experiment)
    result = told_by_pages(old)
    assert {error.code for error in result.errors} == {"other_iteration"} and len(
        result.errors
    ) == len(UNITS)
    assert (in_iteration(2).count(), Assignment.objects.filter(crossover=True).count()) == (0, 0)


def test_a_page_of_the_new_iteration__is_counted_in_it(experiment):
    begun_anew(experiment)
    new = reports(page())
    assert {event["properties_json"]["variationId"].partition("@")[2] for event in new} == {"2"}
    assert told_by_pages(new).errors == ()
    assert (in_iteration(2).count(), in_iteration(2).filter(crossover=True).count()) == (
        len(UNITS),
        0,
    )


def test_an_sdks_outbox_of_before__is_stored_with_its_own_iteration(experiment):
    kept = outbox_of(sdk_of(NOW + timedelta(days=1)), experiment.key)
    assert {item["iteration"] for item in kept} == {1}
    begun_anew(experiment)
    assert told_by_sdk(kept).errors == ()
    assert (in_iteration(1).count(), in_iteration(2).count()) == (len(UNITS), 0)
    assert not Assignment.objects.filter(crossover=True).exists()


def test_an_sdk_that_still_serves_the_old_catalogue__is_refused_by_name(experiment):
    stale = sdk_of(NOW + timedelta(days=1))
    begun_anew(experiment)
    stale._clock = lambda: LATER
    result = told_by_sdk(outbox_of(stale, experiment.key))
    assert {error.code for error in result.errors} == {"other_iteration"}
    assert "iteration 1" in result.errors[0].message and in_iteration(2).count() == 0


def test_a_snippet_that_names_the_phase__is_heard(experiment):
    begun_anew(experiment)
    viewed = {
        "experimentId": experiment.key,
        "variationId": "control",
        "phase": "1",
        "hashValue": "u1",
    }
    result = told_by_pages([{"event_name": "Experiment Viewed", "properties_json": viewed}])
    assert [error.code for error in result.errors] == ["other_iteration"]
