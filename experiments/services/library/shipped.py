"""What every installation starts with: the shipped policies, the role groups, the metric
library.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import Group
from django.db import transaction

from experiments.core.design.policies import SHIPPED, ShippedPolicy
from experiments.core.types import Role
from experiments.models import Policy
from experiments.services.library.metrics import install_library


def install(now: datetime) -> None:
    """Bring policies, groups and metrics in; doing it again changes nothing.

    A policy that an installation has versioned itself is left alone, whatever ships.
    """
    with transaction.atomic():
        for role in Role:
            Group.objects.get_or_create(name=role.value)
        for shipped in SHIPPED:
            _install_policy(now, shipped)
        install_library(now)


def _install_policy(now: datetime, shipped: ShippedPolicy) -> None:
    if Policy.objects.filter(key=shipped.key).exists():
        return
    Policy.objects.create(
        key=shipped.key,
        name=shipped.name,
        description=shipped.description,
        rules=shipped.rules.as_json(),
        is_default=shipped.default and not Policy.objects.filter(is_default=True).exists(),
        created_at=now,
    )
