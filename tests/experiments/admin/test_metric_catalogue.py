"""The catalogue: who owns a metric, who uses it, and what each version changed."""

from __future__ import annotations

from dataclasses import replace

from experiments.core.design.specs import ExperimentSpec, MetricPlan
from experiments.models import Metric
from experiments.selectors.actors import actor_for_user
from experiments.selectors.metrics import current_metric, definition_of
from experiments.services.drafts import drafts
from experiments.services.library.metrics import define_metric
from tests.experiments.admin.conftest import CONTROL, FRIENDLY, NOW

LIST = "/admin/experiments/metric/"


def _planned(owner, name: str) -> None:
    plan = (MetricPlan("csat", "primary", baseline=4, baseline_sd=1, mde=0.05),)
    drafts.create_experiment(
        owner, NOW, spec=ExperimentSpec(name=name, variants=(CONTROL, FRIENDLY), metrics=plan)
    )


def test_catalogue__list_says_how_many_experiments_use_a_metric(browser, owner):
    _planned(owner, "One")
    _planned(owner, "Two")
    assert ">2 experiments<" in browser("victor").get(LIST + "?q=csat").content.decode()


def test_catalogue__page_shows_what_a_version_changed_and_which_one_each_experiment_uses(
    browser, owner, people
):
    _planned(owner, "One")
    old = current_metric("csat")
    define_metric(
        actor_for_user(people["dmitri"]),
        NOW,
        definition=replace(definition_of(old), window_hours=48),
        reason="Shorter",
    )
    new = Metric.objects.get(key="csat", current=True)
    text = browser("victor").get(f"{LIST}{new.pk}/change/").content.decode()
    assert "Window hours" in text and "<ins>48</ins>" in text
    assert ">One</a>" in text and f">version {old.version}</span>" in text
