"""The SDK against a live server: the same answers, told things arrive, and code's experiments pass
the same gates.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from experiments.core.errors import Forbidden, InvalidInput, NotAuthenticated, NotFound, Refused
from experiments.sdk import (
    AssayClient,
    Experiment,
    ExperimentManager,
    ExperimentMetricsCollector,
    ExperimentService,
    ServerPlatform,
    StatisticalAnalyzer,
    Unreachable,
    Variant,
    get_variant,
    track_llm_call,
    track_outcome,
    track_rag_retrieval,
    use,
)
from experiments.sdk.tenants import ExperimentRegistry
from tests.experiments.sdk.test_client import ids


@pytest.fixture
def connect(live):
    made = []

    def _connect(key="server", **options):
        client = AssayClient(
            live.url, live.keys[key], **{"poll_seconds": 0.3, "send_seconds": 60.0} | options
        )
        made.append(client)
        assert client.wait_ready(10)
        return client

    yield _connect
    for client in made:
        client.close()


@pytest.fixture
def platform(live, connect):
    live.flag(f"ready-{time.time_ns()}")
    live.settle()
    platform = ServerPlatform(connect(), live.url, live.keys["management"])
    use(platform)
    yield platform
    use(None)


def two(name, **fields):
    return Experiment(
        name,
        "a comparison",
        [Variant("control", 0.5, {"k": 3}), Variant("treatment", 0.5, {"k": 5})],
        **fields,
    )


def test_answers__are_the_doors_own(live, connect):
    live.experiment("sdk_same", traffic_allocation=0.6)
    live.experiment("sdk_tenants", unit_type="tenant")
    live.settle()
    client = connect()
    assert client.refresh()
    units = ids(1_000)
    body = {
        "batch": [{"units": {"user": u, "tenant": f"t-{u}"}} for u in units],
        "experiments": ["sdk_same", "sdk_tenants"],
    }
    doors = live.post("/api/v1/assignments", body).json()["results"]
    ours = [
        client.assign(
            units={"user": u, "tenant": f"t-{u}"}, experiments=["sdk_same", "sdk_tenants"]
        )
        for u in units
    ]
    assert ours == doors
    assert {answer["variant"] for (answer, _) in ours} == {None, "control", "treatment"}


def test_kill_switch__reaches_the_client_within_a_poll(live, connect):
    live.flag("sdk_kill", type="boolean", default=False)
    live.settle()
    client = connect()
    assert client.refresh()
    assert client.get_boolean("sdk_kill", True, "u") is False
    live.manage("PATCH", "/api/v1/flags/sdk_kill", {"default": True, "reason": "tested"})
    end = time.monotonic() + 5
    while not client.get_boolean("sdk_kill", False, "u") and time.monotonic() < end:
        time.sleep(0.05)
    assert client.get_boolean("sdk_kill", False, "u") is True


def test_keys_of_other_scopes__get_no_catalogue(live):
    client = AssayClient(live.url, live.keys["ingest"], poll_seconds=60)
    assert not client.wait_ready(0.5)
    assert client.get_boolean("anything", True, "u") is True
    client.close()


def test_test_key__is_shown_drafts_and_production_is_not(live, connect):
    live.experiment("sdk_draft", start=False)
    live.settle()
    tester, production = connect("test server"), connect()
    assert tester.refresh()
    assert production.refresh()
    assert tester.variant("sdk_draft", "u") is not None
    assert production.variant("sdk_draft", "u") is None
    assert production.why("sdk_draft", "u")["reason"] == "not_serving"


def test_told__arrives_once_and_exposures_are_the_servers_own(live, connect):
    live.experiment("sdk_told")
    live.settle()
    client = connect()
    assert client.refresh()
    for n in range(40):
        assert client.variant("sdk_told", f"told-{n}") is not None
        client.track("job_view", f"told-{n}", experiment="sdk_told", payload={"n": n})
        client.observe("csat", 4.0, f"told-{n}", experiment="sdk_told")
    assert client.flush()
    assert (client.counts.sent, client.counts.rejected) == (120, 0)
    rows = live.sql(
        "SELECT a.user_id, v.key, a.bucket_id, a.exposure_count, a.crossover FROM experiment_assignments a "
        "JOIN experiment_variants v USING (variant_id) JOIN experiments e ON e.experiment_id = a.experiment_id WHERE e.key = %s",
        "sdk_told",
    )
    assert len(rows) == 40
    for unit, key, bucket, count, crossover in rows:
        why = client.why("sdk_told", unit)
        assert (why["variant"], why["bucket"], count, crossover) == (key, bucket, 1, False)
    assert live.sql(
        "SELECT count(*) FROM ai_events WHERE event_type = 'job_view' AND user_id LIKE 'told-%%'"
    ) == [(40,)]


def test_server_stopped_and_started__client_goes_on_and_everything_arrives(live, connect, tmp_path):
    live.experiment("sdk_stop")
    live.settle()
    client = connect(folder=tmp_path)
    assert client.refresh()
    before = [client.variant("sdk_stop", f"s-{n}", expose=False) for n in range(50)]
    live.stop()
    try:
        assert [client.variant("sdk_stop", f"s-{n}") for n in range(50)] == before
        cold = AssayClient(live.url, live.keys["server"], folder=tmp_path, poll_seconds=60)
        assert [cold.variant("sdk_stop", f"s-{n}", expose=False) for n in range(50)] == before
        cold.close()
        assert not client.flush(0.2)
    finally:
        live.start()
    assert client.flush(20)
    assert live.sql("SELECT count(*) FROM experiment_assignments WHERE user_id LIKE 's-%%'") == [
        (50,)
    ]


def test_manager__registers_starts_measures_and_compares(live, platform):
    manager = ExperimentManager()
    experiment = manager.register_experiment(two("sdk_manager", primary_metric="avg_similarity"))
    assert (experiment.status, manager.get_variant("sdk_manager", 1)) == ("DRAFT", None)
    experiment.start()
    assert manager.get_experiment("sdk_manager").status == "RUNNING"
    with pytest.raises(Refused, match="units would change"):
        experiment.variants[0].weight = 0.9
    for user in range(30):
        found = manager.get_variant("sdk_manager", user)
        labels = {"experiment": "sdk_manager", "variant": found.name}
        track_rag_retrieval("specs", [0.9 if found.name == "treatment" else 0.8], labels)
        track_llm_call("gpt-4", "specs", 100, 200, 2.5, labels, cost=0.01)
    assert platform.client.flush()
    assert platform.client.counts.rejected == 0
    results = asyncio.run(
        ExperimentMetricsCollector().compare_variants(
            "sdk_manager", ["control", "treatment"], duration="7d"
        )
    )
    assert results["treatment"].avg_similarity > results["control"].avg_similarity
    assert results["control"].avg_latency == 2500
    assert results["control"].avg_cost == pytest.approx(0.01)
    assert results["control"].sample_size + results["treatment"].sample_size == 30
    experiment.complete()
    assert experiment.status == "COMPLETED"
    assert manager.get_variant("sdk_manager", 1) is None


def test_manager__registered_by_another_process__is_found(live, platform):
    ExperimentManager().register_experiment(two("sdk_found", enabled=True))
    elsewhere = ExperimentManager()
    found = elsewhere.get_experiment("sdk_found")
    assert (found.status, [variant.name for variant in found.variants]) == (
        "RUNNING",
        ["control", "treatment"],
    )
    assert ExperimentManager().register_experiment(two("sdk_found")).status == "RUNNING"
    with pytest.raises(NotFound):
        elsewhere.get_experiment("sdk_nonesuch")


def test_tenants__enabled_paused_and_measured(live, platform):
    registry = ExperimentRegistry()
    registry["sdk_followup"] = two("sdk_followup", primary_metric="booked")
    assert not registry["sdk_followup"].enabled
    registry["sdk_followup"].enabled = True
    assert get_variant("acme", "sdk_followup") in {"control", "treatment"}
    assert track_outcome("acme", "sdk_followup", get_variant("acme", "sdk_followup"), "booked")
    assert platform.client.flush()
    assert platform.client.counts.rejected == 0
    registry["sdk_followup"].enabled = False
    assert get_variant("acme", "sdk_followup") is None
    registry["sdk_followup"].enabled = True
    assert get_variant("acme", "sdk_followup") in {"control", "treatment"}


def test_service__records_and_the_server_analyses(live, platform):
    manager = ExperimentManager()
    experiment = manager.register_experiment(
        two("Sdk Prompt Test", unit_type="visitor", primary_metric="resolution_rate", enabled=True)
    )
    service = ExperimentService(object())
    for user in range(20):
        assert (
            service.get_variant_for_user(experiment_name="Sdk Prompt Test", user_id=user)
            is not None
        )
        assert service.record_result(
            "Sdk Prompt Test", "resolution_rate", float(user % 2), user_id=user
        )
    assert service.get_variant_for_user("Sdk Prompt Test", session_id="anonymous-1") is not None
    assert platform.client.flush()
    assert platform.client.counts.rejected == 0
    found = StatisticalAnalyzer(object()).analyze_experiment("Sdk Prompt Test")
    assert found.keys() >= {
        "experiment_id", "analysis_date", "variant_stats", "p_value", "is_significant", "recommended_winner_id",
        "recommendation_confidence", "recommendation_reason", "sufficient_sample_size", "current_sample_size", "required_sample_size",
    }  # fmt: skip
    by_number = StatisticalAnalyzer().analyze_experiment(found["experiment_id"])
    assert by_number["experiment_id"] == found["experiment_id"]
    experiment.complete()


def test_management__what_the_server_refuses__is_raised_with_its_reasons(live, platform, connect):
    with pytest.raises(InvalidInput, match="1"):
        ExperimentManager().register_experiment(
            Experiment("sdk_bad", variants=[Variant("a", 0.9), Variant("b", 0.9)])
        )
    lonely = ExperimentManager().register_experiment(
        Experiment("sdk_lonely", variants=[Variant("only", 1.0)])
    )
    with pytest.raises(Refused):
        lonely.start()
    with pytest.raises(Forbidden, match="ASSAY_MANAGEMENT_KEY"):
        ExperimentManager(ServerPlatform(connect(), live.url)).register_experiment(
            two("sdk_no_key")
        )
    with pytest.raises(NotAuthenticated):
        ExperimentManager(
            ServerPlatform(connect(), live.url, "assay_management_0_0")
        ).get_experiment("sdk_found")
    with pytest.raises(Unreachable):
        ExperimentManager(ServerPlatform(connect(), "http://127.0.0.1:1", "key")).get_experiment(
            "sdk_found"
        )
