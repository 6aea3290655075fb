"""What ships is there after migrating, once."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from experiments.core.clock import utc_now
from experiments.core.design.policies import SHIPPED, rules_from_json
from experiments.core.types import Role
from experiments.models import Metric, Policy
from experiments.services.library import shipped

pytestmark = pytest.mark.django_db


def test_migrate__new_database__has_policies_groups_and_metrics():
    assert set(Policy.objects.values_list("key", flat=True)) == {
        "standard",
        "ai-low",
        "ai-medium",
        "ai-high",
    }
    assert Policy.objects.get(is_default=True).key == "standard"
    assert set(Group.objects.values_list("name", flat=True)) >= {role.value for role in Role}
    assert Metric.objects.filter(shipped=True).exists()


def test_install__again__changes_nothing():
    before = (Policy.objects.count(), Metric.objects.count(), Group.objects.count())

    shipped.install(utc_now())

    assert (Policy.objects.count(), Metric.objects.count(), Group.objects.count()) == before


def test_install__policy_versioned_here__is_left_alone():
    Policy.objects.filter(key="ai-low").update(name="Ours")

    shipped.install(utc_now())

    assert Policy.objects.get(key="ai-low").name == "Ours"


@pytest.mark.parametrize("policy", SHIPPED, ids=lambda policy: policy.key)
def test_shipped_policy__stored__reads_back_as_it_was(policy):
    assert rules_from_json(Policy.objects.get(key=policy.key).rules) == policy.rules
