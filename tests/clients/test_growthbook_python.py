"""PyPI's GrowthBook SDK against a live installation: local and remote evaluation, tags, and the
exposures that it reports.
"""

from __future__ import annotations

import time

import pytest
from growthbook import GrowthBook
from growthbook.growthbook import feature_repo
from growthbook.plugins import growthbook_tracking_plugin

ARMS = [
    {"name": name, "traffic_allocation": 50, "value": {"arm": name}}
    for name in ("control", "treatment")
]


@pytest.fixture(scope="module")
def served(live):
    """Experiments that clients may see: of users, of tenants, and one whose targeting SDKs cannot
    evaluate alike.
    """
    live.experiment("gb_users", variants=ARMS, client_visible=True)
    live.experiment("gb_tenants", variants=ARMS, client_visible=True, unit_type="tenant")
    adult = [{"attribute": "age", "op": "gte", "value": 18}]
    live.experiment("gb_remote", variants=ARMS, client_visible=True, targeting=adult)
    live.experiment("gb_secret", variants=ARMS)
    live.settle()
    return live


@pytest.fixture(autouse=True)
def nothing_cached():
    feature_repo.clear_cache()
    feature_repo._etag_cache.clear()


def book(live, attributes, key="client", **options):
    made = GrowthBook(
        api_host=live.url, client_key=live.keys.get(key, key), attributes=attributes, **options
    )
    made.load_features()
    return made


def ours(live, units, experiment, **attributes):
    body = {
        "units": units,
        "experiments": [experiment],
        "attributes": attributes,
        "exposure": "none",
    }
    return live.post("/api/v1/assignments", body, key="server").json()["assignments"][0]


def test_local__decides_as_the_assignment_door_does(served):
    for number in range(40):
        units = {"user": f"пользователь {number} 🙂", "tenant": f"t{number}"}
        sdk = book(served, {"id": units["user"], "tenantId": units["tenant"]})
        for key in ("gb_users", "gb_tenants"):
            found = sdk.eval_feature(key)
            assert (found.value, found.experimentResult.key) == (
                ours(served, units, key)["value"],
                ours(served, units, key)["variant"],
            )
        assert sdk.get_feature_value("gb_secret", "fallback") == "fallback"
        sdk.destroy()


def test_remote__decides_what_local_evaluation_cannot(served):
    local = book(served, {"id": "u1", "age": 40})
    assert local.get_feature_value("gb_remote", "fallback") == "fallback"
    for number, age in ((1, 40), (2, 17), (3, None)):
        known = {"age": age} if age is not None else {}
        remote = book(served, {"id": f"u{number}"} | known, remote_eval=True)
        wanted = ours(served, {"user": f"u{number}"}, "gb_remote", **known)
        assert remote.get_feature_value("gb_remote", "fallback") == wanted["value"]
        assert (wanted["variant"] is None) == (age != 40)
        remote.destroy()
    local.destroy()


def test_features__are_kept_where_the_tag_says_that_they_are_the_same(served, caplog):
    sdk = book(served, {"id": "u1"})
    before = sdk.eval_feature("gb_users").value
    with caplog.at_level("DEBUG", logger="growthbook"):
        sdk.load_features(force_refresh=True)
    assert any("304" in record.message for record in caplog.records)
    assert sdk.eval_feature("gb_users").value == before
    sdk.destroy()


@pytest.mark.parametrize("key", ["assay_client_000000000000_" + "0" * 48, "ingest"])
def test_wrong_key__leaves_the_caller_with_its_fallback(served, key):
    sdk = book(served, {"id": "u1"}, key=key)
    assert sdk.get_feature_value("gb_users", "fallback") == "fallback"
    sdk.destroy()


@pytest.mark.parametrize("remote", [False, True])
def test_exposures__of_both_ways__arrive_under_the_variant_shown(served, remote):
    word = "remote" if remote else "local"
    shown = {}
    for number in range(6):
        units = {"user": f"{word} {number}", "tenant": f"{word} t{number}"}
        plugin = growthbook_tracking_plugin(ingestor_host=served.url, batch_size=100)
        sdk = book(
            served,
            {"id": units["user"], "tenantId": units["tenant"]},
            remote_eval=remote,
            plugins=[plugin],
        )
        for key, unit_type in (("gb_users", "user"), ("gb_tenants", "tenant")):
            shown[key, units[unit_type]] = sdk.get_feature_value(key, None)["arm"]
        sdk.log_event("Purchase", {"amount": 1})
        sdk.destroy()
    assert _recorded(served, word, len(shown)) == shown


def _recorded(live, word, count, seconds=10):
    """What the installation has kept; the SDK sends in threads of its own."""
    query = """
        SELECT e.key, a.user_id, v.key, a.phase FROM experiment_assignments a
        JOIN experiment_variants v USING (variant_id) JOIN experiments e ON e.experiment_id = a.experiment_id
        WHERE a.user_id LIKE %s"""
    end = time.monotonic() + seconds
    while len(rows := live.sql(query, f"{word} %")) < count and time.monotonic() < end:
        time.sleep(0.1)
    assert {phase for *_, phase in rows} == {"main"}
    return {(experiment, unit): variant for experiment, unit, variant, _ in rows}
