"""The permission table over the whole workplace: every POST address that is not of an experiment
(those: ``test_rights``), every role.

The addresses are walked from the admin site itself, so that a new one without a line here fails.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from experiments.core.clock import utc_now
from experiments.core.permissions import Action, may
from experiments.core.types import SYSTEM, Scope
from experiments.models import (
    ApiKey,
    ChangeLogEntry,
    ExclusionList,
    Experiment,
    Flag,
    Metric,
    Segment,
)
from experiments.selectors.actors import actor_for_user
from experiments.services.audience import audience, segments
from experiments.services.people import keys
from experiments.services.serving import flags
from tests.analytics.admin.test_report_templates import OWN

CAST = ("victor", "olivia", "paula", "dmitri", "quinn", "ada")
OWN_RULES = {"experiments.Subscription", "experiments.Delivery"}
"""Everybody has subscriptions of their own, and nobody another's: tests of notifications hold that.
"""
MEASURED = {
    "source": "observation",
    "value_field": "value",
    "attribution": "unit",
    "direction": "decrease",
    "window_hours": "72",
}
SECRET = "korrekt-horse-7-staple"
PASSWORDS = {"password1": SECRET, "password2": SECRET, "usable_password": "true"}
TABLE: dict[tuple[str, str], tuple[Action, dict[str, str]]] = {
    ("experiments.ExclusionList", "add/"): (Action.ADMINISTER, {"name": "staff", "rule": ""}),
    ("experiments.ExclusionList", "<int:pk>/units/"): (
        Action.ADMINISTER,
        {"unit_type": "user", "units": "u9", "how": "add"},
    ),
    ("experiments.ExclusionList", "<int:pk>/switch/"): (Action.ADMINISTER, {"reason": "because"}),
    ("experiments.Flag", "add/"): (
        Action.SWITCH_FLAG,
        {"key": "new", "value_type": "boolean", "default_value": "false"},
    ),
    ("experiments.Flag", "<int:pk>/switch/"): (Action.SWITCH_FLAG, {"reason": "because"}),
    ("experiments.Flag", "<int:pk>/default/"): (
        Action.SWITCH_FLAG,
        {"value": '{"a": 1}', "reason": "because"},
    ),
    ("experiments.Flag", "<int:pk>/schema/"): (
        Action.SWITCH_FLAG,
        {
            "schema": '{"type": "object", "properties": {"a": {"type": "integer"}}}',
            "reason": "because",
        },
    ),
    ("experiments.Flag", "<int:pk>/clients/"): (Action.SWITCH_FLAG, {"reason": "because"}),
    ("experiments.Flag", "<int:pk>/remote/"): (Action.SWITCH_FLAG, {"reason": "because"}),
    ("experiments.ApiKey", "add/"): (
        Action.ADMINISTER,
        {"name": "new", "scope": "server", "environment": "production", "owner": "ada"},
    ),
    ("experiments.ApiKey", "<int:pk>/revoke/"): (Action.ADMINISTER, {"reason": "because"}),
    ("experiments.Metric", "add/"): (
        Action.MANAGE_METRICS,
        {"key": "new", "name": "New", "kind": "mean", **MEASURED},
    ),
    ("experiments.Metric", "<int:pk>/version/"): (
        Action.MANAGE_METRICS,
        {"name": "New", "kind": "mean", "reason": "because", **MEASURED},
    ),
    ("experiments.Segment", "add/"): (Action.ADMINISTER, {"key": "new", "name": "New"}),
    ("experiments.Segment", "<int:pk>/edit/"): (
        Action.ADMINISTER,
        {"name": "Other", "reason": "because"},
    ),
    ("experiments.Segment", "<int:pk>/units/"): (
        Action.ADMINISTER,
        {"unit_type": "user", "units": "u9", "how": "add"},
    ),
    ("experiments.PublicAttribute", "add/"): (
        Action.ADMINISTER,
        {"name": "country", "reason": "because"},
    ),
    ("experiments.GlobalHoldout", "add/"): (
        Action.ADMINISTER,
        {
            "unit_type": "user",
            "share": "5",
            "until": f"{utc_now() + timedelta(days=30):%Y-%m-%dT%H:%M}",
            "reason": "because",
        },
    ),
    ("auth.User", "add/"): (Action.ADMINISTER, {"username": "nina", **PASSWORDS}),
    ("auth.User", "<path:object_id>/change/"): (Action.ADMINISTER, {"username": "other"}),
    ("auth.User", "<id>/password/"): (Action.ADMINISTER, PASSWORDS),
    ("analytics.ModelPrice", "add/"): (
        Action.MANAGE_METRICS,
        {"lines": "big,2026-01-01,2,10", "reason": "because"},
    ),
    ("analytics.ReportTemplate", "add/"): (
        Action.MANAGE_METRICS,
        {"text": OWN, "reason": "because"},
    ),
}
"""Model and address → what the permission table is asked, and what is sent. An address that only
reads goes to ``READING``.
"""
READING: set[tuple[str, str]] = set()
INHERITED = {
    "",
    "add/",
    *(f"<path:object_id>/{verb}/" for verb in ("history", "delete", "change")),
    "<path:object_id>/",
}


@pytest.fixture
def world(people) -> dict[str, int]:
    """One row of each, made by the machine: nobody's own."""
    now = utc_now()
    flag = flags.create_flag(_actor(people, "ada"), now, key="theirs", default_value={})
    listed = audience.create_exclusion_list(_actor(people, "ada"), now, name="theirs", rule=None)
    segment = segments.create_segment(_actor(people, "ada"), now, key="theirs", name="Theirs")
    key, _ = keys.create_key(SYSTEM, now, name="theirs", scope=Scope.SERVER, owner=people["ada"])
    rows = (flag, listed, segment, key, Metric.objects.first(), User.objects.create_user("theirs"))
    return {row._meta.label: row.pk for row in rows}


def _actor(people: dict[str, User], who: str):
    return actor_for_user(people[who])


def _filled(route: str, pk: int) -> str:
    return re.sub(r"<[^>]*>", str(pk), route)


def _routes() -> dict[tuple[str, str], bool]:
    """Model and address of every page that takes more than Django's own admin does; adding only
    where a model can be added.
    """
    found = {}
    for model, pages in admin.site._registry.items():
        if model is Experiment or model._meta.label in OWN_RULES:
            continue
        own = {str(one.pattern) for one in pages.get_urls()} - INHERITED
        if getattr(pages, "add_right", None) is not None:
            own |= {"add/"}
        if model is User:
            own |= {"add/", "<path:object_id>/change/"}
        found |= {(model._meta.label, route): True for route in own}
    return found


def test_matrix__has_a_line_for_every_address_of_the_workplace() -> None:
    missing = set(_routes()) ^ (set(TABLE) | READING)
    assert not missing, (
        f"say in TABLE (or READING) of {__name__} which Action these ask for, or take out what is gone: {missing}"
    )


@pytest.mark.parametrize("line", TABLE, ids=" ".join)
def test_post__every_role__is_refused_unless_the_table_allows_it(people, world, line):
    label, route = line
    action, data = TABLE[line]
    model = label.partition(".")[0] + "/" + label.partition(".")[2].lower()
    where = f"/admin/{model}/{_filled(route, world.get(label, 0))}"
    refused, wanted = {}, {}
    for who in CAST:
        before = ChangeLogEntry.objects.count()
        with transaction.atomic():
            client = Client()
            client.force_login(people[who])
            # A form to make a row of one's own opens to whoever may have one; a row of nobody's is
            # for those who may anywhere.
            wanted[who] = not may(_actor(people, who), action, member=route == "add/")
            refused[who] = client.post(where, data).status_code == 403
            changed = ChangeLogEntry.objects.count() != before
            transaction.set_rollback(True)
        assert changed is not wanted[who], (
            f"{who}: refused {wanted[who]}, wrote to the changelog {changed}"
        )
    assert refused == wanted


@pytest.mark.parametrize("who", [None, "drifter", "root"])
def test_get_and_post__without_a_job__nothing_is_shown_or_taken(
    people, world, django_user_model, who
):
    """Nobody logged in, staff without a group, a superuser without a group."""
    client = Client()
    if who == "drifter":
        client.force_login(django_user_model.objects.create_user(who, is_staff=True))
    if who == "root":
        client.force_login(django_user_model.objects.create_superuser(who, password="x"))
    before = ChangeLogEntry.objects.count()
    for label, route in [*TABLE, *((model._meta.label, "") for model in admin.site._registry)]:
        address = f"/admin/{label.replace('.', '/').lower()}/{_filled(route, world.get(label, 1))}"
        for answer in (client.get(address), client.post(address, {"reason": "because"})):
            assert answer.status_code in (302, 403), (address, answer.status_code)
            assert answer.status_code == 403 or "/login/" in answer["Location"]
    assert ChangeLogEntry.objects.count() == before


@pytest.mark.parametrize(
    "model", [ExclusionList, Flag, ApiKey, Metric, Segment], ids=lambda model: model.__name__
)
def test_delete_and_change_in_place__are_nobodys(people, world, model):
    row = model.objects.values().get(pk=world[model._meta.label])
    for who in CAST:
        client = Client()
        client.force_login(people[who])
        base = f"/admin/{model._meta.label.replace('.', '/').lower()}/{row['id']}"
        assert client.post(f"{base}/delete/", {"post": "yes"}).status_code == 403
        client.post(f"{base}/change/", {"key": "stolen", "name": "stolen", "enabled": ""})
    assert model.objects.values().get(pk=row["id"]) == row
