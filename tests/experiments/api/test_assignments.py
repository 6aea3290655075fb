"""The assignment door: one shape for one or many, exposures, key kinds, bad input, and a dead
database.
"""

from __future__ import annotations

import json

import pytest
from django.db import OperationalError
from prometheus_client import REGISTRY

from experiments.core.serving.exposure import from_line
from experiments.core.types import Environment, Phase, Scope, Status
from experiments.metrics import tell_answers
from experiments.models import ServingDocument
from experiments.selectors import serving
from experiments.services.serving import spool
from tests.serving_cast import experiment, launched, unit_in

URL = "/api/v1/assignments"


@pytest.fixture
def app(doors):
    launched("checkout")
    doors.publish()
    return doors.client()


@pytest.fixture(autouse=True)
def fresh_spool():
    spool.release()
    yield
    spool.release()


def ask(client, **body):
    return client.post(URL, body)


def spooled():
    return [
        from_line(line)
        for path in spool.waiting()
        for line in path.read_bytes().splitlines(keepends=True)
    ]


def test_assignments__one_unit_and_a_named_experiment__has_the_whole_shape(app):
    response = ask(app, unit="u1", experiments=["checkout"])
    assert response.status_code == 200
    assert set(response.json()) == {"assignments"}
    item = response.json()["assignments"][0]
    assert list(item) == [
        "unit",
        "bucket",
        "experiment",
        "flag",
        "variant",
        "config",
        "value",
        "reason",
        "stage",
        "shadow",
        "metadata",
    ]
    assert (item["unit"], item["experiment"], item["flag"], item["reason"], item["stage"]) == (
        "u1",
        "checkout",
        "checkout",
        "experiment",
        "running",
    )
    assert response["X-Assay-Catalogue"] == str(serving.current().version)
    assert response["X-Assay-Stale"] == "false"


def test_assignments__with_a_trailing_slash_and_x_api_key__is_the_same_door(app, client):
    key = app._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    response = client.post(
        URL + "/", {"unit": "u1"}, content_type="application/json", headers={"X-API-Key": key}
    )
    assert response.status_code == 200


def test_assignments__asks_neither_the_database_nor_redis(app, django_assert_num_queries, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with django_assert_num_queries(0):
        assert ask(app, unit="u1", experiments=["checkout"]).status_code == 200


def test_assignments__database_dead__answers_the_same_and_says_stale(app, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OperationalError("connection refused")

    before = ask(app, units={"user": "u1"}).json()["assignments"]
    monkeypatch.setattr(serving, "_newest", refuse)
    from experiments.core.clock import utc_now

    serving.refresh(utc_now())
    response = ask(app, units={"user": "u1"})
    after = response.json()["assignments"]
    assert response["X-Assay-Stale"] == "true"
    assert after[0]["metadata"].pop("stale") is True
    assert after == before


def test_assignments__one_experiment_by_key_and_by_name__is_answered_and_met_once(app):
    response = ask(app, unit="u1", experiments=["checkout", "Checkout", "checkout"])
    assert [item["experiment"] for item in response.json()["assignments"]] == ["checkout"]
    assert len(spooled()) == 1


def test_assignments__batch__gives_one_list_per_item_and_names_the_bad_ones(app):
    batch = [{"units": {"user": f"u{i}"}} for i in range(3)] + [
        {"units": {"user": ""}},
        {"unit": "u1", "attributes": {"plan": "pro"}},
    ]
    body = ask(app, batch=batch).json()
    assert [len(several) for several in body["results"]] == [1, 1, 1, 0, 1]
    assert body["results"][1] == body["results"][4]
    assert [(error["index"], error["code"], error["field"]) for error in body["errors"]] == [
        (3, "unit_id_empty", "batch[3].units.user")
    ]


def test_assignments__same_unit_again_and_in_a_batch__has_the_same_variant(app):
    alone = [ask(app, unit=f"u{i}").json()["assignments"][0]["variant"] for i in range(20)]
    together = ask(app, batch=[{"unit": f"u{i}"} for i in range(20)]).json()["results"]
    assert [several[0]["variant"] for several in together] == alone
    assert set(alone) >= {"control", "treatment"}


def test_assignments__unit_type_missing__is_an_answer_not_an_error(doors):
    launched("tenants", unit_type="tenant")
    doors.publish()
    item = ask(doors.client(), unit="u1", experiments=["tenants"]).json()["assignments"][0]
    assert (item["variant"], item["reason"]) == (None, "unit_missing")


@pytest.mark.parametrize(
    ("body", "recorded"),
    [
        ({"unit": "u1", "experiments": ["checkout"]}, 1),
        ({"unit": "u1"}, 0),
        ({"unit": "u1", "exposure": "queued"}, 1),
        ({"unit": "u1", "experiments": ["checkout"], "exposure": "none"}, 0),
        ({"batch": [{"unit": "u1"}, {"unit": "u2"}], "experiments": ["checkout"]}, 0),
        ({"batch": [{"unit": "u1"}, {"unit": "u2"}], "exposure": "queued"}, 2),
    ],
)
def test_assignments__exposure__is_queued_when_one_unit_names_experiments_or_when_asked(
    app, body, recorded
):
    served = ask(app, **body).json()
    lists = served.get("results") or [served["assignments"]]
    assert all(item["variant"] for several in lists for item in several)
    assert [exposure.unit_id for exposure in spooled()] == ["u1", "u2"][:recorded]


def test_assignments__exposure__says_variant_bucket_and_phase(app):
    item = ask(app, unit="u1", experiments=["checkout"]).json()["assignments"][0]
    exposure = spooled()[0]
    assert (exposure.bucket, exposure.phase, exposure.environment) == (
        item["bucket"],
        Phase.MAIN,
        Environment.PRODUCTION,
    )


def test_assignments__unit_outside_the_share__meets_nothing(app):
    outside = unit_in(lambda bucket: bucket >= 900)
    item = ask(app, unit=outside, experiments=["checkout"]).json()["assignments"][0]
    assert (item["variant"], item["reason"]) == (None, "not_in_experiment")
    assert spooled() == []


def test_assignments__durable_without_a_sink__is_refused_and_says_what_else_there_is(app):
    spool.set_durable_sink(None)
    response = ask(app, unit="u1", experiments=["checkout"], exposure="durable")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "not_available"


def test_assignments__durable__is_handed_over_before_the_answer(app):
    taken = []
    spool.set_durable_sink(lambda exposures, now: taken.extend(exposures))
    try:
        assert ask(app, unit="u1", experiments=["checkout"], exposure="durable").status_code == 200
    finally:
        spool.set_durable_sink(None)
    assert [exposure.unit_id for exposure in taken] == ["u1"]
    assert spooled() == []


def test_assignments__test_key__previews_a_draft_and_marks_what_it_sends(doors):
    experiment("drafted", status=Status.DRAFT)
    launched("checkout")
    doors.publish()
    tester, app = doors.client(environment=Environment.TEST), doors.client()
    assert (
        ask(tester, unit="u1", experiments=["drafted"]).json()["assignments"][0]["reason"]
        == "preview"
    )
    assert (
        ask(app, unit="u1", experiments=["drafted"]).json()["assignments"][0]["reason"]
        == "not_serving"
    )
    ask(tester, unit="u1", experiments=["checkout"])
    assert [exposure.environment for exposure in spooled()] == [Environment.TEST]


def test_assignments__client_key__sees_visible_flags_alone(doors):
    launched("secret")
    launched("button", client_visible=True, seed="ba9876543210")
    doors.publish()
    browser = doors.client(Scope.CLIENT)
    assert [item["flag"] for item in ask(browser, unit="u1").json()["assignments"]] == ["button"]
    hidden, absent = (
        ask(browser, unit="u1", experiments=["secret"]),
        ask(browser, unit="u1", experiments=["absent"]),
    )
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content.replace(b"secret", b"absent") == absent.content


BAD = {
    "unknown_experiment": ({"unit": "u1", "experiments": ["checkout", "chekout"]}, 404, "chekout"),
    "no_unit": ({"experiments": ["checkout"]}, 400, "exactly one of unit, units and batch"),
    "two_ways": ({"unit": "u1", "units": {"user": "u1"}}, 400, "found unit and units"),
    "empty_unit": ({"unit": ""}, 400, "empty"),
    "long_unit": ({"unit": "u" * 257}, 400, "257 characters"),
    "control_character": ({"unit": "u\n1"}, 400, "control character"),
    "zero_width": ({"unit": "u\u200b1"}, 400, "zero-width"),
    "number_as_unit": ({"unit": 5.5}, 400, "whole number up to 2^53 - 1; found the number 5.5"),
    "unit_type": ({"units": {"User!": "u1"}}, 400, "unit type 'User!'"),
    "unknown_field": ({"unit": "u1", "experiment": "checkout"}, 400, "unknown field `experiment`"),
    "exposure": ({"unit": "u1", "exposure": "perhaps"}, 400, "exposure"),
    "empty_batch": ({"batch": []}, 400, "1 to 1,000"),
    "large_batch": ({"batch": [{"unit": "u"}] * 1001}, 413, "1 to 1,000 items, found 1,001"),
    "large_body": (
        {"unit": "u1", "attributes": {str(i): "x" * 8000 for i in range(5)}},
        413,
        "32,768",
    ),
    "not_an_object": (["u1"], 400, "Expected `object`"),
}


@pytest.mark.parametrize(("body", "status", "said"), BAD.values(), ids=BAD.keys())
def test_assignments__bad_input__says_what_and_where(app, body, status, said):
    response = app.post(URL, body)
    assert response.status_code == status
    assert said in response.json()["error"]["message"]
    assert spooled() == []


def test_assignments__nul_and_nan__are_refused_in_the_one_shape(app):
    for raw in (b'{"unit": "u\\u0000"}', b'{"unit": "u1", "experiments": NaN}', b"{"):
        response = app.post(URL, data=raw, content_type="application/json")
        assert response.status_code == 400
        assert set(response.json()["error"]) == {"code", "message", "field", "problems"}


def test_assignments__counts_variants_by_experiment(app):
    def counted():
        tell_answers()
        labels = {"experiment": "checkout", "variant": "control"}
        by_variant = REGISTRY.get_sample_value("experiment_variant_assigned_total", labels)
        by_reason = REGISTRY.get_sample_value("assay_assignments_total", {"reason": "experiment"})
        return by_variant or 0, by_reason or 0

    variant, reason = counted()
    unit = unit_in(lambda bucket: bucket < 900 and bucket % 2 == 0)
    ask(app, batch=[{"unit": unit}, {"unit": unit}])
    assert counted() == (variant + 2, reason + 2)


def test_assignments__switched_off__reaches_the_next_answer_after_a_poll(app, doors):
    from experiments.models import Flag

    Flag.objects.update(enabled=False)
    doors.publish()
    item = ask(app, unit="u1", experiments=["checkout"]).json()["assignments"][0]
    assert (item["reason"], item["value"]) == ("switched_off", {})
    assert (
        json.loads(ServingDocument.objects.filter(kind="catalogue").latest("version").body)[
            "flags"
        ][0]["enabled"]
        is False
    )
