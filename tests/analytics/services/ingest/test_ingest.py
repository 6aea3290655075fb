"""Items in: once each, whoever sends them how often, with errors item by item."""

from __future__ import annotations

import threading
from datetime import UTC, timedelta

import pytest
from django.db import connection

from analytics.core.intake.ingest_items import (
    EventItem,
    ExposureItem,
    ObservationItem,
    parse_items,
    parse_observation,
)
from analytics.models import AiEvent, Assignment, EventId, IngestTally, MetricObservation
from analytics.services.ingest.ingest import (
    IngestIdentity,
    ingest_events,
    ingest_exposures,
    ingest_observations,
    record_exposures,
)
from experiments.core.serving.exposure import QueuedExposure
from experiments.core.types import Environment, Origin, Phase, Scope, Status
from experiments.models import (
    ExcludedUnit,
    ExclusionList,
    Iteration,
    Metric,
    Override,
    Pause,
    Rollout,
)
from tests.serving_cast import NOW, SEED, experiment, launched, owner, unit_in

APP = IngestIdentity()
TESTER = IngestIdentity(environment=Environment.TEST)


def seen(event_id, unit, *, key="checkout", **named):
    return ExposureItem(event_id=event_id, units={"user": unit}, experiment=key, **named)


def measured(event_id, unit="u1", *, metric="apply_rate", value=1.0, **named):
    return ObservationItem(
        event_id=event_id, units={"user": unit}, metric=metric, value=value, **named
    )


def exposures(*items, now=NOW, identity=APP):
    return ingest_exposures(items, now=now, identity=identity)


def observations(*items, now=NOW, identity=APP, origin=Origin.LIVE):
    return ingest_observations(items, now=now, identity=identity, origin=origin)


def codes(result):
    return [error.code for error in result.errors]


def tally(door, outcome):
    row = IngestTally.objects.filter(door=door, outcome=outcome).first()
    return row.count if row else 0


# ---------------------------------------------------------------- observations and events


@pytest.mark.django_db
def test_observations__good_and_bad_together__good_are_kept_and_bad_reported_in_their_place():
    launched()
    raw = [
        {"event_id": "a", "user_id": "u1", "metric": "apply_rate", "value": 1},
        {"event_id": "b", "user_id": "u1", "metric": "apply_rate", "value": float("nan")},
        {
            "event_id": "c",
            "user_id": "u1",
            "metric": "apply_rate",
            "value": 1,
            "experiment": "nowhere",
        },
        {
            "event_id": "d",
            "user_id": "u1",
            "metric": "apply_rate",
            "value": 1,
            "experiment": "checkout",
            "variant": "blue",
        },
        {
            "event_id": "e",
            "user_id": "u1",
            "metric": "apply_rate",
            "value": 0,
            "experiment": "checkout",
            "variant": "control",
        },
        {"event_id": "f", "user_id": "u1", "metric": "apply_rate", "value": 1e200},
    ]
    result = observations(*parse_items(raw, parse_observation))
    assert (result.accepted, result.duplicates, result.conflicts) == (2, 0, 0)
    refused = [
        (1, "value_not_finite"),
        (2, "unknown_experiment"),
        (3, "unknown_variant"),
        (5, "value_not_finite"),
    ]
    assert sorted((e.index, e.code) for e in result.errors) == refused
    assert sorted(MetricObservation.objects.values_list("event_id", "variant")) == [
        ("a", None),
        ("e", "control"),
    ]
    assert sorted(EventId.objects.values_list("event_id", flat=True)) == ["a", "e"]


@pytest.mark.django_db
def test_observations__same_id_again__counts_once_and_another_body_is_a_conflict():
    observations(measured("a"))
    again = observations(measured("a"))
    other = observations(measured("a", value=2.0))
    assert (again.accepted, again.duplicates) == (0, 1)
    assert (other.accepted, other.conflicts, codes(other)) == (0, 1, ["conflict"])
    assert MetricObservation.objects.get().value == 1.0


@pytest.mark.django_db
def test_observations__same_id_on_two_days__is_stored_once():
    observations(measured("a", at=NOW))
    result = observations(measured("a", at=NOW - timedelta(days=1)))
    assert result.conflicts == 1
    assert MetricObservation.objects.count() == 1


@pytest.mark.django_db
def test_observations__id_twice_in_one_batch__counts_once():
    result = observations(measured("a"), measured("a"), measured("a", value=3.0))
    assert (result.accepted, result.duplicates, result.conflicts) == (1, 1, 1)


@pytest.mark.django_db
def test_observations__days_never_written_to__get_their_partitions():
    days = [NOW - timedelta(days=n) for n in (0, 1, 80)]
    result = observations(*(measured(f"d{n}", at=day) for n, day in enumerate(days)))
    assert result.accepted == 3
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM ai_ab_metrics ORDER BY event_date")
        assert [name for (name,) in cursor.fetchall()] == [
            f"ai_ab_metrics_{day:%Y%m%d}" for day in reversed(days)
        ]


@pytest.mark.django_db
def test_observations__undeclared_metric__becomes_exploratory():
    observations(measured("a", metric="smiles_per_mile"))
    assert Metric.objects.get(key="smiles_per_mile", current=True).exploratory


@pytest.mark.django_db
def test_observations__late_and_skewed__are_kept_and_counted__and_imports_are_never_late():
    late, ahead = NOW - timedelta(hours=25), NOW + timedelta(hours=1)
    observations(measured("a", at=late), measured("b", at=ahead), measured("c", at=NOW))
    observations(measured("d", at=late), origin=Origin.IMPORT)
    assert (
        tally("observation", "accepted"),
        tally("observation", "late"),
        tally("observation", "skewed"),
    ) == (3, 1, 1)
    assert (tally("import", "accepted"), tally("import", "late")) == (1, 0)


@pytest.mark.django_db
@pytest.mark.parametrize("years", [-30, 1])
def test_observations__impossible_date__is_refused(years):
    result = observations(measured("a", at=NOW.replace(year=NOW.year + years)))
    assert codes(result) == ["too_old" if years < 0 else "timestamp_range"]
    assert MetricObservation.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("", "unit_id_empty"),
        ("x" * 257, "unit_id_too_long"),
        ("a\0b", "unit_id_character"),
        ("a\u200bb", "unit_id_character"),
    ],
)
def test_observations__bad_unit_id__is_refused(unit, code):
    assert codes(observations(measured("a", unit))) == [code]


@pytest.mark.django_db
def test_observations__of_a_tenant_experiment_without_tenant__says_what_is_missing():
    launched("followup", unit_type="tenant")
    result = observations(measured("a", experiment="followup"))
    assert codes(result) == ["unit_missing"]
    assert "tenant" in result.errors[0].message


@pytest.mark.django_db
def test_events__all_columns__come_back_as_sent():
    launched()
    item = EventItem(
        event_id="e1", units={"user": "u1", "session": "s9"}, event_type="llm_call", experiment="checkout", variant="Treatment", at=NOW,
        value=2.5, payload={"job_id": "j1"}, cost_micro=1250, latency_ms=830, language="ru", embedding_stats={"mean": 0.1},
        request_id="r1", context={"page": "search"},
    )  # fmt: skip
    assert ingest_events([item], now=NOW, identity=APP).accepted == 1
    row = AiEvent.objects.get()
    assert (row.user_id, row.unit_type, row.units) == (
        "u1",
        "user",
        {"user": "u1", "session": "s9"},
    )
    assert (
        row.event_type,
        row.value,
        row.cost_micro,
        row.latency_ms,
        row.language,
        row.request_id,
    ) == (
        "llm_call",
        2.5,
        1250,
        830,
        "ru",
        "r1",
    )
    assert row.payload == {"job_id": "j1", "context": {"page": "search"}}
    assert (row.ts, row.received_ts, row.event_date) == (NOW, NOW, NOW.date())


@pytest.mark.django_db
def test_events__of_a_test_key__are_stored_marked():
    ingest_events(
        [EventItem(event_id="e1", units={"user": "u1"}, event_type="open")],
        now=NOW,
        identity=TESTER,
    )
    assert AiEvent.objects.get().environment == "test"
    assert tally("event/test", "accepted") == 1 and tally("event", "accepted") == 0


# ---------------------------------------------------------------- exposures


@pytest.mark.django_db
def test_exposure__unit_in_a_bucket__gets_the_variant_that_holds_it():
    launched()
    odd = unit_in(lambda bucket: bucket < 900 and bucket % 2)
    assert exposures(seen("x1", odd, covariates={"visits": 3})).accepted == 1
    row = Assignment.objects.select_related("variant").get()
    assert (row.user_id, row.variant.key, row.phase, row.exposure_count, row.crossover) == (
        odd,
        "treatment",
        "main",
        1,
        False,
    )
    assert row.covariates == {"visits": 3} and row.bucket_id % 2 == 1


@pytest.mark.django_db
def test_exposure__again_earlier_and_later__one_row_counts_up_and_keeps_the_first_moment():
    launched()
    unit = unit_in(lambda bucket: bucket < 900)
    exposures(seen("x1", unit, at=NOW - timedelta(hours=2), covariates={"visits": 3}))
    exposures(
        seen("x2", unit, at=NOW - timedelta(hours=5), covariates={"visits": 9}),
        seen("x3", unit, at=NOW),
    )
    exposures(seen("x3", unit, at=NOW))
    row = Assignment.objects.get()
    assert (row.exposure_count, row.exposure_ts, row.covariates) == (
        3,
        NOW - timedelta(hours=5),
        {"visits": 3},
    )


@pytest.mark.django_db
def test_exposure__another_variant_than_the_first__marks_crossover_and_keeps_the_first():
    launched()
    even = unit_in(lambda bucket: bucket < 900 and bucket % 2 == 0)
    exposures(seen("x1", even))
    exposures(seen("x2", even, variant="treatment"))
    row = Assignment.objects.select_related("variant").get()
    assert (row.variant.key, row.crossover, row.exposure_count) == ("control", True, 2)


@pytest.mark.django_db
def test_exposure__dark_and_twin_buckets__carry_their_phase():
    launched(dark=range(10), twin=range(10, 20))
    dark, twin = unit_in(lambda bucket: bucket < 10), unit_in(lambda bucket: 10 <= bucket < 20)
    exposures(seen("x1", dark), seen("x2", twin))
    assert dict(Assignment.objects.values_list("user_id", "phase")) == {dark: "dark", twin: "twin"}


@pytest.mark.django_db
def test_exposure__override__is_stored_apart_even_outside_the_buckets():
    made = launched(share=500)
    outside = unit_in(lambda bucket: bucket >= 500)
    treatment = made.variants.get(key="treatment")
    Override.objects.create(
        experiment=made,
        variant=treatment,
        unit_id=outside,
        expires_at=NOW + timedelta(days=1),
        created_by=owner(),
        created_at=NOW,
    )
    exposures(seen("x1", outside))
    row = Assignment.objects.get()
    assert (row.phase, row.variant_id) == ("override", treatment.id)


@pytest.mark.django_db
def test_exposure__nothing_to_be_exposed_to__is_refused_with_the_reason():
    launched(share=500)
    experiment("idea", status=Status.DRAFT)
    paused = launched("paused", status=Status.PAUSED, seed="ba9876543210")
    Pause.objects.create(
        iteration=Iteration.objects.get(experiment=paused),
        started_at=NOW - timedelta(hours=1),
        cause="person",
    )
    staff = ExclusionList.objects.create(name="staff", created_at=NOW)
    inside = unit_in(lambda bucket: bucket < 500)
    ExcludedUnit.objects.create(exclusion_list=staff, unit_id="boss")
    result = exposures(
        seen("x1", unit_in(lambda bucket: bucket >= 500)),
        seen("x2", inside, key="idea"),
        seen("x3", unit_in(lambda bucket: bucket < 900, "ba9876543210"), key="paused"),
        seen("x4", "boss"),
        seen("x5", inside, at=NOW - timedelta(days=30)),
        seen("x6", inside, variant="blue"),
    )
    assert codes(result) == [
        "not_in_experiment",
        "not_serving",
        "not_serving",
        "excluded",
        "before_begin",
        "unknown_variant",
    ]
    assert Assignment.objects.count() == 0 and EventId.objects.count() == 0


@pytest.mark.django_db
def test_exposure__client_key__knows_only_flags_that_clients_may_see():
    launched("hidden")
    launched("open", client_visible=True, seed="ba9876543210")
    client = IngestIdentity(scope=Scope.CLIENT)
    shown = unit_in(lambda bucket: bucket < 900, "ba9876543210")
    result = exposures(
        seen("x1", unit_in(lambda bucket: bucket < 900), key="hidden"),
        seen("x2", shown, key="open"),
        identity=client,
    )
    assert (result.accepted, codes(result)) == (1, ["unknown_experiment"])


@pytest.mark.django_db
def test_exposure__test_key__is_a_row_of_its_own():
    launched()
    unit = unit_in(lambda bucket: bucket < 900)
    exposures(seen("x1", unit))
    exposures(seen("t1", unit), identity=TESTER)
    assert sorted(Assignment.objects.values_list("environment", "exposure_count")) == [
        ("production", 1),
        ("test", 1),
    ]


@pytest.mark.django_db
def test_exposure__after_promotion__carries_phase_rollout_and_leaves_earlier_rows_alone():
    made = launched()
    early = unit_in(lambda bucket: bucket < 900 and bucket % 2 == 0)
    exposures(seen("x1", early))
    treatment = made.variants.get(key="treatment")
    made.status = Status.COMPLETED
    made.save()
    Rollout.objects.create(
        flag=made.flag, experiment=made, iteration=Iteration.objects.get(experiment=made), variant=treatment, created_at=NOW,
        returnable_until=NOW,
        audience={"unit_type": "user", "seed": SEED, "targeting": [], "buckets": list(range(950))}, holdback_buckets=[949],
    )  # fmt: skip
    new, held = unit_in(lambda bucket: 900 <= bucket < 949), unit_in(lambda bucket: bucket == 949)
    exposures(seen("x2", early), seen("x3", new), seen("x4", held))
    rows = {
        r.user_id: (r.phase, r.variant.key, r.exposure_count, r.crossover)
        for r in Assignment.objects.select_related("variant")
    }
    assert rows[early] == ("main", "control", 1, False)
    assert rows[new] == ("rollout", "treatment", 1, False) and rows[held] == (
        "rollout",
        "control",
        1,
        False,
    )


@pytest.mark.django_db
def test_recorded_exposure__unknown_ids__are_refused_and_the_rest_kept():
    made = launched()
    iteration, variant = Iteration.objects.get(experiment=made), made.variants.get(key="control")
    good = QueuedExposure(
        "q1", made.id, iteration.id, variant.id, "user", "u1", NOW, bucket=4, phase=Phase.DARK
    )
    bad = QueuedExposure("q2", made.id, iteration.id + 1000, variant.id, "user", "u2", NOW)
    result = record_exposures([good, bad], now=NOW)
    assert (result.accepted, codes(result)) == (1, ["unknown_experiment"])
    assert Assignment.objects.get().phase == "dark"


# ---------------------------------------------------------------- races


@pytest.mark.django_db(transaction=True)
def test_ingest__many_writers_with_the_same_ids__count_each_once():
    made = launched()
    units = [f"u{n}" for n in range(200)]
    iteration, variant = Iteration.objects.get(experiment=made), made.variants.get(key="control")
    results, problems = [], []

    def write(order):
        try:
            batch = [
                QueuedExposure(f"q-{u}", made.id, iteration.id, variant.id, "user", u, NOW)
                for u in units[::order]
            ]
            results.append(record_exposures(batch, now=NOW))
            results.append(
                observations(
                    *(
                        measured(f"o-{u}", u, at=NOW - timedelta(days=i % 5))
                        for i, u in list(enumerate(units))[::order]
                    )
                )
            )
        except Exception as error:  # noqa: BLE001 (shown below)
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(order,)) for order in (1, -1, 1, -1)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert problems == []
    assert (sum(r.accepted for r in results), sum(r.duplicates for r in results)) == (400, 1200)
    assert Assignment.objects.count() == MetricObservation.objects.count() == 200
    assert set(Assignment.objects.values_list("exposure_count", flat=True)) == {1}
    assert (tally("exposure", "accepted"), tally("exposure", "duplicate")) == (200, 600)


@pytest.mark.django_db
def test_ingest__a_thousand_items__cost_a_few_statements(django_assert_max_num_queries):
    launched()
    items = [seen(f"x{n}", f"u{n}") for n in range(1000)]
    with django_assert_max_num_queries(18):
        result = exposures(*items)
    assert result.accepted == Assignment.objects.count() > 850
    with django_assert_max_num_queries(16):
        assert (
            observations(
                *(measured(f"o{n}", f"u{n}", at=NOW.astimezone(UTC)) for n in range(1000))
            ).accepted
            == 1000
        )
