"""OpenFeature's remote evaluation: answers, tags, keys, browsers, exposures, every kind of bad
input, and dead stores.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from django.db import OperationalError
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from config.processes.embedded import place
from experiments.api import ofrep
from experiments.core.clock import utc_now
from experiments.core.hashing import bucket_of
from experiments.core.protocols.ofrep import EXPOSURE_ATTRIBUTE, REASONS, UNIT_ATTRIBUTES, ErrorCode
from experiments.core.serving.exposure import from_line
from experiments.core.serving.keyring import KeyEntry, Keyring, new_key, verifier_of
from experiments.core.types import Environment, Phase, Reason, Scope
from experiments.selectors import serving
from experiments.selectors.serving import ServingState
from experiments.services.serving import spool
from tests.experiments.core.serving.catalogues import (
    SEED,
    arm_stopped,
    catalogue,
    dark_experiment,
    experiment,
    flag,
    override,
    rollout,
)
from tests.serving_cast import launched

URL = "/ofrep/v1/evaluate/flags"
REASON_WORDS = {"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "DEFAULT", "UNKNOWN"}
FAR = "2099-01-01T00:00:00+00:00"


def _key(scope, environment, number):
    selector = f"{number:012x}"
    text = new_key(scope, selector, "1" * 48)
    return text, KeyEntry(
        number, f"{scope} {environment}", selector, verifier_of(text), scope, environment, 1, "olga"
    )


KINDS = [(scope, environment) for environment in Environment for scope in Scope]
KEYS = {kind: _key(*kind, number) for number, kind in enumerate(KINDS, 1)}


@pytest.fixture(autouse=True)
def fresh_spool():
    spool.release()
    yield
    spool.release()


class App:
    """An application with a key, and what this process serves to it."""

    def __init__(self, *flags, stale=False, **changes):
        self.stale = stale
        self.publish(*flags, **changes)
        self.http = Client(raise_request_exception=False)
        self.scope, self.environment = Scope.SERVER, Environment.PRODUCTION

    def publish(self, *flags, version=3, **changes):
        """Serve these flags from now on."""
        ring = Keyring({entry.selector: entry for _, entry in KEYS.values()})
        served = catalogue(*flags, version=version, **changes)
        serving._state = ServingState(
            catalogue=served,
            keyring=ring,
            version=version,
            keyring_version=1,
            loaded_at=utc_now(),
            stale=self.stale,
        )

    def key(self):
        return KEYS[self.scope, self.environment][0]

    def send(self, path, body, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body)
        sent = {"Authorization": f"Bearer {self.key()}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.http.post(path, data, content_type="application/json", headers=sent)

    def one(self, key, context=None, **headers):
        return self.send(f"{URL}/{key}", {} if context is None else {"context": context}, **headers)

    def all(self, context=None, **headers):
        return self.send(URL, {} if context is None else {"context": context}, **headers)


def spooled():
    return [
        from_line(line)
        for path in spool.waiting()
        for line in path.read_bytes().splitlines(keepends=True)
    ]


def user_in(arm, made):
    """A user whose bucket belongs to this arm of an experiment's document."""
    owned = next(set(entry.get("main", [])) for entry in made["variants"] if entry["key"] == arm)
    return next(f"u{n}" for n in range(10_000) if bucket_of(made["seed"], f"u{n}") in owned)


def user_outside(made):
    """A user whose bucket no arm owns."""
    owned = {bucket for entry in made["variants"] for bucket in entry["main"]}
    return next(f"u{n}" for n in range(10_000) if bucket_of(made["seed"], f"u{n}") not in owned)


TYPES = {
    "boolean": (True, False),
    "string": ("да", "нет"),
    "integer": (1, 2),
    "float": (1.0, 2),
    "object": ({"k": [1.0, 1]}, {}),
}


def typed(kind):
    arms = experiment(f"e_{kind}")
    for arm, value in zip(arms["variants"], TYPES[kind], strict=True):
        arm["value"] = value
    return flag(f"f_{kind}", type=kind, default=TYPES[kind][1], experiment=arms)


# ---------------------------------------------------------------- one flag


def test_one__running_experiment__has_the_whole_shape():
    app = App(flag(experiment=experiment()))
    user = user_in("treatment", experiment())
    answer = app.one("rank", {"targetingKey": user})
    assert answer.status_code == 200 and answer["Content-Type"] == "application/json"
    assert answer["X-Assay-Catalogue"] == "3" and answer["X-Assay-Stale"] == "false"
    assert int(answer["Content-Length"]) == len(answer.content)
    body = answer.json()
    version = body["metadata"].pop("version")
    assert body == {
        "key": "rank",
        "value": {"model": "treatment"},
        "reason": "SPLIT",
        "variant": "treatment",
        "metadata": {
            "reason": "experiment",
            "experiment": "ranker",
            "iteration": 1,
            "stage": "running",
            "role": "main",
            "flagSetId": "production",
            "contextId": user,
        },
    }
    assert len(version) == 12


def test_one__with_a_trailing_slash_and_x_api_key__is_the_same_door():
    app = App(flag(experiment=experiment()))
    bare = app.one("rank", {"targetingKey": "u1"}).content
    assert app.send(f"{URL}/rank/", {"context": {"targetingKey": "u1"}}).content == bare
    answer = app.http.post(
        f"{URL}/rank",
        {"context": {"targetingKey": "u1"}},
        content_type="application/json",
        headers={"X-API-Key": app.key()},
    )
    assert answer.content == bare


@pytest.mark.parametrize(
    ("kind", "written"),
    [("float", b'"value":1.0,'), ("integer", b'"value":1,'), ("boolean", b'"value":true,')],
)
def test_one__typed_values__are_written_as_their_type(kind, written):
    app = App(typed(kind))
    user = user_in("control", experiment(f"e_{kind}"))
    assert written in app.one(f"f_{kind}", {"targetingKey": user}).content


def test_one__a_float_flags_whole_number__is_a_float_in_every_place():
    app = App(flag("f", type="float", default=2))
    assert b'"value":2.0,' in app.one("f").content and b'"value":2.0,' in app.all().content


def test_one__objects__keep_their_lists_and_number_types():
    app = App(typed("object"))
    user = user_in("control", experiment("e_object"))
    assert b'"value":{"k":[1.0,1]},' in app.one("f_object", {"targetingKey": user}).content


EVERY_REASON = {
    Reason.SWITCHED_OFF: (flag(enabled=False, experiment=experiment()), {}, "DISABLED", "default"),
    Reason.OVERRIDE: (
        flag(experiment=experiment(), overrides=[override(until=FAR)]),
        {"targetingKey": "tester"},
        "TARGETING_MATCH",
        "treatment",
    ),
    Reason.EXPERIMENT: (
        flag(experiment=experiment()),
        {"targetingKey": user_in("treatment", experiment())},
        "SPLIT",
        "treatment",
    ),
    Reason.NOT_TARGETED: (
        flag(
            experiment=experiment(targeting=[{"attribute": "country", "op": "eq", "value": "DE"}])
        ),
        {"targetingKey": "u1", "country": "FR"},
        "DEFAULT",
        "default",
    ),
    Reason.NOT_IN_EXPERIMENT: (
        flag(experiment=experiment(traffic=10)),
        {"targetingKey": user_outside(experiment(traffic=10))},
        "DEFAULT",
        "default",
    ),
    Reason.ARM_STOPPED: (
        flag(experiment=arm_stopped(experiment())),
        {"targetingKey": user_in("treatment", experiment())},
        "DEFAULT",
        "default",
    ),
    Reason.UNIT_MISSING: (
        flag(experiment=experiment(unit_type="tenant")),
        {"targetingKey": "u1"},
        "DEFAULT",
        "default",
    ),
    Reason.ROLLOUT: (flag(rollout=rollout()), {"targetingKey": "u1"}, "TARGETING_MATCH", "winner"),
    Reason.HOLDBACK: (
        flag(rollout=rollout(holdback=list(range(1000)))),
        {"targetingKey": "u1"},
        "SPLIT",
        "loser",
    ),
    Reason.DEFAULT: (flag(), {}, "DEFAULT", "default"),
}


@pytest.mark.parametrize("reason", EVERY_REASON, ids=[reason.value for reason in EVERY_REASON])
def test_one__each_step_that_decides__has_its_word_and_keeps_ours_in_the_metadata(reason):
    served, context, word, name = EVERY_REASON[reason]
    body = App(served).one("rank", context).json()
    assert (body["metadata"]["reason"], body["reason"], body["variant"]) == (
        reason.value,
        word,
        name,
    )


def test_one__excluded_and_held_out__say_why():
    staff = {"key": "staff", "ids": {"user": ["boss"]}, "rules": []}
    app = App(
        flag(experiment=experiment()),
        exclusions=[staff],
        holdout={"unit_type": "user", "seed": "ff", "buckets": list(range(1000)), "until": None},
    )
    boss, other = (
        app.one("rank", {"targetingKey": "boss"}).json(),
        app.one("rank", {"targetingKey": "u1"}).json(),
    )
    assert (boss["reason"], boss["metadata"]["reason"]) == ("DEFAULT", "excluded")
    assert (other["reason"], other["metadata"]["reason"]) == ("DEFAULT", "holdout")


def test_reasons__cover_all_of_ours_with_the_protocols_words():
    assert set(REASONS) == set(Reason) and set(REASONS.values()) <= REASON_WORDS


def test_reasons__are_those_of_the_page():
    page = (place.PROJECT / "docs" / "openfeature.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (`[a-z_`, ]+`) \|$", page, re.MULTILINE)
    told = {Reason(name): word for word, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == {
        reason: word for reason, word in REASONS.items() if reason is not Reason.UNKNOWN_FLAG
    }
    assert all(
        word in page for word in (EXPOSURE_ATTRIBUTE, *UNIT_ATTRIBUTES, *ErrorCode, "network-first")
    )


def test_shadow_dark_launch__serves_control_and_names_the_treatment_in_flat_metadata():
    shadow = dark_experiment("shadow")
    dark = set(shadow["variants"][1]["dark"])
    user = next(f"u{n}" for n in range(100_000) if bucket_of(SEED, f"u{n}") in dark)
    body = App(flag(experiment=shadow)).one("rank", {"targetingKey": user}).json()
    assert (
        body["variant"] == "control"
        and body["metadata"]["treatment"] == "treatment"
        and body["metadata"]["shadow"] is True
    )
    assert all(isinstance(value, bool | str | int | float) for value in body["metadata"].values())


# ---------------------------------------------------------------- contexts


def test_units__tenant_and_session__come_from_attributes():
    flags = [
        flag(kind, experiment=experiment(kind, unit_type=kind))
        for kind in ("tenant", "session", "visitor")
    ]
    app = App(*flags)
    context = {"tenantId": "acme", "sessionId": "s9"}
    assert {
        app.one(kind, context).json()["metadata"]["reason"]
        for kind in ("tenant", "session", "visitor")
    } == {"experiment"}


def test_targeting__sees_every_attribute_the_units_included():
    rule = [
        {"attribute": "targetingKey", "op": "starts_with", "value": "u"},
        {"attribute": "tenantId", "op": "eq", "value": "acme"},
    ]
    app = App(flag(experiment=experiment(targeting=rule)))
    assert (
        app.one("rank", {"targetingKey": "u1", "tenantId": "acme"}).json()["metadata"]["reason"]
        == "experiment"
    )
    assert app.one("rank", {"targetingKey": "u1"}).json()["metadata"]["reason"] == "not_targeted"


@pytest.mark.parametrize(
    "context", [None, {}, {"targetingKey": None}, {"targetingKey": ""}, {"tenantId": "acme"}]
)
def test_targeting_key_missing__is_an_error_where_the_user_decides(context):
    app = App(flag(experiment=experiment()))
    answer = app.one("rank", context)
    assert answer.status_code == 400
    assert (answer.json()["key"], answer.json()["errorCode"]) == ("rank", "TARGETING_KEY_MISSING")
    assert "targetingKey" in answer.json()["errorDetails"]


def test_targeting_key_missing__flags_that_need_no_user_are_served():
    app = App(
        flag("plain"),
        flag("off", enabled=False, experiment=experiment("e2")),
        flag("done", rollout=rollout()),
    )
    assert [app.one(key).json()["variant"] for key in ("plain", "off", "done")] == [
        "default",
        "default",
        "winner",
    ]


def test_missing_tenant_or_session__gives_the_default():
    app = App(
        flag("t", experiment=experiment("e1", unit_type="tenant")),
        flag("s", experiment=experiment("e2", unit_type="session")),
    )
    for key in ("t", "s"):
        answer = app.one(key, {"targetingKey": "u1"})
        assert (answer.status_code, answer.json()["metadata"]["reason"]) == (200, "unit_missing")
        assert answer.json()["value"] == {"model": "default"}


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ("x" * 257, "257"),
        ("a\u200bb", "zero-width"),
        ("a\nb", "control"),
        (7.5, "7.5"),
        (["u"], "a list"),
        (2**53, "2^53"),
    ],
)
def test_unit_ids__that_cannot_be_kept__cost_only_what_needs_them(identity, said):
    named = {"user": "targetingKey", "tenant": "tenantId", "session": "sessionId"}
    flags = [flag(kind, experiment=experiment(f"e-{kind}", unit_type=kind)) for kind in named]
    for kind, name in named.items():
        found = {
            one["key"]: one
            for one in App(*flags)
            .all({"targetingKey": "u", "tenantId": "t", "sessionId": "s"} | {name: identity})
            .json()["flags"]
        }
        bad = found.pop(kind)
        assert all(one["reason"] == "SPLIT" for one in found.values())
        told = bad["errorDetails"] if kind == "user" else bad["metadata"]["unfit"]
        assert said in told and f"context.{name}" in told
        assert bad.get("errorCode", bad.get("metadata", {}).get("reason")) == (
            "INVALID_CONTEXT" if kind == "user" else "unit_missing"
        )


@pytest.mark.parametrize("identity", ["x" * 256, "Жанна 🙂", "a b", "0"])
def test_unit_ids__otherwise__are_kept_exactly_as_sent(identity):
    app = App(flag(experiment=experiment()))
    assert app.one("rank", {"targetingKey": identity}).json()["metadata"]["contextId"] == identity
    assert spooled()[0].unit_id == identity


def test_context_id__is_whichever_unit_there_is():
    app = App(flag())
    contexts = [
        {"targetingKey": "u", "tenantId": "t"},
        {"tenantId": "t", "sessionId": "s"},
        {"sessionId": "s"},
        {},
    ]
    assert [
        app.one("rank", context).json()["metadata"].get("contextId") for context in contexts
    ] == ["u", "t", "s", None]


# ---------------------------------------------------------------- exposures


def test_one__is_an_exposure_of_that_unit_in_that_arm():
    made = experiment()
    user = user_in("treatment", made)
    App(flag(experiment=made)).one("rank", {"targetingKey": user})
    (met,) = spooled()
    assert (met.experiment_id, met.iteration_id, met.variant_id, met.unit_id) == (7, 70, 72, user)
    assert (met.bucket, met.phase, met.environment) == (
        bucket_of(SEED, user),
        Phase.MAIN,
        Environment.PRODUCTION,
    )


@pytest.mark.parametrize(("wanted", "recorded"), [("none", 0), ("queued", 1), (None, 1)])
def test_one__the_context_says_what_is_remembered(wanted, recorded):
    App(flag(experiment=experiment())).one("rank", {"targetingKey": "u1", "assayExposure": wanted})
    assert len(spooled()) == recorded


def test_one__durable_without_a_database__is_refused_with_whole_seconds_to_wait():
    spool.set_durable_sink(None)
    answer = App(flag(experiment=experiment())).one(
        "rank", {"targetingKey": "u1", "assayExposure": "durable"}
    )
    assert (answer.status_code, answer.json()["errorCode"]) == (503, "GENERAL")
    assert answer["Retry-After"].isdigit()


@pytest.mark.parametrize("wanted", ["sometimes", 1, True, ["none"]])
def test_one__unknown_exposure__is_an_invalid_context(wanted):
    answer = App(flag()).one("rank", {"assayExposure": wanted})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_CONTEXT")


def test_all__is_no_exposure_whatever_the_context_says():
    App(flag(experiment=experiment())).all({"targetingKey": "u1", "assayExposure": "queued"})
    assert spooled() == []


# ---------------------------------------------------------------- all flags


def test_all__every_flag_of_the_catalogue__as_if_asked_alone():
    flags = [
        flag("running", experiment=experiment()),
        flag("done", rollout=rollout()),
        flag("plain"),
        flag("off", enabled=False),
    ]
    app = App(*flags)
    body = app.all({"targetingKey": "u1"}).json()
    assert [one["key"] for one in body["flags"]] == ["running", "done", "plain", "off"]
    assert body["flags"] == [
        app.one(one["key"], {"targetingKey": "u1"}).json() for one in body["flags"]
    ]
    assert body["metadata"] == {"flagSetId": "production", "version": "3", "contextId": "u1"}


def test_all__without_a_user__fails_only_the_flags_that_need_one():
    app = App(flag("running", experiment=experiment()), flag("plain"))
    failed, plain = app.all().json()["flags"]
    assert failed == app.one("running").json() and failed["errorCode"] == "TARGETING_KEY_MISSING"
    assert plain["value"] == {"model": "default"}


def test_all__no_flags__is_an_empty_list():
    assert App().all().json()["flags"] == []


def test_all__same_answer__is_not_sent_again():
    app = App(flag(experiment=experiment()))
    first = app.all({"targetingKey": "u1"})
    again = app.all({"targetingKey": "u1"}, If_None_Match=first["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert again["Access-Control-Allow-Origin"] == "*" and again["X-Assay-Catalogue"] == "3"


@pytest.mark.parametrize("sent", ["W/{}", "{}", '"other", {}', '{} , W/"x"'])
def test_all__tag_among_others_or_weakened__is_known(sent):
    app = App(flag())
    assert (
        app.all({}, If_None_Match=sent.format(app.all({})["ETag"].removeprefix("W/"))).status_code
        == 304
    )


def test_all__the_tag_follows_the_answer_and_not_the_catalogue():
    made = flag(experiment=experiment())
    app = App(made)
    first = app.all({"targetingKey": "u1"})
    app.publish(made, version=4)
    assert app.all({"targetingKey": "u1"}, If_None_Match=first["ETag"]).status_code == 304
    app.publish(
        made | {"experiment": experiment(targeting=[{"attribute": "x", "op": "not_exists"}])},
        version=5,
    )
    same_values = app.all({"targetingKey": "u1"}, If_None_Match=first["ETag"])
    assert same_values.status_code == 304 and same_values["X-Assay-Catalogue"] == "5"
    app.publish(made | {"enabled": False}, version=6)
    assert app.all({"targetingKey": "u1"}, If_None_Match=first["ETag"]).status_code == 200


def test_all__other_attributes_with_the_old_tag__get_their_own_answer():
    pro = experiment(targeting=[{"attribute": "plan", "op": "eq", "value": "pro"}])
    app = App(flag(experiment=pro))
    free = app.all({"targetingKey": "u1", "plan": "free"})
    paid = app.all({"targetingKey": "u1", "plan": "pro"}, If_None_Match=free["ETag"])
    assert paid.status_code == 200 and paid["ETag"] != free["ETag"]
    assert (
        app.all({"targetingKey": "u2", "plan": "free"}, If_None_Match=free["ETag"]).status_code
        == 200
    )


def test_version__changes_with_its_own_flag_only():
    app = App(flag("a"), flag("b"))
    before = {one["key"]: one["metadata"]["version"] for one in app.all().json()["flags"]}
    app.publish(flag("a"), flag("b", default={"model": "other"}), version=4)
    after = {one["key"]: one["metadata"]["version"] for one in app.all().json()["flags"]}
    assert after["a"] == before["a"] and after["b"] != before["b"]


def test_values__of_a_new_catalogue__are_served_at_once():
    app = App(flag(default={"n": 1}))
    assert app.one("rank").json()["value"] == {"n": 1}
    app.publish(flag(default={"n": 2}))
    assert app.one("rank").json()["value"] == {"n": 2}


# ---------------------------------------------------------------- keys


def test_client_key__sees_only_what_clients_may_see():
    app = App(flag("open", client_visible=True), flag("secret"))
    app.scope = Scope.CLIENT
    assert [one["key"] for one in app.all().json()["flags"]] == ["open"]
    hidden, unknown = app.one("secret"), app.one("nothing")
    assert hidden.status_code == unknown.status_code == 404
    assert (
        hidden.json()["errorDetails"].replace("secret", "nothing") == unknown.json()["errorDetails"]
    )


def test_test_key__gets_previews_in_its_own_flag_set():
    app = App(flag(previews=[experiment("next", stage="draft", iteration_id=None)]))
    app.environment = Environment.TEST
    body = app.one("rank", {"targetingKey": "u1"}).json()
    assert (body["metadata"]["reason"], body["metadata"]["flagSetId"]) == ("preview", "test")
    app.environment = Environment.PRODUCTION
    assert app.one("rank", {"targetingKey": "u1"}).json()["metadata"]["flagSetId"] == "production"


@pytest.mark.parametrize("path", [f"{URL}/rank", URL])
@pytest.mark.parametrize(
    "headers",
    [{"Authorization": ""}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}],
)
def test_no_key_or_a_wrong_one__is_closed(path, headers):
    answer = App(flag()).send(path, {}, **headers)
    assert (answer.status_code, answer.json()["errorCode"]) == (401, "GENERAL")
    assert (
        answer["WWW-Authenticate"].startswith("Bearer")
        and answer["Access-Control-Allow-Origin"] == "*"
    )


def test_revoked_key__is_closed():
    app = App(flag())
    revoked = KEYS[Scope.SERVER, Environment.PRODUCTION][1].selector
    ring = serving._state.keyring
    serving._state = replace(
        serving._state,
        keyring=Keyring({name: entry for name, entry in ring.entries.items() if name != revoked}),
    )
    assert app.one("rank").status_code == 401


@pytest.mark.parametrize("scope", sorted(set(Scope) - {Scope.SERVER, Scope.CLIENT}))
def test_key_of_another_scope__is_refused_by_name(scope):
    app = App(flag())
    app.scope = scope
    for answer in (app.one("rank"), app.all()):
        assert (answer.status_code, answer.json()["errorCode"]) == (403, "GENERAL")
        assert scope.value in answer.json()["errorDetails"]


# ---------------------------------------------------------------- browsers


@pytest.mark.parametrize("path", [f"{URL}/rank", URL])
def test_preflight__is_answered_without_a_key(path):
    app = App(flag())
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = app.http.options(path, headers=asked)
    allowed = {name.strip().lower() for name in answer["Access-Control-Allow-Headers"].split(",")}
    assert answer.status_code == 204 and answer.content == b""
    assert {"authorization", "x-api-key", "content-type", "if-none-match"} <= allowed
    assert (
        "POST" in answer["Access-Control-Allow-Methods"]
        and answer["Access-Control-Allow-Origin"] == "*"
    )


def test_answers__expose_their_tag_to_scripts():
    answer = App(flag()).all({}, Origin="https://shop.example")
    assert (
        answer["Access-Control-Allow-Origin"] == "*"
        and "ETag" in answer["Access-Control-Expose-Headers"]
    )


# ---------------------------------------------------------------- errors


def failed(answer, status, code):
    body = answer.json()
    assert (answer.status_code, body["errorCode"]) == (status, code), answer.content
    assert set(body) == {"key", "errorCode", "errorDetails"} and all(
        isinstance(value, str) for value in body.values()
    )
    assert (
        answer["Content-Type"] == "application/json"
        and answer["Access-Control-Allow-Origin"] == "*"
    )
    return body


@pytest.mark.parametrize(
    "key", ["nothing", "no/such", "a b", "ключ", "x" * 500, "a%00b", "a%0A", "/"]
)
def test_unknown_flag__is_not_found_whatever_it_is_called(key):
    body = failed(App(flag()).one(key), 404, "FLAG_NOT_FOUND")
    assert len(body["key"]) <= 128


def test_known_key_with_a_line_break__is_another_key():
    failed(App(flag()).one("rank%0A"), 404, "FLAG_NOT_FOUND")


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "trace"])
@pytest.mark.parametrize("path", [f"{URL}/rank", URL])
def test_other_methods__are_refused_in_json(method, path):
    answer = getattr(App(flag()).http, method)(path)
    failed(answer, 405, "GENERAL")
    assert answer["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    "path", ["/ofrep/v1/nothing", "/ofrep/", "/ofrep/v1/evaluate", "/ofrep/v2/evaluate/flags"]
)
def test_other_addresses__are_not_found_in_json(path):
    failed(App(flag()).http.get(path), 404, "GENERAL")


def test_wrong_host__is_refused_in_json():
    failed(App(flag()).one("rank", Host="evil.example"), 400, "GENERAL")


def test_what_nobody_foresaw__is_said_in_json_with_the_key(monkeypatch):
    def broken(*_args, **_named):
        raise ZeroDivisionError

    app = App(flag())
    monkeypatch.setattr(ofrep, "asked_in", broken)
    assert failed(app.one("rank"), 500, "GENERAL")["key"] == "rank"
    assert failed(app.all(), 500, "GENERAL")["key"] == ""


def nested(depth):
    return ('{"context":{"a":' + "[" * (depth - 2) + "]" * (depth - 2) + "}}").encode()


BAD_BODIES = {
    "empty": (b"", "empty"),
    "broken": (b'{"context":', "not JSON"),
    "not utf-8": (b'{"context":{"a":"\xff"}}', "UTF-8"),
    "gzip": (b"\x1f\x8b\x08\x00" + b"\0" * 20, "UTF-8"),
    "too deep": (nested(17), "16"),
    "too many keys": (json.dumps({"context": {f"k{n}": n for n in range(201)}}).encode(), "200"),
    "long string": (json.dumps({"context": {}, "b": {"a": "x" * 8193}}).encode(), "8,192"),
    "double key": (b'{"context":{"a":1,"a":2}}', "twice"),
    "nul": (b'{"context":{},"b":{"a":"\\u0000"}}', "NUL"),
    "half a pair": (b'{"context":{},"b":{"a":"\\ud800"}}', "surrogate"),
    "nan": (b'{"context":{},"b":{"a":NaN}}', "NaN"),
    "infinity": (b'{"context":{},"b":{"a":-Infinity}}', "Infinity"),
    "huge number": (b'{"context":{},"b":{"a":1e999}}', "beyond"),
    "long integer": (b'{"context":{},"a":9223372036854775808}', "64 bits"),
}


@pytest.mark.parametrize("path", [f"{URL}/rank", URL])
@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_bodies__are_parse_errors_that_say_what_was_wrong(name, path):
    body, said = BAD_BODIES[name]
    assert said in failed(App(flag()).send(path, body), 400, "PARSE_ERROR")["errorDetails"]


@pytest.mark.parametrize(
    "body", [[], "x", 7, None, {"context": []}, {"context": "u1"}, {"context": 7}]
)
def test_bodies_of_another_shape__are_invalid_contexts(body):
    for path in (f"{URL}/rank", URL):
        failed(App(flag()).send(path, body), 400, "INVALID_CONTEXT")


def test_bodies__just_within_the_limits__are_taken():
    app = App(flag())
    assert app.send(f"{URL}/rank", nested(16)).status_code == 200
    assert app.one("rank", {f"k{n}": n for n in range(200)}).status_code == 200
    assert app.one("rank", {"a": "x" * 8192}).status_code == 200
    assert app.send(f"{URL}/rank", {"context": {}, "of_a_later_protocol": 1}).status_code == 200


def test_large_bodies__are_refused_in_json_and_read_to_their_end():
    app = App(flag())
    for path in (f"{URL}/rank", URL):
        assert "32,768" in failed(app.send(path, b" " * 32_769), 413, "GENERAL")["errorDetails"]
        failed(app.send(path, b" " * 4_000_000), 413, "GENERAL")


def test_body_in_chunks__is_refused_rather_than_read_as_empty():
    failed(App(flag()).one("rank", Transfer_Encoding="chunked"), 400, "PARSE_ERROR")


ANY_KEY = st.sampled_from(
    ["targetingKey", "tenantId", "sessionId", "assayExposure", "country", "version"]
) | st.text(max_size=8)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_KEY, inner, max_size=3),
    max_leaves=8,
)
BODIES = st.builds(
    lambda context: json.dumps({"context": context}).encode(),
    st.dictionaries(ANY_KEY, ANY_VALUE, max_size=6),
)


@hypothesis_settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    body=BODIES | st.binary(max_size=200) | ANY_VALUE.map(lambda value: json.dumps(value).encode()),
    key=st.text(max_size=20),
)
def test_no_500__whatever_is_sent(body, key):
    rule = [{"attribute": "version", "op": "gt", "value": 3}]
    app = App(
        flag(experiment=experiment(targeting=rule)),
        flag("plain"),
        flag("t", experiment=experiment("t", unit_type="tenant")),
    )
    for path in (f"{URL}/rank", f"{URL}/t", URL, f"{URL}/{key}"):
        answer = app.send(path, body)
        assert answer.status_code in {200, 400, 404}, (answer.status_code, answer.content, body)
        document = answer.json()
        for one in document.get("flags", [document]):
            assert set(one) in (
                {"key", "errorCode", "errorDetails"},
                {"key", "value", "reason", "variant", "metadata"},
            )


# ---------------------------------------------------------------- dead stores


def _refuse(*_args, **_named):
    raise OperationalError("connection refused")


def test_stale__is_said_in_metadata_and_header_and_not_in_the_tag():
    made = flag(experiment=experiment())
    before = App(made).all({"targetingKey": "u1"})
    stale = App(made, stale=True)
    after = stale.all({"targetingKey": "u1"})
    assert after["X-Assay-Stale"] == "true" and before["X-Assay-Stale"] == "false"
    assert after["ETag"] == before["ETag"]
    assert after.content.replace(b',"stale":true', b"") == before.content
    assert stale.one("rank", {"targetingKey": "u1"}).json()["metadata"]["stale"] is True
    assert stale.all({"targetingKey": "u1"}, If_None_Match=before["ETag"]).status_code == 304


@pytest.fixture
def published(doors):
    launched("checkout")
    doors.publish()
    client = doors.client()
    return lambda path, body: client.post(path, body, format="json")


def test_one_and_all__ask_neither_the_database_nor_redis(
    published, django_assert_num_queries, settings
):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with django_assert_num_queries(0):
        assert published(f"{URL}/checkout", {"context": {"targetingKey": "u1"}}).status_code == 200
        assert published(URL, {"context": {"targetingKey": "u1"}}).status_code == 200


def test_both_stores_down__a_new_process_answers_the_same_from_its_files(
    published, monkeypatch, settings
):
    context = {"context": {"targetingKey": "u1"}}
    before = [published(path, context).content for path in (f"{URL}/checkout", URL)]
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(serving, "_newest", _refuse)
    serving.forget()
    answers = [published(path, context) for path in (f"{URL}/checkout", URL)]
    assert [answer["X-Assay-Stale"] for answer in answers] == ["true", "true"]
    assert [answer.content.replace(b',"stale":true', b"") for answer in answers] == before
    assert all(b'"stale":true' in answer.content for answer in answers)


@pytest.mark.django_db
def test_never_heard_of_a_catalogue__is_not_the_same_as_no_flags(monkeypatch):
    monkeypatch.setattr(serving, "_newest", _refuse)
    serving.forget()
    answer = Client().post(
        URL, {}, content_type="application/json", headers={"Authorization": "Bearer x"}
    )
    failed(answer, 503, "GENERAL")
    app = App(flag(), stale=True)
    serving._state = replace(serving._state, version=0)
    for answer in (app.one("rank"), app.all()):
        failed(answer, 503, "GENERAL")
        assert answer["Retry-After"].isdigit()
