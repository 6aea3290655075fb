"""The form of a new experiment, filled from a template."""

from __future__ import annotations

import pytest

from experiments.core.design.design import facets
from experiments.models import ChangeLogEntry, Experiment
from experiments.selectors.experiments import design_of
from experiments.services.drafts.templates import create_from_template
from tests.experiments.admin.conftest import NOW

ADD = "/admin/experiments/experiment/add/"


def _filled(client, key: str) -> dict[str, str]:
    """Everything that a browser would send of the form as it comes."""
    context = client.get(f"{ADD}?template={key}").context
    lines = (*context["variant_lines"], *context["metric_lines"])
    fields = [f for group in (*context["sections"], *lines) for f in group.fields]
    sent = {f.name: f.value for f in fields if f.kind != "checkbox" or f.value}
    counts = {
        "v-count": str(len(context["variant_lines"])),
        "m-count": str(len(context["metric_lines"])),
    }
    return sent | counts | {"v-control": context["control"], "template": context["template"].value}


@pytest.mark.parametrize(
    "key",
    ["dispute_router_ml", "criteria", "lora_boost_optimization", "message_template", "geo_pilot"],
)
def test_form__filled_from_a_template_and_saved__is_the_draft_that_the_service_makes(
    browser, owner, key
):
    olivia = browser("olivia")
    made = create_from_template(owner, NOW, template_key=key)
    sent = _filled(olivia, key)
    assert sent["name"] == ""  # the template's own name is taken by now
    assert olivia.post(ADD, sent | {"name": "By hand", "key": "by_hand"}).status_code == 302
    by_hand = Experiment.objects.get(key="by_hand")
    one, other = facets(design_of(made)), facets(design_of(by_hand))
    assert {name for name in one if one[name] != other[name]} <= {"flag_key"}
    assert (
        ChangeLogEntry.objects.get(experiment=by_hand, action="experiment_created").after[
            "template"
        ]
        == key
    )


def test_form__offers_every_template_with_the_chosen_ones_advice(browser):
    olivia = browser("olivia")
    text = olivia.get(f"{ADD}?template=aa_test").content.decode()
    assert 'value="A/A test"' in text and "One of twenty crosses its boundary by chance" in text
    plain = olivia.get(ADD).content.decode()
    assert 'value="aa_test"' in plain and 'value="A/A test"' not in plain


def test_form__template_that_does_not_ship__is_the_plain_form(browser):
    assert 'value="Treatment"' in browser("olivia").get(f"{ADD}?template=nothing").content.decode()
