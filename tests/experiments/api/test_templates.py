"""Templates over HTTP: listed, and made into drafts that may be changed as they are made."""

from __future__ import annotations

import pytest

from experiments.core.library.templates import TEMPLATES
from experiments.core.types import SYSTEM, Scope
from experiments.models import ChangeLogEntry, Experiment
from experiments.selectors.actors import actor_for_user
from experiments.services.drafts.templates import create_from_template
from tests.analytics.stores.observed import START

URL = "/api/v1/experiments"


@pytest.fixture
def tools(doors):
    return doors.client(Scope.MANAGEMENT)


def _post(tools, **body):
    return tools.post(URL, body, format="json")


def test_templates__are_listed_with_policy_arms_and_margins(tools):
    listed = {one["key"]: one for one in tools.get("/api/v1/templates").json()["templates"]}
    assert list(listed) == [template.key for template in TEMPLATES]
    criteria = listed["criteria"]
    assert (criteria["policy"], [arm["weight"] for arm in criteria["variants"]]) == (
        "standard",
        [0.5, 0.5],
    )
    assert criteria["metrics"][0] == {
        "metric": "user_satisfaction", "role": "primary", "mde": 0.08, "mde_kind": "absolute", "required_improvement": 0.05,
    }  # fmt: skip
    assert listed["dispute_router_ml"]["offline_thresholds"] == [
        {"metric": "macro_f1", "op": ">=", "value": 0.65}
    ]


def test_post__with_a_template__is_a_draft_of_it_and_the_changelog_says_from_which(tools):
    answer = _post(tools, name="Disputes in Spain", template="dispute_router_ml")
    assert answer.status_code == 201, answer.content
    row = Experiment.objects.get()
    assert (row.key, row.flag_id, row.policy.key, row.traffic, row.status) == (
        "disputes-in-spain", "disputes-in-spain", "ai-medium", 200, "draft"
    )  # fmt: skip
    assert row.planned_metrics.get(role="primary").metric.key == "median_ttr"
    assert (
        ChangeLogEntry.objects.get(action="experiment_created").after["template"]
        == "dispute_router_ml"
    )


def test_post__with_a_template__what_is_sent_wins_even_if_it_is_the_usual_value(tools):
    answer = _post(
        tools, name="Wording", key="wording", template="message_template", min_sample_size=100, auto_promote=False,
        target_percentage=30, primary_metric="booked", guardrails=["error_rate"],
    )  # fmt: skip
    assert answer.status_code == 201, answer.content
    row = Experiment.objects.get()
    assert (row.min_sample_size, row.auto_promote, row.traffic, row.unit_type) == (
        100,
        False,
        300,
        "tenant",
    )
    assert {(plan.metric.key, plan.role) for plan in row.planned_metrics.all()} == {
        ("booked", "primary"),
        ("error_rate", "guardrail"),
    }


def test_post__template_that_does_not_ship__is_refused_by_name(tools):
    answer = _post(tools, name="x", template="nothing")
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "template"
    assert not Experiment.objects.exists()


def test_create_from_template__every_one__becomes_a_draft(doors):
    actor = actor_for_user(doors.owner)
    for template in TEMPLATES:
        made = create_from_template(actor, START, template_key=template.key)
        assert (made.key, made.status, made.variants.count()) == (
            template.key,
            "draft",
            len(template.spec.variants),
        )
    assert SYSTEM.label not in set(
        ChangeLogEntry.objects.filter(action="experiment_created").values_list(
            "actor_label", flat=True
        )
    )
