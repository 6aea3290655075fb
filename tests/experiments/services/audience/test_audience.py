"""Overrides and exclusion lists."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from experiments.core.errors import Forbidden, InvalidInput, NotFound, Refused
from experiments.core.types import Status
from experiments.models import ChangeLogEntry, ExcludedUnit, ExclusionList, Override
from experiments.services.audience import audience
from tests.factories import NOW, draft, experiment_in, person

pytestmark = pytest.mark.django_db
WEEK = NOW + timedelta(days=7)


def override(experiment, name: str = "qa", **more: object) -> Override:
    values = {
        "variant_key": "treatment",
        "unit_id": "tester@example.org",
        "expires_at": WEEK,
        **more,
    }
    return audience.add_override(person(name), NOW, experiment_id=experiment.pk, **values)


def test_override__again_for_the_same_unit__replaces_and_hides_the_id_from_the_changelog():
    experiment = draft()
    override(experiment)
    override(experiment, variant_key="control")

    assert Override.objects.get().variant.key == "control"
    lines = json.dumps(list(ChangeLogEntry.objects.values_list("object_label", "before", "after")))
    assert "tester@example.org" not in lines


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"expires_at": NOW}, InvalidInput),
        ({"expires_at": NOW + timedelta(days=91)}, InvalidInput),
        ({"unit_id": ""}, InvalidInput),
        ({"unit_id": "a\x00"}, InvalidInput),
        ({"unit_id": "x" * 257}, InvalidInput),
        ({"variant_key": "nobody"}, NotFound),
    ],
)
def test_override__bad__is_refused(wrong, kind):
    with pytest.raises(kind):
        override(draft(), **wrong)


def test_override__by_a_viewer_or_once_over__is_refused():
    with pytest.raises(Forbidden):
        override(draft("one"), "stranger")
    with pytest.raises(Refused):
        override(experiment_in(Status.COMPLETED, "two"))


def test_remove_override__is_gone_with_a_line():
    audience.remove_override(person("qa"), NOW, override_id=override(draft()).pk)

    assert not Override.objects.exists()
    assert ChangeLogEntry.objects.filter(action="override_removed").exists()


def test_exclusion_list__units_twice__are_kept_once():
    row = audience.create_exclusion_list(
        person("admin"), NOW, name="staff", rule=[{"attribute": "staff", "op": "eq", "value": True}]
    )

    assert (
        audience.add_excluded_units(person("admin"), NOW, list_id=row.pk, unit_ids=["a", "b", "a"])
        == 2
    )
    assert (
        audience.add_excluded_units(person("admin"), NOW, list_id=row.pk, unit_ids=["b", "c"]) == 1
    )
    assert (
        audience.remove_excluded_units(person("admin"), NOW, list_id=row.pk, unit_ids=["a", "z"])
        == 1
    )


def test_exclusion_list__one_bad_id__adds_none():
    row = audience.create_exclusion_list(person("admin"), NOW, name="staff")

    with pytest.raises(InvalidInput):
        audience.add_excluded_units(person("admin"), NOW, list_id=row.pk, unit_ids=["a", ""])
    assert not ExcludedUnit.objects.exists()


@pytest.mark.parametrize("name", ["owner", "reviewer", "qa", "stranger"])
def test_exclusion_list__not_by_an_admin__is_forbidden(name):
    with pytest.raises(Forbidden):
        audience.create_exclusion_list(person(name), NOW, name="staff")
    assert not ExclusionList.objects.exists()
