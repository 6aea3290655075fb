"""Every Python block of the sources runs against the SDK as it is printed, or is named here with
the reason why none can.
"""

from __future__ import annotations

import time
import types
from datetime import datetime
from types import SimpleNamespace

import pytest

import experiments
from experiments.sdk import (
    Experiment,
    ExperimentManager,
    ExperimentService,
    ExperimentVariant,
    HandoffReason,
    LocalPlatform,
    Variant,
    get_variant,
    get_variant_config,
    tenants,
    track_cache_operation,
    track_handoff,
    track_llm_call,
    track_outcome,
    track_rag_retrieval,
    use,
)
from tests.experiments.sdk import sources
from tests.experiments.sdk.sources import Runner

needs_sources = pytest.mark.skipif(
    not sources.there(), reason=f"the sources do not lie in {sources.FOLDER}"
)


@pytest.fixture
def here():
    platform = LocalPlatform()
    use(platform)
    yield platform
    use(None)


def two_arms():
    return [Variant("control", 0.5), Variant("treatment", 0.5)]


def told(platform, kind, **named):
    return [
        item
        for of_kind, item in platform.told.items
        if of_kind == kind and named.items() <= item.items()
    ]


class Application:
    """The stubbed application of the first guide: remembers how it was called."""

    def __init__(self):
        self.calls = []

    def named(self, name, answer=None):
        async def call(**arguments):
            self.calls.append((name, arguments))
            return answer

        return call

    def guide_names(self, manager):
        answer = SimpleNamespace(confidence=0.1, text="…")
        passages = [SimpleNamespace(similarity=0.8), SimpleNamespace(similarity=0.6)]
        return {
            "_two_arms": two_arms,
            "manager": manager,
            "user_id": "user-1",
            "default_model": "fallback",
            "user_message": "hello",
            "llm": SimpleNamespace(generate=self.named("llm", answer)),
            "cache": SimpleNamespace(set=self.named("cache")),
            "cache_key": "k",
            "embedding": [0.1],
            "retriever": SimpleNamespace(retrieve=self.named("retriever", passages)),
            "query": "what",
            "session": SimpleNamespace(trigger_handoff=track_handoff),
            "request": SimpleNamespace(user=SimpleNamespace(id=17)),
            "HandoffReason": HandoffReason,
            "track_llm_call": track_llm_call,
            "track_rag_retrieval": track_rag_retrieval,
            "track_cache_operation": track_cache_operation,
        }


def _start(manager):
    def start(experiment):
        manager.register_experiment(experiment).start()

    return start


@needs_sources
def test_first_guide__each_block_runs(here, capsys):
    manager, application = ExperimentManager(), Application()
    runner = Runner(application.guide_names(manager), _start(manager))
    for name in ("my_exp", "exp"):
        manager.register_experiment(Experiment(name, variants=two_arms())).start()
    needs_other_library = []
    for block in sources.blocks("001"):
        # Its first use in code is for every user; comparing needs some in both variants.
        for user in range(20) if "default_model" in block else ["user-1"]:
            runner.names["user_id"] = user
            try:
                runner.run(block)
            except AttributeError as error:
                needs_other_library.append(str(error))
    # scipy.stats has no proportions_ztest (statsmodels has); nothing that can be done here.
    assert len(needs_other_library) == 1
    assert "proportions_ztest" in needs_other_library[0]
    # Shares are fixed at launch: each of the guide's four changes is refused.
    assert len(runner.refused) == 4
    assert all("units would change" in str(refusal) for refusal in runner.refused)
    printed = capsys.readouterr().out
    assert "RUNNING" in printed
    assert "samples per variant" in printed
    calls = dict(application.calls)
    assert calls["llm"]["model"] in {"openai/gpt-4", "anthropic/claude-opus-4-6"}
    assert calls["cache"]["ttl"] in {3600, 86400}
    assert calls["retriever"]["top_k"] in {3, 5, 7}
    assert {item["experiment"] for item in told(here, "exposures")} >= {
        "new_embedding_model", "llm_model_comparison", "confidence_threshold", "cache_ttl", "rag_top_k", "model", "threshold",
    }  # fmt: skip
    assert told(here, "events", event_type="handoff", experiment="confidence_threshold")
    assert told(here, "events", event_type="cache_operation", experiment="cache_ttl")
    assert {
        round(item["value"], 2) for item in told(here, "observations", metric="avg_similarity")
    } == {0.87, 0.7}
    assert runner.names["results"]  # of the retriever; the comparison's were printed
    assert ("Treatment wins" in printed) or ("Control wins" in printed)


@needs_sources
def test_second_guide__each_block_runs(here, monkeypatch):
    registry = tenants.ExperimentRegistry(tenants.EXPERIMENTS._experiments)
    monkeypatch.setattr(registry["followup_timing"], "_platform", None)
    names = {
        "EXPERIMENTS": registry,
        "Experiment": Experiment,
        "ExperimentVariant": ExperimentVariant,
        "get_variant": get_variant,
        "get_variant_config": get_variant_config,
        "track_outcome": track_outcome,
        "time": time,
        "tenant": "acme_corp",
        "lead_name": "Ada",
    }
    runner, pictures = Runner(names, lambda _: None), []
    for block in sources.blocks("002"):
        try:
            runner.run(block)
        except SyntaxError:
            pictures.append(block)
    assert len(pictures) == 1  # how a hash becomes a variant, drawn with arrows
    assert "→" in pictures[0]
    assert all(
        registry[name].enabled
        for name in (
            "enrichment_model",
            "followup_timing",
            "prediction_threshold",
            "message_template",
        )
    )
    assert "Ada" in runner.names["message"]
    assert get_variant("acme_corp", "followup_timing") in {"control", "aggressive"}
    assert told(here, "exposures", experiment="message_template", units={"tenant": "acme_corp"})
    assert (runner.names["min_sample_size"], runner.names["auto_promote"]) == (100, True)
    for experiment in registry.values():
        experiment._platform = None


@needs_sources
def test_fourth_guide__each_block_runs(here, monkeypatch):
    package, module = (
        types.ModuleType("ab_testing"),
        types.ModuleType("ab_testing.experiment_service"),
    )
    module.ExperimentService = ExperimentService
    for name, one in (("ab_testing", package), ("ab_testing.experiment_service", module)):
        monkeypatch.setitem(__import__("sys").modules, name, one)
    manager, said = ExperimentManager(), []

    def answer(*arguments, **named):
        said.append(named)
        return "answer"

    chat = SimpleNamespace(completions=SimpleNamespace(create=answer))
    names = {
        "db": object(), "user_id": 123, "message": "hello", "successful": True, "quality_score": 0.9, "true": True, "false": False,
        "get_default_prompt": lambda: "default",
        "experiment_service": ExperimentService(object()),
        "claude_client": SimpleNamespace(messages=SimpleNamespace(create=answer)),
        "anthropic_client": SimpleNamespace(messages=SimpleNamespace(create=answer)),
        "openai_client": SimpleNamespace(chat=chat),
    }  # fmt: skip
    prompts = [
        Variant(name, 0.5, {"system_prompt": name, "include_examples": name != "a"})
        for name in "ab"
    ]
    models = [Variant(name, 0.5, {"provider": name}) for name in ("anthropic", "openai")]
    for name, arms in {
        "Lead Qualification Prompt Test": prompts,
        "lead_qualification_prompt": [Variant(v.name, v.weight, v.config) for v in prompts],
        "claude_vs_gpt4": models,
    }.items():
        manager.register_experiment(Experiment(name, variants=arms, unit_type="visitor")).start()
    runner, defined = Runner(names, lambda _: None), []
    for block in sources.blocks("004"):
        if block.lstrip().startswith("{"):
            defined.append(runner.value(block))
        else:
            runner.run(block)
    assert {one["experiment_type"] for one in defined} == {
        "prompt",
        "model",
        "agent_config",
        "feature",
    }
    for one in defined:
        arms = [Variant(variant["name"], config=variant["config"]) for variant in one["variants"]]
        kind = one["experiment_type"]
        found = manager.register_experiment(
            Experiment(f"a {kind}", variants=arms, experiment_type=kind, enabled=True)
        )
        assert manager.get_variant(found.name, 1).config in [variant.config for variant in arms]
    assert runner.names["system_prompt"] in "ab"
    assert len(said) == 2
    recorded = {
        (item["experiment"], item["metric"], item["value"]) for item in told(here, "observations")
    }
    assert recorded == {
        ("Lead Qualification Prompt Test", "resolution_rate", 1.0),
        ("Lead Qualification Prompt Test", "satisfaction_score", 4.5),
        ("lead_qualification_prompt", "resolution_rate", 1.0),
        ("claude_vs_gpt4", "response_quality", 0.9),
    }
    assert {str(item["units"]) for item in told(here, "observations")} == {"{'user': '123'}"}


OWN = """
from experiments import Experiment, Variant, ExperimentManager
from datetime import datetime, timedelta

banner = Experiment(
    name="banner",
    variants=[Variant(name="control", weight=0.5, config=...), Variant(name="loud", weight=0.5, config={"size": 2})],
    end_date=datetime.now() + timedelta(days=7),
)
shown = manager.get_variant("banner", user_id)
reply = await llm.generate(size=shown.config.get("size", 1))
banner.variants[0].weight = 0.9
pair = Experiment(name="pair", variants=[...])
"""


def test_runner__runs_blocks_of_our_own__awaits_fills_dots_and_collects_refusals(here):
    manager, application = ExperimentManager(), Application()
    runner = Runner(application.guide_names(manager), _start(manager))
    runner.run(OWN)
    assert application.calls[0][1]["size"] in {1, 2}
    assert [refusal.field for refusal in runner.refused] == ["weight"]
    assert runner.names["banner"].end_date > datetime.now().astimezone()
    assert [variant.name for variant in runner.names["pair"].variants] == ["control", "treatment"]
    assert runner.names["banner"].status == "RUNNING"
    assert experiments.Experiment is Experiment
