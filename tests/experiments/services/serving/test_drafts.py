"""Creating and editing drafts; what is refused leaves nothing behind."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from experiments.core.design.design import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.errors import AssayError, Conflict, Forbidden, InvalidInput, NotFound, Refused
from experiments.core.types import SYSTEM, FlagType, Scope, Status
from experiments.models import ChangeLogEntry, Experiment, Flag, Metric, ServingDocument
from experiments.selectors.experiments import resolve
from experiments.services.drafts import drafts
from experiments.services.serving import flags
from tests.factories import (
    METRICS,
    NOW,
    TWO_ARMS,
    draft,
    experiment_in,
    key_of,
    lifecycle_of,
    person,
)

pytestmark = pytest.mark.django_db


def edit(experiment: Experiment, actor=None, reason: str = "", **changes: object) -> Experiment:
    return drafts.edit_experiment(
        actor or person("owner"), NOW, experiment_id=experiment.pk, changes=changes, reason=reason
    )


def create(**fields: object) -> Experiment:
    return drafts.create_experiment(
        person("owner"), NOW, spec=ExperimentSpec(**{"name": "A test", **fields})
    )


def test_create__from_a_name_alone__has_key_flag_owner_and_default_policy():
    experiment = create(name="Lead Qualification: Friendly?")

    assert (experiment.key, experiment.policy.key, experiment.status) == (
        "lead-qualification-friendly",
        "standard",
        Status.DRAFT,
    )
    assert (experiment.flag.value_type, experiment.owner.username) == (FlagType.OBJECT, "owner")
    assert ChangeLogEntry.objects.get(action="experiment_created").actor_label == "owner"


@pytest.mark.parametrize(
    ("name", "key"),
    [("12345", "experiment-12345"), ("Summary", "experiment-summary"), ("Опрос", "experiment")],
)
def test_create__name_that_makes_no_key__gets_one_that_cannot_be_mistaken(name, key):
    assert create(name=name).key == key


@pytest.mark.parametrize(
    ("arms", "control"),
    [
        (("a", "b"), "a"),
        (("a", "Baseline"), "Baseline"),
        (("a", "control"), "control"),
        (("control", "b*"), "b"),
    ],
)
def test_create__control__is_the_one_that_says_so_else_by_name_else_the_first(arms, control):
    specs = tuple(
        VariantSpec(arm.strip("*"), 500, config={"n": arm}, is_control="*" in arm) for arm in arms
    )

    experiment = create(variants=specs)

    assert experiment.variants.get(is_control=True).key == control
    assert experiment.flag.default_value == experiment.variants.get(is_control=True).config


def test_create__undeclared_metrics__become_exploratory():
    create(primary_metric="prompt_charm", secondary_metrics=("never_heard_of",))

    assert set(Metric.objects.filter(exploratory=True).values_list("key", flat=True)) == {
        "prompt_charm",
        "never_heard_of",
    }


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"variants": (VariantSpec("a", 500), VariantSpec("b", 400))}, InvalidInput),
        (
            {
                "variants": (
                    VariantSpec("a", 500, is_control=True),
                    VariantSpec("b", 500, is_control=True),
                )
            },
            InvalidInput,
        ),
        ({"variants": (VariantSpec("a", 500), VariantSpec("a", 500))}, InvalidInput),
        ({"variants": (VariantSpec("a", 1500), VariantSpec("b", -500))}, InvalidInput),
        (
            {
                "variants": (
                    VariantSpec("a", 500, config={"x": float("nan")}),
                    VariantSpec("b", 500),
                )
            },
            InvalidInput,
        ),
        ({"key": "123"}, InvalidInput),
        ({"key": "summary"}, InvalidInput),
        ({"name": ""}, InvalidInput),
        ({"name": "x" * 201}, InvalidInput),
        ({"name": "nul\x00"}, InvalidInput),
        ({"description": "half \ud800"}, InvalidInput),
        ({"traffic": 0}, InvalidInput),
        ({"traffic": 1001}, InvalidInput),
        ({"policy_key": "none"}, InvalidInput),
        ({"flag_key": "none"}, NotFound),
        ({"time_zone": "Mars/Olympus"}, InvalidInput),
        ({"planned_end": datetime(2026, 4, 1)}, InvalidInput),
        ({"targeting": [{"attribute": "a", "op": "regex", "value": "x"}]}, InvalidInput),
        ({"metrics": (MetricPlan("ai_error_units", "guardrail"),)}, InvalidInput),
        ({"metrics": (MetricPlan("apply_conversion", "boss"),)}, InvalidInput),
        ({"metrics": (MetricPlan("apply_conversion", "primary", mde=float("inf")),)}, InvalidInput),
        ({"metrics": (MetricPlan("no spaces", "primary"),)}, InvalidInput),
    ],
)
def test_create__bad_input__is_refused_and_nothing_is_half_stored(fields, kind):
    with pytest.raises(kind):
        create(**fields)

    assert (Experiment.objects.count(), Flag.objects.count(), ServingDocument.objects.count()) == (
        0,
        0,
        0,
    )


def test_create__taken_key_or_name__is_a_conflict():
    create(name="One", key="one")

    with pytest.raises(Conflict):
        create(name="Two", key="one")
    with pytest.raises(Conflict):
        create(name="One", key="two")


@pytest.mark.parametrize("name", ["stranger"])
def test_create__viewer__is_forbidden(name):
    with pytest.raises(Forbidden):
        drafts.create_experiment(person(name), NOW, spec=ExperimentSpec(name="x"))


def test_create__machine__is_refused_since_nobody_would_own_it():
    with pytest.raises(Forbidden):
        drafts.create_experiment(SYSTEM, NOW, spec=ExperimentSpec(name="x"))


def test_create__by_key__belongs_to_the_keys_owner():
    assert (
        drafts.create_experiment(key_of("owner"), NOW, spec=ExperimentSpec(name="x")).owner.username
        == "owner"
    )


def test_resolve__id_uuid_key_and_name__find_the_same():
    experiment = draft()

    assert {
        resolve(ref).pk
        for ref in (
            experiment.pk,
            str(experiment.pk),
            str(experiment.uuid),
            "rerank",
            "Experiment rerank",
        )
    } == {experiment.pk}
    for unknown in ("nobody", "0", "99999999999999999999", ""):
        with pytest.raises(NotFound):
            resolve(unknown)


def test_edit__draft__writes_before_and_after():
    edit(draft(), traffic=500, hypothesis="other")

    line = ChangeLogEntry.objects.get(action="experiment_edited")
    assert (line.before["traffic"], line.after["traffic"]) == (1000, 500)


@pytest.mark.parametrize("name", ["approver", "reviewer", "qa", "stranger"])
def test_edit__outside_the_team__is_forbidden_until_invited(name):
    experiment = draft()
    with pytest.raises(Forbidden):
        edit(experiment, person(name), traffic=500)

    edit(experiment, collaborators=[person(name).user_id])

    if name != "stranger":
        assert edit(experiment, person(name), traffic=500).traffic == 500


@pytest.mark.parametrize(
    "status", [Status.DARK_LAUNCH, Status.RUNNING, Status.PAUSED, Status.COMPLETED]
)
@pytest.mark.parametrize(
    "field",
    ["traffic", "targeting", "policy", "flag", "hypothesis", "min_sample_size", "time_zone"],
)
def test_edit__launched_design__is_refused_naming_the_field(status, field):
    with pytest.raises(Refused) as refusal:
        edit(experiment_in(status), **{field: "x"})

    assert refusal.value.field == field
    assert refusal.value.problems[0].code == "design_frozen"


def test_edit__launched__notes_and_end_want_a_reason_and_labels_do_not():
    experiment = experiment_in(Status.RUNNING)
    end = NOW + timedelta(days=60)

    with pytest.raises(InvalidInput):
        edit(experiment, planned_end=end)
    assert edit(experiment, reason="a holiday", planned_end=end).planned_end == end
    assert edit(experiment, name="Better name").name == "Better name"


def test_edit__notes__are_for_people_not_for_keys():
    experiment = experiment_in(Status.RUNNING)
    key = key_of("owner", Scope.MANAGEMENT)

    assert (
        edit(experiment, reason="seen in the logs", notes="a campaign ran").notes
        == "a campaign ran"
    )
    with pytest.raises(Forbidden, match="notes and comments"):
        drafts.edit_experiment(
            key, NOW, experiment_id=experiment.pk, changes={"notes": "x"}, reason="y"
        )


def test_plan_metrics__launched__only_secondary_ones_with_a_reason():
    experiment = experiment_in(Status.RUNNING)

    def plan(*more: MetricPlan, reason: str = "curious") -> None:
        drafts.plan_metrics(
            person("owner"), NOW, experiment_id=experiment.pk, metrics=more, reason=reason
        )

    with pytest.raises(InvalidInput):
        plan(*METRICS, MetricPlan("clicks", "secondary"), reason="")
    with pytest.raises(Refused):
        plan(METRICS[0])
    plan(*METRICS, MetricPlan("clicks", "secondary"))
    assert lifecycle_of(experiment).planned_metrics.count() == 3


def test_set_variants__control_and_names_change_places__keeps_rows_by_key():
    experiment = draft()
    ids = dict(experiment.variants.values_list("key", "id"))
    swapped = (
        VariantSpec("treatment", 500, key="control", config={"model": "a"}),
        VariantSpec("control", 500, key="treatment", config={"model": "b"}, is_control=True),
    )

    drafts.set_variants(person("owner"), NOW, experiment_id=experiment.pk, variants=swapped)

    assert dict(experiment.variants.values_list("key", "id")) == ids
    assert lifecycle_of(experiment).flag.default_value == {"model": "b"}


def test_set_variants__launched__is_refused():
    with pytest.raises(Refused):
        drafts.set_variants(
            person("owner"), NOW, experiment_id=experiment_in(Status.RUNNING).pk, variants=TWO_ARMS
        )


class TestFlags:
    def test_create_flag__typed__answers_its_default(self):
        flag = flags.create_flag(
            person("owner"), NOW, key="coach", value_type=FlagType.BOOLEAN, default_value=False
        )

        assert (flag.default_value, flag.owner.username) == (False, "owner")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"key": "a b"},
            {"default_value": "yes"},
            {"value_type": "colour"},
            {"default_value": None},
        ],
    )
    def test_create_flag__ill_formed__is_refused(self, wrong):
        with pytest.raises(AssayError):
            flags.create_flag(
                person("owner"),
                NOW,
                **{"key": "coach", "value_type": "boolean", "default_value": False, **wrong},
            )

        assert not Flag.objects.exists()

    def test_switch__whatever_runs_on_it__reaches_the_catalogue(self):
        experiment = experiment_in(Status.RUNNING)
        before = ServingDocument.objects.count()

        flags.switch(
            person("owner"), NOW, flag_key=experiment.flag_id, enabled=False, reason="it hurts"
        )

        assert not Flag.objects.get().enabled
        assert ServingDocument.objects.count() == before + 1

    def test_switch__by_a_stranger__is_forbidden(self):
        with pytest.raises(Forbidden):
            flags.switch(
                person("approver"), NOW, flag_key=draft().flag_id, enabled=False, reason="x"
            )

    def test_set_default__while_an_experiment_serves__is_refused(self):
        experiment = experiment_in(Status.RUNNING)

        with pytest.raises(Refused):
            flags.set_default(
                person("owner"), NOW, flag_key=experiment.flag_id, default_value={}, reason="x"
            )
