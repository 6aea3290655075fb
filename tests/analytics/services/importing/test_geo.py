"""Geo pilots: stored whole, read once, never promoted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import time_machine
from django.db import DatabaseError, IntegrityError, transaction

from analytics.models import AnalysisRun, Decision, GeoObservation, GeoPilot, GeoRegion, Look
from analytics.selectors import due, geo
from analytics.selectors.results import latest, view_of
from analytics.services.analysis.analysis import analyse
from analytics.services.importing.geo import import_pilot
from analytics.tasks import analyse_due, decide_due
from experiments.core.errors import Conflict, InvalidInput
from experiments.core.types import Actor, ActorKind, Origin, Outcome, Role, Status
from experiments.models import ChangeLogEntry, Experiment, Rollout
from experiments.selectors.actors import actor_for_user
from experiments.services.drafts.templates import create_from_template
from tests.analytics.core.stats.did.panels import drawn, panel, with_gaps
from tests.analytics.services.analysis.test_decisions import winner
from tests.factories import user

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def pilot(key="pilot", whole=None, **named):
    """An imported pilot: ten regions, eight periods, unless another panel is given."""
    actor = Actor(kind=ActorKind.MACHINE, label="import_geo", user_id=user("importer").pk)
    whole = drawn(3, effect=1.5) if whole is None else whole
    done = import_pilot(
        actor, NOW, key=key, panel=whole, metric="sales", source="sales.csv", **named
    )
    return Experiment.objects.get(pk=done.experiment_id)


def test_import__a_panel__is_a_completed_geo_experiment_that_serves_nothing():
    made = pilot()
    assert (made.experiment_type, made.origin, made.status, made.outcome) == (
        "geo",
        Origin.IMPORT,
        Status.COMPLETED,
        Outcome.NONE,
    )
    assert (made.flag_id, made.auto_promote, made.iterations.get().buckets.count()) == (
        None,
        False,
        0,
    )
    assert [v.name for v in made.variants.all()] == ["control regions", "treated regions"]
    assert ChangeLogEntry.objects.get(experiment=made, action="import").after["treated"] == 5


def test_import__a_draft_made_for_the_pilot__becomes_it_with_what_was_expected():
    actor = actor_for_user(user("olga", Role.PRODUCT_OWNER))
    draft = create_from_template(
        actor, NOW - timedelta(days=90), template_key="geo_pilot", name="Posters", key="posters"
    )
    made = pilot("posters")
    assert (made.pk, made.owner_id, made.status) == (draft.pk, actor.user_id, Status.COMPLETED)
    assert made.hypothesis and made.iterations.get().design["hypothesis"] == made.hypothesis
    create_from_template(actor, NOW, template_key="aa_test", name="Not a pilot", key="taken")
    with pytest.raises(Conflict, match="taken"):
        pilot("taken")


def test_import__panel_with_gaps__comes_back_as_it_was():
    whole = with_gaps(drawn(3), (2, 1), (6, 5))
    found = geo.panel_of_pilot(geo.pilot_of(pilot(whole=whole).pk))
    assert (found.regions, found.periods) == (whole.regions, whole.periods)
    assert np.array_equal(found.values, whole.values, equal_nan=True)
    assert (
        found.treated.tolist() == whole.treated.tolist()
        and found.post.tolist() == whole.post.tolist()
    )
    assert GeoObservation.objects.count() == 78


def test_import__fails_half_way__leaves_nothing(monkeypatch):
    def broken(*args, **named):
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(GeoObservation.objects, "bulk_create", broken)
    with pytest.raises(RuntimeError), transaction.atomic():
        pilot()
    assert not Experiment.objects.exists() and not GeoRegion.objects.exists()


@pytest.mark.parametrize("name", ["", "r" * 201, "nul\0"])
def test_import__a_name_that_cannot_be_stored__is_refused(name):
    whole = drawn(3)
    named = type(whole)(
        (name, *whole.regions[1:]), whole.periods, whole.treated, whole.post, whole.values
    )
    with pytest.raises(InvalidInput, match="1 to 200 characters"):
        pilot(whole=named)


@pytest.mark.parametrize(
    "change",
    [
        lambda: GeoPilot.objects.update(start=1),
        lambda: GeoRegion.objects.update(treated=True),
        lambda: GeoObservation.objects.all().delete(),
    ],
)
def test_pilot__once_written__cannot_be_changed(change):
    pilot()
    with pytest.raises((DatabaseError, IntegrityError)), transaction.atomic():
        change()


def test_analyse__a_pilot__stores_one_run_with_both_views_and_one_line():
    made = pilot()
    run = analyse(made.pk, now=NOW + timedelta(hours=1))
    again = analyse(made.pk, now=NOW + timedelta(hours=2))
    found = geo.view_of(again).result
    assert again.pk == run.pk and AnalysisRun.objects.count() == 1
    assert (found.treated, found.regions, found.periods) == (5, 10, 8)
    assert found.decision_p == max(test.p for test in found.tests)
    assert found.sequential.reason == "10 regions; below 100 a pilot is read once, at its end"
    assert ChangeLogEntry.objects.filter(experiment=made, action="geo_read").count() == 1
    assert not Look.objects.exists() and not Decision.objects.exists()


def test_analyse__confidence_level__is_the_experiments():
    found = geo.view_of(analyse(pilot(confidence_level="0.90").pk, now=NOW))
    assert found.level == 0.9 and found.result.ci.level == pytest.approx(0.9)


def test_analyse__nothing_to_compare__says_why_and_is_no_failure():
    gone = with_gaps(
        panel(drawn(3, regions=4, treated=1).values, 1, 4), *((0, t) for t in range(4))
    )
    run = analyse(pilot(whole=gone).pk, now=NOW)
    assert run.failed_at is None
    assert (
        geo.view_of(run).result.reason
        == "0 treated and 3 control regions have values before and after"
    )
    assert "cannot say" in run.readiness["rule"]


def test_beat__a_pilot_without_a_run__is_read_once_and_never_promoted():
    made = pilot()
    with time_machine.travel(NOW + timedelta(minutes=10), tick=False):
        assert made.pk in due.ended_without_final_run()
        analyse_due()
        assert made.pk not in due.ended_without_final_run()
        decide_due()
    made.refresh_from_db()
    assert geo.latest(made).result.estimate is not None
    assert (made.status, made.outcome) == (Status.COMPLETED, Outcome.NONE)
    assert not Rollout.objects.exists() and not Decision.objects.exists()


def test_decide__a_live_experiment_of_type_geo__asks_a_person_though_auto_promotion_was_asked_for():
    kinds = {}
    for kind in ("feature", "geo"):
        made = winner(f"live_{kind}", experiment_type=kind)
        kinds[kind] = Decision.objects.get(iteration=made.iteration).verdict
    assert kinds == {"feature": "promote", "geo": "escalate"}


def test_views__a_pilot_and_another_experiment__do_not_mix():
    made = pilot()
    run = analyse(made.pk, now=NOW)
    assert view_of(run).metrics == () and not latest(made).masked
    assert [(arm.name, arm.units) for arm in view_of(run).arms] == [
        ("control regions", 5),
        ("treated regions", 5),
    ]
    other = pilot("unread")
    assert geo.latest(other) is None and geo.pilot_of(0) is None


def test_analyse__fails__keeps_the_last_good_reading_and_says_so(monkeypatch):
    made = pilot()
    analyse(made.pk, now=NOW)

    def broken(*args, **named):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("analytics.services.importing.geo.difference_in_differences", broken)
    with pytest.raises(RuntimeError):
        analyse(made.pk, now=NOW + timedelta(hours=1))
    found = geo.latest(made)
    assert "out of memory" in found.error and found.result is not None
