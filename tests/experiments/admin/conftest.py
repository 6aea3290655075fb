"""A small cast in the workplace: an owner, a data scientist, QA, an admin, a viewer, a second
owner.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from experiments.core.design.specs import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.types import Actor
from experiments.models import Experiment
from experiments.selectors.actors import actor_for_user
from experiments.selectors.cast import CAST
from experiments.services.drafts import drafts
from experiments.services.library import shipped

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
CONTROL = VariantSpec("Control", 500, is_control=True, config={"prompt": "v1"})
FRIENDLY = VariantSpec("Friendly", 500, config={"prompt": "v2"})


@pytest.fixture(autouse=True)
def _own_catalogue(tmp_path, settings):
    settings.CATALOGUE_DIR = tmp_path


@pytest.fixture
def people(db) -> dict[str, User]:
    shipped.install(NOW)
    return {member.username: _person(member) for member in CAST}


def _person(member) -> User:
    user = User.objects.create_user(
        member.username, is_staff=True, first_name=member.name.split()[0]
    )
    user.groups.set([Group.objects.get(name=member.role.value)])
    return user


@pytest.fixture
def browser(people):
    """``browser("olivia")``: a client that is logged in as this person."""

    def open_as(username: str) -> Client:
        client = Client(enforce_csrf_checks=False)
        client.force_login(people[username])
        return client

    return open_as


@pytest.fixture
def owner(people) -> Actor:
    return actor_for_user(people["olivia"])


@pytest.fixture
def draft(owner) -> Experiment:
    """Olivia's draft under a policy that asks for every check; no PRD yet."""
    return drafts.create_experiment(owner, NOW, spec=ai_spec("First message"))


@pytest.fixture
def simple(owner) -> Experiment:
    """Olivia's draft under Standard: ready to start."""
    return drafts.create_experiment(
        owner, NOW, spec=ExperimentSpec(name="Simple", variants=(CONTROL, FRIENDLY))
    )


def ai_spec(name: str) -> ExperimentSpec:
    return ExperimentSpec(
        name=name,
        policy_key="ai-medium",
        experiment_type="prompt",
        traffic=200,
        variants=(CONTROL, FRIENDLY),
        metrics=(
            MetricPlan("apply_rate", "primary", baseline=0.1, mde=0.1),
            MetricPlan(
                "error_rate",
                "guardrail",
                baseline=0.02,
                margin=0.02,
                margin_kind="points",
                action="stop",
            ),
        ),
        offline_thresholds=[{"metric": "win_rate", "op": ">=", "value": 0.4}],
    )


def page(experiment: Experiment, tab: str = "") -> str:
    return f"/admin/experiments/experiment/{experiment.pk}/change/" + (f"?tab={tab}" if tab else "")


def url(experiment: Experiment, rest: str) -> str:
    return f"/admin/experiments/experiment/{experiment.pk}/{rest}/"
