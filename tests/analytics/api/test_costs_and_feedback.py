"""What calls of models took and what people thought of answers: stored once, by the day, with an
error per item.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from analytics.models import EventId, Feedback, RequestCost
from experiments.core.clock import utc_now
from experiments.core.types import Environment, Scope
from tests.serving_cast import launched

COST = {
    "request_id": "r1",
    "model": "gpt-4-turbo",
    "tokens_in": 812,
    "tokens_out": 144,
    "cost_micro": 12440,
    "cache_hit": False,
    "qps_bucket": "10-50",
}
FEEDBACK = {
    "user_id": "u1",
    "label": "not useful",
    "comment": "Wrong city,\nand too long.",
    "manual_edit_flag": True,
    "request_id": "r1",
}


@pytest.fixture
def app(doors):
    return doors.client(Scope.INGEST)


def costs(*items):
    return {"costs": [COST | {"event_id": f"c{n}"} | item for n, item in enumerate(items)]}


def feedback(*items):
    return {"feedback": [FEEDBACK | {"event_id": f"f{n}"} | item for n, item in enumerate(items)]}


def test_costs__batch__is_stored_under_the_sources_columns(app):
    answer = app.post("/api/v1/costs", costs({}, {"cost_micro": None, "qps_bucket": 3}))
    assert (answer.status_code, answer.json()) == (
        200,
        {"accepted": 2, "duplicates": 0, "conflicts": 0, "errors": []},
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT request_id, model, tokens_in, tokens_out, cost_micro, cache_hit, qps_bucket FROM ai_request_costs ORDER BY event_id"
        )
        assert cursor.fetchall() == [
            ("r1", "gpt-4-turbo", 812, 144, 12440, False, "10-50"),
            ("r1", "gpt-4-turbo", 812, 144, None, False, "3"),
        ]


def test_feedback__batch__keeps_what_was_said_of_which_answer(app):
    launched(began=utc_now() - timedelta(days=1))
    answer = app.post(
        "/api/v1/feedback/",
        feedback({}, {"label": "useful", "experiment": "checkout", "variant": "control"}),
    )
    assert answer.json()["accepted"] == 2
    first, second = Feedback.objects.order_by("event_id")
    assert (first.user_id, first.unit_type, first.label, first.manual_edit_flag) == (
        "u1",
        "user",
        "not_useful",
        True,
    )
    assert (first.comment, first.request_id) == ("Wrong city,\nand too long.", "r1")
    assert (second.label, second.experiment_id is None, second.variant_id is None) == (
        "useful",
        False,
        False,
    )


@pytest.mark.parametrize(
    ("door", "body", "rows"), [("costs", costs, RequestCost), ("feedback", feedback, Feedback)]
)
def test_batch_again__counts_nothing_twice_and_another_body_is_a_conflict(app, door, body, rows):
    app.post(f"/api/v1/{door}", body({}, {}))
    assert app.post(f"/api/v1/{door}", body({}, {})).json()["duplicates"] == 2
    changed = app.post(f"/api/v1/{door}", body({"timestamp": "2026-03-01T00:00:00Z"}, {})).json()
    assert (changed["conflicts"], changed["duplicates"], changed["errors"][0]["code"]) == (
        1,
        1,
        "conflict",
    )
    assert rows.objects.count() == EventId.objects.count() == 2


def test_id_of_another_door__is_a_conflict(app):
    app.post("/api/v1/costs", COST | {"event_id": "same"})
    assert app.post("/api/v1/feedback", FEEDBACK | {"event_id": "same"}).status_code == 409
    assert not Feedback.objects.exists()


BAD_COSTS = [
    ({"request_id": None}, "missing", "request_id"),
    ({"model": ""}, "invalid", "model"),
    ({"tokens_in": -1}, "invalid", "tokens_in"),
    ({"cost_micro": 0.5}, "invalid", "cost_micro"),
    ({"cache_hit": "yes"}, "invalid", "cache_hit"),
    ({"qps_bucket": True}, "invalid", "qps_bucket"),
    ({"user_id": "u1"}, "unknown_field", "user_id"),
    ({"timestamp": "2026-03-01T00:00:00"}, "timestamp_naive", "timestamp"),
]
BAD_FEEDBACK = [
    ({"label": "great"}, "invalid", "label"),
    ({"label": None, "comment": "", "manual_edit_flag": None}, "missing", "label"),
    ({"manual_edit_flag": 1}, "invalid", "manual_edit_flag"),
    ({"comment": "x" * 4001}, "invalid", "comment"),
    ({"user_id": None}, "unit_missing", "units"),
    ({"experiment": "nowhere"}, "unknown_experiment", "experiment"),
    ({"variant": "control"}, "unknown_variant", "variant"),
]


@pytest.mark.parametrize(
    ("door", "body", "bad"), [("costs", costs, BAD_COSTS), ("feedback", feedback, BAD_FEEDBACK)]
)
def test_bad_items__are_named_in_their_place_and_good_ones_kept(app, door, body, bad):
    answer = app.post(f"/api/v1/{door}", body({}, *(fields for fields, _, _ in bad)))
    assert answer.json()["accepted"] == 1
    found = [(error["index"], error["code"], error["field"]) for error in answer.json()["errors"]]
    assert found == [(n, code, field) for n, (_, code, field) in enumerate(bad, start=1)]


@pytest.mark.parametrize(("door", "body"), [("costs", costs), ("feedback", feedback)])
def test_batch_of_1001__is_refused_whole(app, door, body):
    assert app.post(f"/api/v1/{door}", body(*[{}] * 1001)).status_code == 413
    assert not EventId.objects.exists()


def test_test_key__stores_what_it_sends_marked(doors):
    doors.client(Scope.SERVER, Environment.TEST).post("/api/v1/costs", COST)
    assert RequestCost.objects.get().environment == Environment.TEST


@pytest.mark.parametrize("table", ["ai_request_costs", "ai_feedback"])
def test_days__are_partitions_by_event_date(app, table):
    day = utc_now().date() - timedelta(days=2)
    app.post("/api/v1/costs", COST | {"timestamp": f"{day}T23:59:59Z"})
    app.post("/api/v1/feedback", FEEDBACK | {"timestamp": f"{day}T23:59:59Z"})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_partkeydef(%s::regclass), tableoid::regclass::text FROM " + table,
            [table],
        )
        assert cursor.fetchall() == [("RANGE (event_date)", f"{table}_{day:%Y%m%d}")]
