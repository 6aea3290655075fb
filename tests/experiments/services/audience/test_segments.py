"""Segments: made and changed by admins, frozen by what was launched, judged by sign-offs, carried
by the catalogue.
"""

from __future__ import annotations

import json
import threading

import pytest
from django.db import connection, transaction

from experiments.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Refused
from experiments.core.serving.assignment import AssignmentRequest, assign
from experiments.core.types import Environment, Item, Outcome, Reason, Status
from experiments.models import ChangeLogEntry, Experiment, Iteration, Rollout, Segment
from experiments.selectors import serving
from experiments.selectors.checklist import states
from experiments.selectors.serving_rows import catalogue_document
from experiments.services.audience import audience, segments
from experiments.services.drafts.drafts import edit_experiment
from experiments.services.life import lifecycle
from tests.factories import NOW, draft, experiment_in, person, ready_to_start, running

BETA = [[{"attribute": "plan", "op": "eq", "value": "beta"}]]
INSIDE, OUTSIDE = (
    [{"op": "in_segment", "value": "beta"}],
    [{"op": "not_in_segment", "value": "beta"}],
)
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_catalogue")]


def beta(rules=BETA, units=()) -> Segment:
    row = segments.create_segment(
        person("admin"), NOW, key="beta", name="Beta testers", rules=rules
    )
    segments.add_segment_units(person("admin"), NOW, segment_id=row.pk, unit_ids=list(units))
    return row


def edit(row: Segment, **changes):
    return segments.edit_segment(person("admin"), NOW, segment_id=row.pk, **changes)


def document():
    return catalogue_document(NOW, version=1, built_at=NOW)


def answer(unit: str, attributes=None, environment=Environment.PRODUCTION):
    book = serving.refresh(NOW).catalogue
    return assign(
        book,
        AssignmentRequest(
            flag="rerank",
            units={"user": unit},
            attributes=attributes or {},
            environment=environment,
        ),
        NOW,
    )


@pytest.mark.parametrize("name", ["owner", "reviewer", "qa", "stranger"])
def test_create__not_by_an_admin__is_forbidden(name):
    with pytest.raises(Forbidden):
        segments.create_segment(person(name), NOW, key="beta", name="Beta")
    assert not Segment.objects.exists()


@pytest.mark.parametrize("key", ["", "Beta", "-beta", "бета", "a b", "x" * 81])
def test_create__bad_key__is_refused(key):
    with pytest.raises(InvalidInput):
        segments.create_segment(person("admin"), NOW, key=key, name="Beta")


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({}, "rules"),
        ([[]], "rules[0]"),
        ([BETA[0]] * 21, "rules"),
        ([BETA[0], INSIDE], "rules[1]"),
        ([[{"attribute": "app", "op": "semver_gt", "value": "two"}]], "rules[0][0].value"),
    ],
)
def test_create__bad_rules__name_their_place(rules, field):
    with pytest.raises(InvalidInput) as refused:
        segments.create_segment(person("admin"), NOW, key="beta", name="Beta", rules=rules)
    assert refused.value.field == field


def test_create__key_taken__says_so():
    beta()
    with pytest.raises(Conflict):
        beta()


def test_units__added_and_removed__are_hashed_in_the_changelog():
    row = beta(units=["ann@example.org", "bob"])
    assert (
        segments.add_segment_units(
            person("admin"), NOW, segment_id=row.pk, unit_ids=["bob", "cy", "cy"]
        )
        == 1
    )
    assert (
        segments.remove_segment_units(
            person("admin"), NOW, segment_id=row.pk, unit_ids=["bob", "zoe"]
        )
        == 1
    )
    assert sorted(row.units.values_list("unit_id", flat=True)) == ["ann@example.org", "cy"]
    lines = ChangeLogEntry.objects.filter(object_type="segment")
    assert sorted(lines.values_list("action", flat=True)) == [
        "segment_created",
        *["segment_units_added"] * 2,
        "segment_units_removed",
    ]
    assert "ann@example.org" not in json.dumps(list(lines.values_list("before", "after")))


def test_units__too_many_or_one_bad__adds_none(monkeypatch):
    monkeypatch.setattr(segments, "MAX_UNITS", 2)
    row = beta(units=["a"])
    for wrong in (["b", "c"], ["b", "\x00"]):
        with pytest.raises(InvalidInput):
            segments.add_segment_units(person("admin"), NOW, segment_id=row.pk, unit_ids=wrong)
    assert row.units.count() == 1


def test_catalogue__holds_the_segments_that_something_served_names():
    beta(units=["u1"])
    segments.create_segment(person("admin"), NOW, key="unused", name="Unused")
    assert document()["segments"] == []
    running(draft(targeting=INSIDE))
    assert document()["segments"] == [{"key": "beta", "ids": {"user": ["u1"]}, "rules": BETA}]


def test_running__on_a_segment__serves_its_units_and_nobody_else():
    beta(units=["u1"])
    running(draft(targeting=INSIDE))
    assert answer("u1").served.reason is Reason.EXPERIMENT
    assert answer("u2", {"plan": "beta"}).served.reason is Reason.EXPERIMENT
    assert answer("u2").served.reason is Reason.NOT_TARGETED


def test_draft__on_a_segment__follows_its_edits_for_test_keys():
    row = beta()
    draft(targeting=INSIDE)
    assert answer("u2", {"plan": "beta"}, Environment.TEST).served.reason is Reason.PREVIEW
    edit(row, rules=[[{"attribute": "plan", "op": "eq", "value": "gold"}]])
    assert answer("u2", {"plan": "beta"}, Environment.TEST).served.reason is Reason.NOT_TARGETED


def test_exclusion_list__by_segment__excludes_its_units():
    beta(units=["u1"])
    running(draft())
    audience.create_exclusion_list(person("admin"), NOW, name="no beta", rule=INSIDE)
    assert answer("u1").served.reason is Reason.EXCLUDED
    assert answer("u2").served.reason is Reason.EXPERIMENT


def test_targeting_or_exclusion__unknown_segment__is_refused():
    with pytest.raises(InvalidInput) as refused:
        draft(targeting=OUTSIDE)
    assert [problem.code for problem in refused.value.problems] == ["segment_unknown"]
    experiment = draft("other")
    with pytest.raises(InvalidInput):
        edit_experiment(
            person("owner"), NOW, experiment_id=experiment.pk, changes={"targeting": INSIDE}
        )
    with pytest.raises(NotFound, match="beta"):
        audience.create_exclusion_list(person("admin"), NOW, name="no beta", rule=INSIDE)


@pytest.mark.parametrize("status", [Status.DARK_LAUNCH, Status.RUNNING, Status.PAUSED])
@pytest.mark.parametrize("targeting", [INSIDE, OUTSIDE])
def test_edit__while_a_launched_experiment_names_it__is_refused_and_says_which(status, targeting):
    row = beta(units=["u1"])
    experiment_in(status, targeting=targeting)
    changes = (
        lambda: edit(row, rules=[]),
        lambda: segments.add_segment_units(
            person("admin"), NOW, segment_id=row.pk, unit_ids=["u2"]
        ),
        lambda: segments.remove_segment_units(
            person("admin"), NOW, segment_id=row.pk, unit_ids=["u1"]
        ),
    )
    for change in changes:
        with pytest.raises(Refused) as refused:
            change()
        assert "experiment rerank" in str(refused.value)
        assert refused.value.problems[0].code == "segment_frozen"
    row.refresh_from_db()
    assert (row.rules, row.units.count()) == (BETA, 1)
    assert edit(row, name="Early testers").name == "Early testers"


def test_edit__after_the_experiment_is_over__is_free_and_with_a_rollout_open_is_not():
    row = beta()
    experiment = experiment_in(Status.COMPLETED, targeting=INSIDE)
    assert edit(row, rules=[]).rules == []
    rollout = Rollout.objects.create(
        flag=experiment.flag, experiment=experiment, iteration=experiment.iterations.get(), variant=experiment.variants.first(),
        audience={"unit_type": "user", "seed": "0" * 12, "targeting": OUTSIDE, "buckets": None}, returnable_until=NOW, created_at=NOW,
    )  # fmt: skip
    with pytest.raises(Refused, match="rollout on flag rerank"):
        edit(row, rules=BETA)
    Rollout.objects.filter(pk=rollout.pk).update(closed_at=NOW)
    assert edit(row, rules=BETA).rules == BETA


def test_launch__freezes_the_segment_s_content_without_its_ids():
    beta(units=["secret-person"])
    running(draft(targeting=INSIDE))
    design = Iteration.objects.get().design
    assert design["segments"]["beta"]["rules"] == BETA
    assert design["segments"]["beta"]["ids"]["user"]["count"] == 1
    assert "secret-person" not in json.dumps(design)


def test_sign_offs__on_another_content_of_the_segment__are_void_show_the_difference_and_block_the_start():
    row = beta(units=["u1"])
    experiment = ready_to_start(draft(policy="ai-low", targeting=INSIDE))

    def signed():
        found = states(Experiment.objects.get(pk=experiment.pk), NOW)
        return {one.item: one for one in found if one.item in (Item.DARK_LAUNCH, Item.APPROVAL)}

    assert {one.state for one in signed().values()} == {"done"}
    row.units.create(unit_id="u2")  # what the service refuses by now
    assert {one.state for one in signed().values()} == {"stale"}
    assert [line[:11] for line in signed()[Item.APPROVAL].diff] == ["- segments:", "+ segments:"]
    with pytest.raises(Refused):
        lifecycle.start(person("owner"), NOW, experiment_id=experiment.pk)


def test_conclude__then_edit__leaves_the_frozen_design_alone():
    row = beta()
    experiment = running(draft(targeting=INSIDE))
    frozen = Iteration.objects.get().design_sha256
    lifecycle.conclude(
        person("owner"),
        NOW,
        experiment_id=experiment.pk,
        outcome=Outcome.NO_EFFECT,
        reason="it is over",
    )
    edit(row, rules=[])
    assert Iteration.objects.get().design_sha256 == frozen


@pytest.mark.django_db(transaction=True)
def test_edit__while_a_launch_is_under_way__waits_and_is_refused():
    row = beta()
    experiment = draft(targeting=INSIDE)
    admin, refusals = person("admin"), []

    def change():
        try:
            segments.edit_segment(admin, NOW, segment_id=row.pk, rules=[])
        except Refused as refused:
            refusals.append(refused.message)
        finally:
            connection.close()

    other = threading.Thread(target=change)
    with transaction.atomic():
        lifecycle.start(person("owner"), NOW, experiment_id=experiment.pk)
        other.start()
        other.join(0.5)
        assert other.is_alive(), "the edit must wait for the launch that has read the segment"
    other.join(10)
    assert len(refusals) == 1
    assert Segment.objects.get().rules == BETA
