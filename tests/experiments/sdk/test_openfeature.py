"""OpenFeature's own client on our provider, in this process and without a network."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

pytest.importorskip("openfeature", reason="openfeature-sdk is not installed")

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.track import TrackingEventDetails

from experiments.core.protocols.ofrep import REASONS
from experiments.core.types import Reason
from experiments.sdk import AssayClient
from experiments.sdk.openfeature import AssayProvider
from tests.experiments.core.serving.catalogues import document, experiment, flag, rollout
from tests.experiments.sdk.conftest import a_document


@pytest.fixture
def assay():
    return AssayClient.from_document(json.dumps(a_document()))


@pytest.fixture
def flags(assay):
    api.set_provider_and_wait(AssayProvider(assay))
    yield api.get_client()
    api.shutdown()
    api.clear_providers()


def user(key="u1", **attributes):
    return EvaluationContext(key, attributes)


def test_each_type__is_answered_as_the_client_answers(flags, assay):
    assert flags.get_boolean_value("on", False, user()) is True
    assert flags.get_string_value("word", "", user()) == "hello"
    assert flags.get_integer_value("whole", 0, user()) == 7
    assert flags.get_float_value("part", 0.0, user()) == 0.5
    assert flags.get_object_value("rank", {}, user()) == assay.get_object("rank", {}, "u1")


def test_details__name_variant_reason_and_where_it_comes_from(flags, assay):
    found = flags.get_object_details("rank", {}, user())
    assert found.variant == assay.variant("ranker", "u1").key
    assert found.reason == "SPLIT"
    assert found.flag_metadata["experiment"] == "ranker"
    assert found.error_code is None
    rolled = flags.get_object_details("old", {}, user())
    assert (rolled.variant, rolled.reason) == ("winner", "TARGETING_MATCH")
    plain = flags.get_boolean_details("on", False)
    assert (plain.variant, plain.reason) == ("default", "DEFAULT")


@pytest.mark.parametrize(
    ("key", "context", "code"),
    [
        ("nonesuch", user(), ErrorCode.FLAG_NOT_FOUND),
        ("word", user(), ErrorCode.TYPE_MISMATCH),
    ],
)
def test_errors__are_the_default_with_a_code(flags, key, context, code):
    found = flags.get_boolean_details(key, False, context)
    assert (found.value, found.error_code, found.reason) == (False, code, "ERROR")


def test_tenant_and_session__are_units_of_their_own():
    served = document(flag("rank", experiment=experiment(unit_type="tenant")))
    assay = AssayClient.from_document(json.dumps(served))
    api.set_provider_and_wait(AssayProvider(assay), "tenants")
    found = api.get_client("tenants").get_object_details("rank", {}, user("u1", tenantId="acme"))
    assert found.variant == assay.variant("ranker", units={"tenant": "acme"}).key
    missing = api.get_client("tenants").get_object_details("rank", {}, user("u1"))
    assert (missing.reason, missing.flag_metadata["reason"]) == ("DEFAULT", "unit_missing")


def test_evaluation__is_an_exposure_unless_asked_not_to_be(flags, assay):
    flags.get_object_value("rank", {}, user("u2", assayExposure="none"))
    assert not assay.outbox.items
    flags.get_object_value("rank", {}, user("u2"))
    assert [kind for kind, _ in assay.outbox.items] == ["exposures"]


def test_track__is_an_event(flags, assay):
    flags.track("booked", user("u3"), TrackingEventDetails(19.5, {"room": "double"}))
    ((kind, item),) = assay.outbox.items
    assert (kind, item["event_type"], item["units"], item["value"]) == (
        "events",
        "booked",
        {"user": "u3"},
        19.5,
    )
    assert item["payload"] == {"room": "double"}


def test_async__answers_the_same(flags):
    assert asyncio.run(flags.get_integer_value_async("whole", 0, user())) == 7


def test_not_ready__is_the_default_until_the_catalogue_comes(connect, platform):
    good, platform.catalogue = platform.catalogue, b""
    client = connect(poll_seconds=0.05)
    api.set_provider(AssayProvider(client, ready_seconds=0.1), "late")
    late = api.get_client("late")
    assert late.get_integer_details("whole", 1, user()).error_code is ErrorCode.PROVIDER_NOT_READY
    platform.catalogue = good
    assert client.refresh()
    end = (
        time.monotonic() + 20
    )  # the interface tells its clients from a thread of its own that the provider has begun
    while late.get_integer_value("whole", 1, user()) != 7:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_every_reason__has_a_word_of_the_protocol():
    assert set(REASONS) == set(Reason)


def test_rollout__needs_no_user():
    assay = AssayClient.from_document(json.dumps(document(flag("old", rollout=rollout()))))
    api.set_provider_and_wait(AssayProvider(assay), "rolled")
    assert api.get_client("rolled").get_object_details("old", {}).variant == "winner"
