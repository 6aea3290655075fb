"""What a client decides, and that deciding never fails."""

from __future__ import annotations

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.core.errors import InvalidInput
from experiments.core.serving.assignment import AssignmentRequest, assign
from experiments.core.serving.catalogue_parsing import parse
from experiments.core.types import FlagType
from experiments.sdk import AssayClient, Collected
from tests.experiments.core.serving.catalogues import (
    dark_experiment,
    document,
    experiment,
    flag,
    override,
)
from tests.experiments.sdk.conftest import a_document

NOW = datetime(2026, 5, 2, 9, tzinfo=UTC)


@pytest.fixture
def client():
    return AssayClient.from_document(json.dumps(a_document()), clock=lambda: NOW)


def ids(number):
    """Whole numbers, UUIDs, Cyrillic and emoji in turn."""
    kinds = (
        str,
        lambda n: str(uuid.UUID(int=n * 7919)),
        lambda n: f"юзер-{n}",
        lambda n: f"👩‍🚀{n}"[:1] + str(n),
    )
    return [kinds[n % 4](n) for n in range(number)]


def test_variant__ten_thousand_units__is_what_core_assigns(client):
    catalogue = parse(a_document())
    for unit in ids(10_000):
        served = assign(
            catalogue, AssignmentRequest(experiment="ranker", units={"user": unit}), NOW
        ).served
        found = client.variant("ranker", unit, expose=False)
        assert found is not None
        assert (found.key, found.name, found.config, found.value) == (
            served.variant,
            served.variant_name,
            served.config,
            served.value,
        )
        assert client.get_object("rank", {}, unit, expose=False) == served.value


def test_getters__each_type__answers_its_own(client):
    assert client.get_boolean("on", False, "u") is True
    assert client.get_string("word", "", "u") == "hello"
    assert client.get_integer("whole", 0, "u") == 7
    assert client.get_float("part", 0.0, "u") == 0.5
    assert client.get_object("old", {}, "u") == {"model": "winner"}


def test_getters__integer_flag_asked_as_float__is_a_float(client):
    found = client.get_float("whole", 0.0, "u")
    assert (found, type(found)) == (7.0, float)


@pytest.mark.parametrize(
    ("flag_key", "unit", "error"),
    [
        ("word", "u", "TYPE_MISMATCH"),
        ("nonesuch", "u", "FLAG_NOT_FOUND"),
        (["on"], "u", "GENERAL"),
    ],
)
def test_evaluate__what_cannot_be_answered__is_the_callers_default_and_says_why(
    client, flag_key, unit, error
):
    found = client.evaluate(flag_key, FlagType.BOOLEAN, False, unit)
    assert (found.value, found.error, bool(found.message)) == (False, error, True)


def test_evaluate__before_the_first_catalogue__is_the_default(connect, platform):
    platform.catalogue = b"not a catalogue"
    found = connect().evaluate("on", FlagType.BOOLEAN, False, "u")
    assert (found.value, found.error) == (False, "PROVIDER_NOT_READY")


def test_variant__not_serving__is_none(client):
    assert client.variant("nonesuch", "u") is None
    assert client.variant("ranker") is None
    assert client.variant("ranker", units={"tenant": "acme"}) is None
    assert client.why("ranker", units={"tenant": "acme"})["reason"] == "unit_missing"


def test_variant__by_name_and_with_whole_numbers__is_the_same(client):
    assert client.variant("The ranker experiment", 123) == client.variant("ranker", "123")


def test_variant__changed_by_the_application__stays_what_it_is_for_others(client):
    client.variant("ranker", "u").config["model"] = "spoiled"
    assert client.variant("ranker", "u").config["model"] in {"control", "treatment"}


def test_values__changed_by_the_application__stay_what_they_are_for_others():
    served = document(flag("deep", default={"models": [{"name": "a"}]}))
    client = AssayClient.from_document(json.dumps(served))
    for found in (client.get_object("deep", {}, "u"), client.why("deep", "u")["value"]):
        found["models"][0]["name"] = "spoiled"
        found["models"].append("more")
    assert client.get_object("deep", {}, "u") == {"models": [{"name": "a"}]}


def test_assign__has_the_doors_shape(client):
    (answer,) = client.assign("u")
    assert set(answer) == {
        "unit",
        "experiment",
        "flag",
        "variant",
        "config",
        "value",
        "bucket",
        "reason",
        "stage",
        "shadow",
        "metadata",
    }
    assert client.assign("u", experiments=["ranker", "nonesuch"]) == [answer]
    assert not client.outbox.items


def test_why__explains_in_a_sentence_and_exposes_nobody(client):
    found = client.why("ranker", "u")
    assert (found["reason"], found["explanation"]) == (
        "experiment",
        "the unit's bucket belongs to this variant",
    )
    assert client.why("on", "u")["reason"] == "default"
    assert not client.outbox.items


def test_exposure__is_told_once_a_while_with_the_arm_that_owns_the_bucket():
    shadow = document(flag("dark", experiment=dark_experiment("shadow", key="dark")))
    client = AssayClient.from_document(json.dumps(shadow), clock=lambda: NOW)
    unit = next(u for u in ids(10_000) if client.why("dark", u).get("shadow"))
    for _ in range(3):
        assert client.variant("dark", unit).key == "control"
    (item,) = [item for kind, item in client.outbox.items if kind == "exposures"]
    assert (item["experiment"], item["variant"], item["units"]) == (
        "dark",
        "treatment",
        {"user": unit},
    )
    assert item["timestamp"] == NOW.isoformat()


def test_exposure__every_time__when_asked_so():
    client = AssayClient.from_document(json.dumps(a_document()), exposure_seconds=0)
    for _ in range(3):
        client.get_object("rank", {}, "u")
    assert len(client.outbox.items) == 3
    assert len({item["event_id"] for _, item in client.outbox.items}) == 3


def test_exposure__of_a_draft_or_of_nobody__is_not_told():
    draft = experiment("draft", iteration_id=None, stage="draft")
    served = document(flag("d", previews=[draft], overrides=[override(experiment="draft")]))
    client = AssayClient.from_document(json.dumps(served), clock=lambda: NOW)
    assert client.get_object("d", {}, "tester") == {"model": "treatment"}
    assert not client.outbox.items
    assert not client.expose("nonesuch", "u")


def test_override__ends_by_the_clients_own_clock():
    served = document(flag("rank", experiment=experiment(), overrides=[override("u")]))
    moment = [NOW]
    client = AssayClient.from_document(json.dumps(served), clock=lambda: moment[0])
    assert client.why("ranker", "u")["reason"] == "override"
    moment[0] = NOW + timedelta(days=60)
    assert client.why("ranker", "u")["reason"] == "experiment"


def test_clock__that_fails__gives_defaults_and_one_line(caplog):
    def broken():
        raise OSError("no clock")

    client = AssayClient.from_document(json.dumps(a_document()), clock=broken)
    assert [client.get_boolean("on", False, "u") for _ in range(5)] == [False] * 5
    assert client.variant("ranker", "u") is None
    assert not client.track("clicked", "u")
    assert len([record for record in caplog.records if "evaluate" in record.message]) == 1


def test_timed__tells_milliseconds_also_of_what_failed(client):
    with (
        pytest.raises(ZeroDivisionError),
        client.timed("ai_request", "u", experiment="ranker") as more,
    ):
        more["value"] = 3
        _ = 1 / 0
    ((kind, item),) = client.outbox.items
    assert (kind, item["event_type"], item["value"], item["experiment"]) == (
        "events",
        "ai_request",
        3,
        "ranker",
    )
    assert 0 <= item["latency_ms"] < 1000


def test_async__evaluation_needs_no_await_and_waiting_does(client):
    async def application():
        async with client:
            assert await client.await_ready()
            assert client.get_boolean("on", False, "u")
            assert await client.aflush()
            assert await client.arefresh()

    asyncio.run(application())


@pytest.mark.parametrize(
    "url", ["", "assay.example.com", "ftp://assay", "https://", "http://a/?x=1", None, 5]
)
def test_constructor__an_address_that_is_none__says_so(url):
    with pytest.raises(InvalidInput, match="url"):
        AssayClient(url, "key")


@pytest.mark.parametrize("key", ["", "two words", "кл", "line\nbreak", None])
def test_constructor__a_key_that_is_none__says_so(key):
    with pytest.raises(InvalidInput, match="key"):
        AssayClient("https://assay.example.com", key)


class Hostile:
    """An attribute that fails whatever is done with it."""

    def _fail(self, *_args):
        raise RuntimeError("hostile")

    __eq__ = __bool__ = __str__ = __iter__ = __len__ = __hash__ = __repr__ = _fail


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(Hostile)
    | st.builds(object),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
TARGETED = document(
    flag(
        "rank",
        experiment=experiment(
            targeting=[{"attribute": "country", "op": "in", "value": ["de", "fr"]}]
        ),
    ),
    flag("on", type="boolean", default=True),
    exclusions=[
        {
            "key": "staff",
            "ids": {"user": ["boss"]},
            "rules": [[{"attribute": "staff", "op": "eq", "value": True}]],
        }
    ],
)
RANDOM = AssayClient.from_document(json.dumps(TARGETED), outbox=Collected(10))


@given(
    name=anything,
    unit=anything,
    units=anything,
    attributes=anything,
    country=anything,
    default=anything,
)
def test_nothing_ever_raises(name, unit, units, attributes, country, default):
    for asked in ("rank", "ranker", name):
        for about in (
            {},
            {"units": units},
            {"attributes": attributes},
            {"attributes": {"country": country, "staff": country}},
        ):
            for kind in ("boolean", "string", "integer", "float", "object"):
                getattr(RANDOM, f"get_{kind}")(asked, default, unit, **about)
            RANDOM.variant(asked, unit, **about)
            RANDOM.why(asked, unit, **about)
            RANDOM.expose(asked, unit, **about)
            RANDOM.assign(unit, experiments=[asked], **about)
    assert RANDOM.evaluate(name, FlagType.BOOLEAN, default, unit).value is default or name == "on"
    RANDOM.track(name, unit, units=units, payload=attributes)
    RANDOM.observe(name, default, unit, units=units, context=attributes)
    with RANDOM.timed(name, unit, units=units) as more:
        more["payload"] = attributes
