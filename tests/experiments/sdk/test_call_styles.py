"""Code of older call styles: a manager, functions for tenants, a service; here in this process,
behind HTTP in ``test_live``.
"""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

import experiments
from config.processes.embedded.place import PROJECT
from experiments.core.errors import InvalidInput, NotFound, Refused
from experiments.sdk import (
    Experiment,
    ExperimentManager,
    ExperimentMetricsCollector,
    ExperimentService,
    ExperimentStatus,
    ExperimentVariant,
    HandoffReason,
    LocalPlatform,
    StatisticalAnalyzer,
    Variant,
    get_variant,
    get_variant_config,
    tenants,
    track_cache_operation,
    track_error,
    track_feedback,
    track_handoff,
    track_llm_call,
    track_outcome,
    track_rag_retrieval,
    use,
)
from experiments.sdk.definitions import moment
from experiments.sdk.tenants import EXPERIMENTS, ExperimentRegistry


@pytest.fixture
def here():
    platform = LocalPlatform()
    use(platform)
    yield platform
    use(None)


@pytest.fixture
def manager(here):
    return ExperimentManager()


def two(name="exp", **fields):
    arms = [Variant("control", 0.5, {"top_k": 3}), Variant("treatment", 0.5, {"top_k": 5})]
    return Experiment(name, "a comparison", arms, **fields)


def told(platform, kind):
    return [item for of_kind, item in platform.told.items if of_kind == kind]


# ---------------------------------------------------------------- a manager


def test_manager__from_draft_to_complete(manager):
    experiment = manager.register_experiment(two())
    assert (experiment.status, manager.get_variant("exp", "u")) == ("DRAFT", None)
    experiment.start()
    assert manager.get_experiment("exp").status == ExperimentStatus.RUNNING == "RUNNING"
    assert str(experiment.status) == "RUNNING"
    found = manager.get_variant("exp", "u")
    assert found.config == {"top_k": 3 if found.name == "control" else 5}
    assert manager.get_variant("exp", 7) == manager.get_variant("exp", "7")
    experiment.complete()
    assert (experiment.status, manager.get_variant("exp", "u")) == ("COMPLETED", None)
    with pytest.raises(Refused, match="COMPLETED"):
        experiment.start()


def test_manager__two_experiments__are_independent(manager):
    for name in ("model", "threshold"):
        manager.register_experiment(two(name))
        manager.start(name)
    cells = {
        (manager.get_variant("model", n).name, manager.get_variant("threshold", n).name)
        for n in range(100)
    }
    assert len(cells) == 4


def test_manager__unequal_and_three_arms__get_their_shares(manager):
    arms = [Variant(name, weight) for name, weight in (("a", 0.33), ("b", 0.34), ("c", 0.33))]
    manager.register_experiment(Experiment("three", variants=arms, enabled=True))
    names = [manager.get_variant("three", n).name for n in range(3_000)]
    assert [0.30 < names.count(name) / 3_000 < 0.37 for name in "abc"] == [True] * 3


def test_manager__in_every_run__gives_a_unit_its_variant(manager):
    manager.register_experiment(two(enabled=True))
    again = ExperimentManager(LocalPlatform())
    again.register_experiment(two(enabled=True))
    assert [manager.get_variant("exp", n).name for n in range(50)] == [
        again.get_variant("exp", n).name for n in range(50)
    ]


def test_weight__changed_after_the_start__is_refused_with_the_reason(manager):
    experiment = manager.register_experiment(two())
    experiment.variants[0].weight = 0.4
    experiment.variants[0].weight = 0.5
    experiment.start()
    with pytest.raises(
        Refused, match=r"share of control cannot become 0\.9 while the experiment is RUNNING"
    ):
        experiment.variants[0].weight = 0.9
    assert experiment.variants[0].weight == 0.5


def test_start__of_what_was_never_registered__says_what_to_do(here):
    with pytest.raises(Refused, match="register_experiment first"):
        two().start()
    with pytest.raises(NotFound, match="nonesuch"):
        ExperimentManager().get_experiment("nonesuch")


@pytest.mark.parametrize(
    "arms",
    [[], [Variant("only")], [Variant("a", 0.5), Variant("b", 0.6)], [Variant("a"), Variant("a")]],
)
def test_register__what_cannot_be_served__is_refused(manager, arms):
    with pytest.raises(InvalidInput):
        manager.register_experiment(Experiment("bad", variants=arms))


def test_end_date__without_a_zone__is_local_time(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert moment(datetime(2026, 3, 1, 9)) == datetime(2026, 3, 1, 0, tzinfo=UTC)
        assert moment(0) == datetime(1970, 1, 1, tzinfo=UTC)
        assert moment(None) is None
    finally:
        monkeypatch.undo()
        time.tzset()


def test_end_date__passed__ends_it():
    now = [datetime(2026, 3, 1, tzinfo=UTC)]
    platform = LocalPlatform(clock=lambda: now[0])
    manager = ExperimentManager(platform)
    experiment = manager.register_experiment(two(end_date=now[0] + timedelta(days=7), enabled=True))
    assert experiment.status == "RUNNING"
    now[0] += timedelta(days=7)
    assert experiment.status == "COMPLETED"
    assert manager.get_variant("exp", "u") is None


def test_get_variant__never_raises(manager):
    manager.register_experiment(two(enabled=True))
    for user in (None, "", True, 1.5, b"u", object(), "a\x00", "x" * 300):
        assert manager.get_variant("exp", user) is None
    assert manager.get_variant(None, "u") is None
    assert manager.get_variant(["exp"], "u") is None


# ---------------------------------------------------------------- measuring


def test_tracking__knows_whom_it_is_about(here, manager):
    manager.register_experiment(two(enabled=True))
    labels = {"experiment": "exp", "variant": manager.get_variant("exp", 42).name}
    assert track_llm_call(
        model="gpt-4",
        agent="specs",
        input_tokens=100,
        output_tokens=200,
        duration=2.5,
        cost=0.0123,
        request_id="r1",
        labels=labels,
    )
    assert track_rag_retrieval(agent="specs", similarity_scores=[0.9, 0.8], labels=labels)
    assert track_cache_operation(
        operation="get", cache_type="embedding", latency_ms=2.5, hit=True, labels=labels
    )
    assert track_handoff(HandoffReason.LOW_CONFIDENCE, 0.4, labels)
    assert track_feedback("positive", labels, request_id="r1")
    assert track_error(labels)
    assert {str(item["units"]) for kind, item in here.told.items if kind != "costs"} == {
        "{'user': '42'}"
    }
    request, *_ = told(here, "events")
    assert (
        request["event_type"],
        request["latency_ms"],
        request["cost_micro"],
        request["request_id"],
    ) == ("ai_request", 2500, 12300, "r1")
    (cost,) = told(here, "costs")
    assert (cost["request_id"], cost["tokens_in"], cost["tokens_out"], "units" in cost) == (
        "r1",
        100,
        200,
        False,
    )
    assert {item["metric"]: item["value"] for item in told(here, "observations")} == pytest.approx(
        {
            "latency": 2500,
            "cost": 0.0123,
            "token_usage": 300,
            "avg_similarity": 0.85,
            "cache_hit_rate": 1,
            "handoff_rate": 1,
        }
        | {"user_satisfaction": 1, "errors": 1}
    )
    assert told(here, "feedback")[0]["label"] == "useful"


def test_tracking__about_nobody__is_not_told_and_says_so_once(here, caplog):
    def ask():
        return [
            track_rag_retrieval("specs", [0.9], {"experiment": "unasked", "variant": "a"})
            for _ in range(3)
        ]

    assert contextvars.Context().run(ask) == [False] * 3
    assert len([record for record in caplog.records if "unasked" in record.message]) == 1
    assert not here.told.items
    assert track_rag_retrieval("specs", [0.9], {"experiment": "unasked"}, units={"user": "u"})


def test_tracking__in_tasks_and_threads__does_not_mix_users_up(here, manager):
    manager.register_experiment(two(enabled=True))

    async def one(user):
        name = manager.get_variant("exp", user).name
        await asyncio.sleep(0.001)
        track_error({"experiment": "exp", "variant": name}, kind=f"event-{user}")

    async def many():
        await asyncio.gather(*(one(user) for user in range(20)))

    asyncio.run(many())
    threads = [
        threading.Thread(target=lambda user=user: asyncio.run(one(user))) for user in range(20, 40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = told(here, "events")
    assert len(events) == 40
    assert all(item["event_type"] == f"event-{item['units']['user']}" for item in events)


@pytest.mark.parametrize("spoiled", [float("nan"), "fast", object(), [1]])
def test_tracking__of_nonsense__never_raises(here, manager, spoiled):
    manager.register_experiment(two(enabled=True))
    manager.get_variant("exp", "u")
    labels = {"experiment": "exp", "variant": spoiled}
    track_llm_call(spoiled, spoiled, spoiled, spoiled, spoiled, spoiled)
    track_llm_call("m", duration=spoiled, cost=spoiled, labels=labels)
    track_rag_retrieval("a", spoiled, labels)
    track_cache_operation("get", hit=spoiled, latency_ms=spoiled, labels=labels)
    track_handoff(spoiled, spoiled, spoiled)
    track_outcome(spoiled, spoiled, spoiled, spoiled, spoiled)


def test_compare_variants__puts_numbers_side_by_side(here, manager):
    manager.register_experiment(two(enabled=True))
    for user in range(40):
        labels = {"experiment": "exp", "variant": (name := manager.get_variant("exp", user).name)}
        track_rag_retrieval("specs", [0.9 if name == "treatment" else 0.8], labels)
        track_llm_call("m", "specs", 1, 1, 2.0 if name == "treatment" else 1.0, labels)
        if user % 2:
            track_handoff(HandoffReason.OTHER, labels=labels)
            track_error(labels)
            track_error(labels)
    found = asyncio.run(
        ExperimentMetricsCollector().compare_variants(
            "exp", ["control", "treatment"], duration="7d"
        )
    )
    assert found["treatment"].avg_similarity > found["control"].avg_similarity
    assert (found["control"].avg_latency, found["treatment"].avg_latency) == (1000, 2000)
    assert found["control"].sample_size + found["treatment"].sample_size == 40
    assert sum(round(one.handoff_rate * one.sample_size) for one in found.values()) == 20
    assert sum(round(one.errors * one.sample_size) for one in found.values()) == 40
    with pytest.raises(
        Refused,
        match=r"satisfaction of control: nobody reported user_satisfaction in the last 7d; measured: avg_latency, ",
    ):
        assert found["control"].satisfaction > found["treatment"].satisfaction
    assert found["control"].counts["avg_similarity"] == found["control"].sample_size


def test_compare_variants__what_it_cannot_say__it_refuses(here, manager):
    manager.register_experiment(two(enabled=True))
    compare = ExperimentMetricsCollector().compare_variants
    with pytest.raises(NotFound, match="nonesuch"):
        asyncio.run(compare("nonesuch", ["control"]))
    with pytest.raises(NotFound, match="no variant 'gold'; it has control, treatment"):
        asyncio.run(compare("exp", ["gold"]))
    with pytest.raises(InvalidInput, match="duration"):
        asyncio.run(compare("exp", duration="a week"))
    with pytest.raises(Refused, match="no unit was exposed to control, treatment in the last 7d"):
        asyncio.run(compare("exp"))


def test_compare_variants__duration__cuts_by_first_exposure(here):
    now = [datetime(2026, 3, 2, tzinfo=UTC)]
    platform = LocalPlatform(clock=lambda: now[0])
    use(platform)
    manager = ExperimentManager()
    manager.register_experiment(two(enabled=True))
    for day, similarity in enumerate((0.1, 0.5, 0.9)):
        now[0] = datetime(2026, 3, 2 + 3 * day, tzinfo=UTC)
        for user in range(20):
            found = manager.get_variant("exp", f"{day}-{user}")
            track_rag_retrieval("specs", [similarity], {"experiment": "exp", "variant": found.name})
    compare = ExperimentMetricsCollector(platform).compare_variants

    def seen(duration):
        arms = asyncio.run(compare("exp", duration=duration)).values()
        return sum(arm.sample_size for arm in arms), {round(arm.avg_similarity, 6) for arm in arms}

    assert seen("1d") == (20, {0.9})
    assert seen("4d")[0] == 40
    assert seen("2w")[0] == 60


# ---------------------------------------------------------------- tenants


@pytest.fixture
def registry(here, monkeypatch):
    fresh = ExperimentRegistry(
        {name: tenants.ShippedExperiment(name, one.description, [Variant(v.name, v.weight, v.config) for v in one.variants])
         for name, one in EXPERIMENTS.items()}
    )  # fmt: skip
    monkeypatch.setattr(tenants, "EXPERIMENTS", fresh)
    return fresh


def test_tenants__shipped__serve_once_they_are_enabled(registry):
    assert set(registry) == {"enrichment_model", "followup_timing", "prediction_threshold"}
    assert get_variant("acme", "followup_timing") is None
    assert get_variant_config("acme", "followup_timing").get("delay_seconds", 600) == 600
    registry["followup_timing"].enabled = True
    assert registry["followup_timing"].enabled
    found = {
        get_variant(f"tenant-{n}", "followup_timing"): get_variant_config(
            f"tenant-{n}", "followup_timing"
        )
        for n in range(50)
    }
    assert found == {"control": {"delay_seconds": 1800}, "aggressive": {"delay_seconds": 300}}
    registry["followup_timing"].enabled = False
    assert get_variant("acme", "followup_timing") is None
    assert not registry["enrichment_model"].enabled


def test_tenants__of_ones_own__are_randomised_by_tenant(here, registry):
    arms = [
        ExperimentVariant(name="control", traffic_weight=0.5, config={"template": "Hi {name}"}),
        ExperimentVariant(name="friendly", traffic_weight=0.5, config={"template": "Hey {name}"}),
    ]
    registry["message_template"] = Experiment(
        name="message_template",
        enabled=True,
        start_date=int(time.time()),
        variants=arms,
        min_sample_size=150,
        auto_promote=True,
    )
    assert arms[0].traffic_weight == 0.5
    assert registry["message_template"].unit_type == "tenant"
    variant = get_variant("acme", "message_template")
    assert track_outcome("acme", "message_template", variant, "booked")
    (event,) = told(here, "events")
    assert (event["event_type"], event["variant"], event["units"]) == (
        "booked",
        variant,
        {"tenant": "acme"},
    )
    assert registry["message_template"].promoted_variant is None
    with pytest.raises(Refused):
        arms[0].traffic_weight = 0.9
    with pytest.raises(KeyError):
        registry["nonesuch"]


# ---------------------------------------------------------------- a service


def test_service__users_and_sessions__get_variants_as_dicts_and_results_are_recorded(here):
    experiment = two("Lead Qualification Prompt Test", unit_type="visitor")
    ExperimentManager().register_experiment(experiment).start()
    service = ExperimentService(object())
    found = service.get_variant_for_user(
        experiment_name="Lead Qualification Prompt Test", user_id=123, session_id=None
    )
    assert set(found) == {"name", "key", "is_control", "config"}
    assert found["config"]["top_k"] == (3 if found["is_control"] else 5)
    assert (
        service.get_variant_for_user("Lead Qualification Prompt Test", session_id="s-1") is not None
    )
    assert service.get_variant_for_user("Lead Qualification Prompt Test") is None
    assert service.get_variant_for_user("nonesuch", user_id=1) is None
    assert service.record_result(
        experiment_name="Lead Qualification Prompt Test",
        metric_name="satisfaction_score",
        metric_value=4.5,
        user_id=123,
        session_id=None,
    )
    (result,) = told(here, "observations")
    assert (result["metric"], result["value"], result["units"]) == (
        "satisfaction_score",
        4.5,
        {"user": "123"},
    )
    assert not service.record_result("e", "m", float("nan"), user_id=object())


def test_analyzer__without_a_server__says_that_it_needs_one(here):
    with pytest.raises(Refused, match="ASSAY_URL"):
        StatisticalAnalyzer().analyze_experiment(1)


# ---------------------------------------------------------------- names and settings


def test_names__come_from_the_package_without_django():
    names = sorted(experiments._LAZY)
    program = (
        f"import sys; from experiments import {', '.join(names)}; print('django' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
    with pytest.raises(AttributeError, match="nonesuch"):
        _ = experiments.nonesuch


def test_environment__with_an_address_and_no_key__says_what_is_missing(monkeypatch):
    monkeypatch.setenv("ASSAY_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("ASSAY_KEY", raising=False)
    use(None)
    with pytest.raises(InvalidInput, match="ASSAY_KEY"):
        ExperimentManager().start("exp")
