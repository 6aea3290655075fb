"""npm's GrowthBook SDK against a live installation: local and remote evaluation, and the exposures
that it reports.
"""

from __future__ import annotations

import time

import pytest

from tests.clients.node import ask, asks_node

pytestmark = asks_node

ARMS = [
    {"name": name, "traffic_allocation": 50, "value": {"arm": name}}
    for name in ("control", "treatment")
]
FLAGS = ["gj_users", "gj_tenants", "gj_remote", "gj_secret"]


@pytest.fixture(scope="module")
def served(live):
    """Experiments that clients may see: of users, of tenants, and one whose targeting SDKs cannot
    evaluate alike.
    """
    live.experiment("gj_users", variants=ARMS, client_visible=True)
    live.experiment("gj_tenants", variants=ARMS, client_visible=True, unit_type="tenant")
    adult = [{"attribute": "age", "op": "gte", "value": 18}]
    live.experiment("gj_remote", variants=ARMS, client_visible=True, targeting=adult)
    live.experiment("gj_secret", variants=ARMS)
    live.settle()
    return live


def answers(live, users, *, remote, key="client"):
    question = {
        "url": live.url,
        "key": live.keys.get(key, key),
        "remote": remote,
        "users": users,
        "flags": FLAGS,
    }
    return ask("growthbook.mjs", question)


def ours(live, user):
    body = {
        "units": {"user": user["id"], "tenant": user["tenantId"]},
        "attributes": {"age": user["age"]},
        "exposure": "none",
    }
    found = live.post("/api/v1/assignments", body).json()["assignments"]
    return {answer["experiment"]: answer for answer in found}


@pytest.mark.parametrize("remote", [False, True])
def test_sdk__decides_as_the_assignment_door_does__and_reports_what_it_showed(served, remote):
    word = "удалённо" if remote else "локально"
    users = [
        {"id": f"{word} {n} 🙂", "tenantId": f"{word} t{n}", "age": 10 + 2 * n} for n in range(10)
    ]
    shown = {}
    for user, theirs in zip(users, answers(served, users, remote=remote), strict=True):
        assert theirs["success"]
        mine = ours(served, user)
        for key in ("gj_users", "gj_tenants"):
            assert theirs["answers"][key] == [mine[key]["value"], mine[key]["variant"]]
            shown[key, user["id" if key == "gj_users" else "tenantId"]] = mine[key]["variant"]
        far = [mine["gj_remote"]["value"] or {}, mine["gj_remote"]["variant"]]
        assert theirs["answers"]["gj_remote"] == (far if remote else ["fallback", None])
        if remote and mine["gj_remote"]["variant"]:
            shown["gj_remote", user["id"]] = mine["gj_remote"]["variant"]
        assert theirs["answers"]["gj_secret"] == ["fallback", None]
    assert _recorded(served, word, len(shown)) == shown


def test_sdk__wrong_key__leaves_the_caller_with_its_fallback(served):
    (found,) = answers(
        served, [{"id": "u1"}], remote=False, key="assay_client_000000000000_" + "0" * 48
    )
    assert not found["success"]
    assert found["answers"] == {flag: ["fallback", None] for flag in FLAGS}


def _recorded(live, word, count, seconds=10):
    query = """
        SELECT e.key, a.user_id, v.key FROM experiment_assignments a
        JOIN experiment_variants v USING (variant_id) JOIN experiments e ON e.experiment_id = a.experiment_id
        WHERE a.user_id LIKE %s"""
    end = time.monotonic() + seconds
    while len(rows := live.sql(query, f"{word} %")) < count and time.monotonic() < end:
        time.sleep(0.1)
    return {(experiment, unit): variant for experiment, unit, variant in rows}
