"""The plan tab: what an arm changes."""

from __future__ import annotations

from dataclasses import replace

from experiments.core.specs import ExperimentSpec
from experiments.services import drafts
from tests.admin.conftest import CONTROL, FRIENDLY, NOW, page


def test_plan__says_what_an_arm_changes__texts_word_by_word_and_as_text(browser, owner):
    texts = {"prompt": "Be kind and brief.", "top_k": 5}, {"prompt": "Be <b>strict</b> and brief.", "top_k": 5}
    arms = (replace(CONTROL, config=texts[0]), replace(FRIENDLY, config=texts[1]))
    experiment = drafts.create_experiment(owner, NOW, spec=ExperimentSpec(name="Prompts", variants=arms))
    text = browser("victor").get(page(experiment, "plan")).content.decode()
    assert "Be <del>kind</del><ins>&lt;b&gt;strict&lt;/b&gt;</ins> and brief." in text
    assert "<code>prompt</code></dt>" in text and "<code>top_k</code></dt>" not in text
