"""Our own description of the doors: complete, without a warning, and never answered with a 500 by
whatever it allows.
"""

from __future__ import annotations

import json
import os
import re

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from analytics.selectors.recommendation import recommendation
from analytics.services.ingest import ingest
from experiments.core.types import Scope
from experiments.services.life import advice
from experiments.services.serving import spool
from tests.experiments.api import test_no_500
from tests.experiments.api.test_every_door import ALL, PLAIN

EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "10"))
"""Requests per operation; set SCHEMA_EXAMPLES to look longer."""
PARTS = 6
"""Every so many operations share what they do to the house."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
built, house = test_no_500.built, test_no_500.house


PART = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^)]*\))*\)|<(?:\w+:)?(\w+)>")


def _described(route):
    """The address as the schema writes it."""
    plain = PART.sub(lambda part: f"{{{part[1] or part[2]}}}", route)
    return "/" + plain.replace("^", "").removesuffix("$").removesuffix(r"\Z").removesuffix("/?")


ADDRESSES = {_described(route): pattern for route, pattern in ALL}


@pytest.fixture(scope="module")
def schema():
    """As served at /api/schema, with this process as what it describes."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    loaded = schemathesis.openapi.from_dict(
        json.loads(OpenApiJsonRenderer().render(document, renderer_context={}))
    )
    loaded.app = get_wsgi_application()
    return loaded


@pytest.fixture
def wired():
    """What a whole installation joins: decisions for promotions, and a store for durable exposures.
    The test's connection stays open.
    """
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    advice.set_reader(recommendation)
    spool.set_durable_sink(ingest.record_or_refuse)
    yield
    advice.set_reader(None)
    spool.set_durable_sink(None)
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def test_schema__has_no_warning(tmp_path):
    call_command(
        "spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml")
    )
    assert "openapi: 3.1" in (tmp_path / "schema.yaml").read_text()


def test_schema__names_every_door_and_nothing_else(schema):
    assert set(schema.raw_schema["paths"]) == set(ADDRESSES)


def test_schema__creating_calls__take_an_idempotency_key(schema):
    paths = schema.raw_schema["paths"]
    for address in (
        "/api/v1/experiments",
        "/api/v1/flags",
        "/api/v1/experiments/conversions",
        "/api/v1/experiments/{ref}/start",
    ):
        assert "Idempotency-Key" in {
            parameter["name"] for parameter in paths[address]["post"]["parameters"]
        }, address


@pytest.mark.parametrize("part", range(PARTS))
def test_operation__whatever_its_schema_allows__is_answered_as_described(
    part, schema, house, wired
):
    for address in sorted(ADDRESSES)[part::PARTS]:
        for method in schema.raw_schema["paths"][address]:
            _sent_to(schema[address][method.upper()], ADDRESSES[address], house)


def _sent_to(operation, pattern, house):
    headers, own = _key(operation, pattern, house)

    @hypothesis_settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(
        case=operation.as_strategy(),
        known=st.sampled_from([{}, {"ref": "served"}, {"ref": "draft"}, {"key": "spare"}]),
    )
    def sent(case, known):
        case.path_parameters |= {
            name: value for name, value in (known | own).items() if name in case.path_parameters
        }
        case.call_and_validate(headers=headers | {"Accept-Encoding": "identity"}, checks=CHECKS)

    sent()


def _key(operation, pattern, house):
    """The headers, and the parts of the path, that open the door."""
    if pattern.name in PLAIN:
        scopes, _, knocking = PLAIN[pattern.name]
        key = house.key(scopes[0])
        return knocking(key)[1], {"client_key": key}
    view = pattern.callback.view_class
    scopes = view.scopes_by_method.get(operation.method.upper(), view.scopes)
    return {
        "Authorization": f"Bearer {house.key(Scope.MANAGEMENT if Scope.MANAGEMENT in scopes else scopes[0])}"
    }, {}
