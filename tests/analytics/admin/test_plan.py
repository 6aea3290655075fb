"""The plan tab: what an arm changes."""

from __future__ import annotations

import re
from dataclasses import replace

from experiments.core.design.specs import ExperimentSpec, MetricPlan
from experiments.services.drafts import drafts
from tests.experiments.admin.conftest import CONTROL, FRIENDLY, NOW, page


def test_plan__says_what_an_arm_changes__texts_word_by_word_and_as_text(browser, owner):
    texts = (
        {"prompt": "Be kind and brief.", "top_k": 5},
        {"prompt": "Be <b>strict</b> and brief.", "top_k": 5},
    )
    arms = (replace(CONTROL, config=texts[0]), replace(FRIENDLY, config=texts[1]))
    experiment = drafts.create_experiment(
        owner, NOW, spec=ExperimentSpec(name="Prompts", variants=arms)
    )
    text = browser("victor").get(page(experiment, "plan")).content.decode()
    assert "Be <del>kind</del><ins>&lt;b&gt;strict&lt;/b&gt;</ins> and brief." in text
    assert "<code>prompt</code></dt>" in text and "<code>top_k</code></dt>" not in text


def test_plan__leads_to_the_planner_with_its_numbers(browser, owner):
    metrics = (MetricPlan("csat", "primary", baseline=4, baseline_sd=1, mde=0.05),)
    spec = ExperimentSpec(name="Sized", variants=(CONTROL, FRIENDLY), metrics=metrics)
    experiment = drafts.create_experiment(owner, NOW, spec=spec)
    victor = browser("victor")
    (found,) = re.findall(
        r'href="([^"]*sample-size/\?[^"]*)"', victor.get(page(experiment, "plan")).content.decode()
    )
    text = victor.get(found.replace("&amp;", "&")).content.decode()
    assert (
        'name="baseline" value="4.0"' in text
        and 'name="effect" value="0.05"' in text
        and 'name="shares" value="50,50"' in text
    )
    assert "This cannot be planned." not in text


def test_plan__without_an_effect__offers_no_planner(browser, owner):
    experiment = drafts.create_experiment(
        owner, NOW, spec=ExperimentSpec(name="Bare", variants=(CONTROL, FRIENDLY))
    )
    assert (
        "Try other numbers" not in browser("victor").get(page(experiment, "plan")).content.decode()
    )
