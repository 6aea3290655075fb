"""Attributes are private until somebody declares them public, by name and with a reason; ids never
are.
"""

from __future__ import annotations

import json

import pytest

from experiments.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused
from experiments.core.protocols import growthbook
from experiments.core.types import Environment
from experiments.models import ChangeLogEntry, Experiment, Flag, PublicAttribute
from experiments.selectors import serving
from experiments.services.audience.public_attributes import declare_public, withdraw_public
from experiments.services.ground import publishing
from tests import serving_cast
from tests.factories import NOW, person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_catalogue")]


@pytest.fixture
def targeted():
    """A running experiment that browsers may see, for people in one country."""
    made = serving_cast.launched("checkout", client_visible=True)
    Experiment.objects.filter(pk=made.pk).update(
        targeting=[{"attribute": "country", "op": "eq", "value": "Atlantis"}]
    )
    publishing.publish(NOW, reason="test")
    return Flag.objects.get(key="checkout")


def sent() -> dict[str, dict[str, object]]:
    found = growthbook.payload(
        serving.refresh(NOW).catalogue, Environment.PRODUCTION, NOW, client=True
    ).as_json()
    return {name: found[name] for name in ("features", "remoteOnly")}


def test_undeclared_attribute__makes_the_flag_remote_only(targeted):
    assert (sent()["features"], list(sent()["remoteOnly"])) == ({}, ["checkout"])
    assert "Atlantis" not in json.dumps(sent())


def test_declared_attribute__is_published_and_the_line_names_who_declared_it(targeted):
    declare_public(person("admin"), NOW, name="country", reason="a country is no secret")
    assert (list(sent()["features"]), "Atlantis" in json.dumps(sent()["features"])) == (
        ["checkout"],
        True,
    )
    line = ChangeLogEntry.objects.get(action="attribute_declared_public")
    assert (line.actor_id, line.object_label, line.reason) == (
        person("admin").user_id,
        "country",
        "a country is no secret",
    )
    assert PublicAttribute.objects.get().declared_by_id == person("admin").user_id


def test_withdrawn_attribute__is_private_again(targeted):
    declare_public(person("admin"), NOW, name="country", reason="x")
    withdraw_public(person("admin"), NOW, name="country", reason="y")
    assert (sent()["features"], PublicAttribute.objects.count()) == ({}, 0)
    assert ChangeLogEntry.objects.filter(action="attribute_made_private").count() == 1


@pytest.mark.parametrize("name", ["id", "tenantId", "user_id", "email", "E-Mail", "phone_number"])
def test_ids_and_what_identifies_a_person__are_never_public(name):
    with pytest.raises(Refused):
        declare_public(person("admin"), NOW, name=name, reason="x")


@pytest.mark.parametrize(("name", "reason"), [("", "x"), ("a b", "x"), ("country", " ")])
def test_a_wrong_name_or_no_reason__is_refused(name, reason):
    with pytest.raises(InvalidInput):
        declare_public(person("admin"), NOW, name=name, reason=reason)


def test_twice__conflicts_and_withdrawing_what_is_not_there_says_so():
    declare_public(person("admin"), NOW, name="country", reason="x")
    with pytest.raises(Conflict):
        declare_public(person("admin"), NOW, name="country", reason="x")
    with pytest.raises(NotFound):
        withdraw_public(person("admin"), NOW, name="plan", reason="x")


@pytest.mark.parametrize("who", ["owner", "reviewer", "qa", "stranger"])
def test_declaring__is_for_admins(who):
    with pytest.raises(Forbidden):
        declare_public(person(who), NOW, name="country", reason="x")
