"""An analysis run: what it reads, what it says, when it looks, and that it keeps the last good
result.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from analytics.models import AnalysisRun, Decision, Look
from analytics.selectors.cards import card_of
from analytics.services.analysis.analysis import analyse, replay
from experiments.core.cards import Viewer
from experiments.core.errors import NotFound, Refused
from experiments.core.life.undecided import NEVER_LOOKED
from experiments.core.types import SYSTEM
from experiments.models import Pause
from tests.analytics.stores.observed import START, World, crowd, plan, world

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
AFTER_CLOCK = START + 8 * DAY + timedelta(hours=1)
"""START is a Monday, 0:00 UTC: the week is complete, and its first days' units are matured."""


def rows(run: AnalysisRun, key: str) -> dict[str, dict[str, object]]:
    metric = next(m for m in run.results["metrics"] if m["key"] == key)
    return {arm["arm"]: arm for arm in metric["arms"]}


def gaining(**fields: object) -> World:
    """Matured after the clock: 18 % against 24 % of 3,000 an arm."""
    w = world(auto_promote=True, **fields)
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    crowd(w, "control", 3000, START, events={"apply": 540})
    crowd(w, "treatment", 3000, START, events={"apply": 720})
    return w


def guarded(w: World, *, bad_control: int, bad_treatment: int, at: datetime = START + DAY) -> World:
    plan(
        w,
        "guardrail",
        "complained",
        margin=0.15,
        margin_kind="relative",
        rule="no_breach",
        action="stop",
    )
    crowd(w, "control", 2000, at, events={"complaint": bad_control})
    crowd(w, "treatment", 2000, at, events={"complaint": bad_treatment})
    return w


def test_analyse__two_arms__gives_rates_difference_interval_and_p() -> None:
    w = gaining()
    run = analyse(w.experiment.pk, now=AFTER_CLOCK)
    assert rows(run, "apply_conversion")["control"]["mean"] == pytest.approx(0.18)
    [against] = run.results["metrics"][0]["comparisons"]
    assert against["comparison"]["difference"] == pytest.approx(0.06)
    assert against["comparison"]["p"] == pytest.approx(1.1e-8, rel=0.5)
    assert not run.masked


def test_analyse__between_looks__overwrites_the_latest_run_and_spends_nothing() -> None:
    w = gaining()
    first = analyse(w.experiment.pk, now=START + 5 * DAY, may_look=True)
    second = analyse(w.experiment.pk, now=START + 5 * DAY + timedelta(minutes=5), may_look=True)
    assert first.pk == second.pk
    assert Look.objects.count() == Decision.objects.count() == 0
    assert "clock" in second.readiness["look"]["reason"]


def test_analyse__clock_complete_and_gain_proven__looks_once_a_day_and_decides_to_promote() -> None:
    w = gaining()
    analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    analyse(w.experiment.pk, now=AFTER_CLOCK + timedelta(hours=1), may_look=True)
    [look], [decision] = Look.objects.all(), Decision.objects.all()
    assert (look.local_day, look.last) == ((AFTER_CLOCK - DAY).date(), True)
    assert (decision.verdict, decision.outcome, decision.variant.key, decision.look) == (
        "promote",
        "promoted",
        "treatment",
        look,
    )
    assert AnalysisRun.objects.filter(latest=False).count() == 1


def test_analyse__person_asks__is_never_a_look() -> None:
    w = gaining()
    analyse(w.experiment.pk, now=AFTER_CLOCK)
    assert not Look.objects.exists()


def test_analyse__paused_or_imported__takes_no_look() -> None:
    for fields in ({"origin": "import"}, {}):
        w = gaining(key=f"quiet_{len(fields)}", **fields)
        if not fields:
            type(w.experiment).objects.filter(pk=w.experiment.pk).update(status="paused")
        analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert not Look.objects.exists()


def test_analyse__plan_needs_more_than_is_there__looks_each_day_until_it_is_enough() -> None:
    w = gaining()
    type(w.iteration).objects.filter(pk=w.iteration.pk).update(plan={"n_planned": 6000})
    analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    crowd(w, "control", 10000, START + 5 * DAY, events={"apply": 1800})
    crowd(w, "treatment", 10000, START + 5 * DAY, events={"apply": 2400})
    analyse(w.experiment.pk, now=AFTER_CLOCK + 2 * DAY, may_look=True)
    one, two = Look.objects.order_by("number")
    assert (one.information, one.last) == (pytest.approx(0.25), False)
    assert (two.information, two.last) == (1.0, True)
    assert one.state["n_planned"] == two.state["n_planned"] == 6000


def test_analyse__planned_end_comes_before_the_planned_units__that_look_is_the_last() -> None:
    w = gaining(planned_end=START + 7 * DAY + timedelta(hours=12))
    type(w.iteration).objects.filter(pk=w.iteration.pk).update(plan={"n_planned": 6000})
    analyse(w.experiment.pk, now=AFTER_CLOCK - DAY, may_look=True)
    analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert list(Look.objects.order_by("number").values_list("last", flat=True)) == [False, True]
    run = analyse(w.experiment.pk, now=AFTER_CLOCK + DAY, may_look=True)
    assert Look.objects.count() == 2
    assert "last look was taken" in run.readiness["look"]["reason"]


def test_analyse__metric_without_a_window__is_looked_at_once_at_the_planned_end() -> None:
    w = world(auto_promote=True, planned_end=START + 9 * DAY)
    plan(w, "primary", "conversion_rate", baseline=0.1, mde=0.2)
    for arm, many in {"control": 40, "treatment": 60}.items():
        crowd(w, arm, 400, START)
        for i in range(many):
            w.observe(f"{arm}{START:%d%H}-{i}", "conversion_rate", 1.0, START + DAY)
    for days in range(8, 12):
        analyse(w.experiment.pk, now=START + days * DAY + timedelta(hours=1), may_look=True)
    [look] = Look.objects.all()
    assert (look.local_day, look.last) == ((START + 8 * DAY).date(), True)


def unwindowed(**fields: object) -> World:
    """A running experiment whose metric has no conversion window."""
    w = world(**fields)
    plan(w, "primary", "conversion_rate", baseline=0.1, mde=0.2)
    crowd(w, "control", 400, START)
    crowd(w, "treatment", 400, START)
    return w


def said_of_looks(run: AnalysisRun) -> list[str]:
    """What the run says of looks: the finding, the next look, the decision's rule."""
    found = [one["sentence"] for one in run.health["findings"] if one["code"] == "never_looked"]
    return [*found, run.readiness["look"]["reason"], run.readiness["rule"]]


def test_analyse__metric_without_a_window_end_or_size__says_everywhere_that_no_look_will_ever_come() -> (
    None
):
    w = unwindowed()
    for days in (2, 8, 60):
        said = said_of_looks(analyse(w.experiment.pk, now=START + days * DAY, may_look=True))
        assert said == [NEVER_LOOKED] * 3
    assert not Look.objects.exists()
    card = card_of(w.experiment, START + 60 * DAY)
    assert "Nothing will ever be decided" in card.sentence
    assert card.step(Viewer(SYSTEM, member=False)).label == "Set a planned end"


@pytest.mark.parametrize("planned", [{"planned_end": START + 70 * DAY}, {"n_planned": 5000}])
def test_analyse__metric_without_a_window_but_with_an_end_or_a_size__waits_for_it(
    planned: dict[str, object],
) -> None:
    w = unwindowed(**{key: value for key, value in planned.items() if key == "planned_end"})
    if "n_planned" in planned:
        type(w.iteration).objects.filter(pk=w.iteration.pk).update(plan=planned)
    run = analyse(w.experiment.pk, now=START + 8 * DAY, may_look=True)
    assert "once, at the end" in run.readiness["look"]["reason"]
    assert not [one for one in run.health["findings"] if one["code"] == "never_looked"]


def test_analyse__shares_are_off__masks_results_and_takes_no_look() -> None:
    w = gaining()
    crowd(w, "control", 900, START + DAY)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert run.masked
    assert run.health["srm"]["p"] < 0.001
    assert run.readiness["kind"] == "hold"
    assert not Look.objects.exists()


def test_analyse__small_p_of_shares_seen_between_looks__warns_there_and_stops_the_look() -> None:
    # Given shares off at p = .0004, which is still no Bayes factor of 1,000
    w = world(auto_promote=True)
    plan(w, "primary", "apply_conversion", baseline=0.18, mde=0.2)
    crowd(w, "control", 3000, START, events={"apply": 540})
    crowd(w, "treatment", 3280, START, events={"apply": 780})
    # When it is analysed between looks, and when a look is due
    between = analyse(w.experiment.pk, now=START + 3 * DAY, may_look=True)
    due = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    # Then the first warns only (a p peeked at every tick errs more often than it says), the second
    # decides nothing
    assert (
        between.masked,
        [f["weight"] for f in between.health["findings"] if f["code"] == "srm"],
    ) == (False, ["yellow"])
    assert (due.masked, due.readiness["kind"]) == (True, "hold")
    assert not Look.objects.exists()


def test_analyse__ended_with_a_small_p_of_shares__masks_the_final_result() -> None:
    w = gaining()
    crowd(w, "treatment", 280, START + DAY)
    type(w.iteration).objects.filter(pk=w.iteration.pk).update(ended_at=START + 6 * DAY)
    assert analyse(w.experiment.pk, now=AFTER_CLOCK).masked


def test_analyse__two_arms_without_a_window_and_enough_units__are_looked_at_once_both() -> None:
    w = world(arms=("control", "one", "two"), auto_promote=True)
    plan(w, "primary", "conversion_rate", baseline=0.1, mde=0.2)
    for arm, units in {"control": 400, "one": 400, "two": 420}.items():
        crowd(w, arm, units, START)
        for i in range(units // 8):
            w.observe(f"{arm}{START:%d%H}-{i}", "conversion_rate", 1.0, START + DAY)
    type(w.iteration).objects.filter(pk=w.iteration.pk).update(plan={"n_planned": 150})
    for days in range(8, 11):
        analyse(w.experiment.pk, now=START + days * DAY + timedelta(hours=1), may_look=True)
    assert [look.last for look in Look.objects.all()] == [True]


def test_analyse__floor_reached_only_after_the_look__does_not_count() -> None:
    # Given 3,000 matured units an arm at the look of 72 hours, and 500 more that mature half an
    # hour later
    w = gaining(min_sample_size=3400)
    type(w.iteration).objects.filter(pk=w.iteration.pk).update(plan={"n_planned": 6000})
    for arm in ("control", "treatment"):
        crowd(w, arm, 500, START + 4 * DAY + timedelta(minutes=30), events={"apply": 100})
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert rows(run, "apply_conversion")["control"]["n"] == 3500
    assert Decision.objects.get().verdict == "keep"
    assert Decision.objects.get().facts["n_control"] == 3000


def test_analyse__planned_end_passed_without_a_legal_look__asks_a_person_once() -> None:
    w = gaining(planned_end=START + 4 * DAY + timedelta(hours=12))
    before = analyse(w.experiment.pk, now=START + 4 * DAY + timedelta(hours=20), may_look=True)
    for minutes in (5, 10):
        analyse(w.experiment.pk, now=START + 5 * DAY + timedelta(minutes=minutes), may_look=True)
    assert before.readiness["kind"] == "keep"
    [decision] = Decision.objects.all()
    assert (decision.verdict, decision.look) == ("escalate", None)
    assert "without a legal look" in decision.rule


def test_analyse__long_pause_inside_windows__leaves_units_out_of_looks_counts_them_and_keeps_them_for_alarms() -> (
    None
):
    w = guarded(gaining(), bad_control=60, bad_treatment=240)
    Pause.objects.create(
        iteration=w.iteration, started_at=START + 2 * DAY, ended_at=START + 4 * DAY, cause="person"
    )
    crowd(w, "control", 300, START + 5 * DAY)
    run = analyse(w.experiment.pk, now=START + 20 * DAY)
    assert rows(run, "apply_conversion")["control"]["n"] == 300
    left_out = next(f for f in run.health["findings"] if f["code"] == "left_out")
    assert left_out["sentence"].startswith("10,000 matured units")
    assert run.verdicts["guardrails"][0]["verdict"] == "breach"


def test_analyse__one_percent_met_both_arms__masks() -> None:
    w = gaining()
    met = w.iteration.assignments.filter(variant=w.arms["control"]).order_by("pk")[:60]
    w.iteration.assignments.filter(pk__in=list(met.values_list("pk", flat=True))).update(
        crossover=True
    )
    run = analyse(w.experiment.pk, now=AFTER_CLOCK)
    assert run.masked
    assert [f["code"] for f in run.health["findings"]] == ["crossover"]


def test_analyse__nobody_or_one_arm_only__is_a_named_finding() -> None:
    w = world()
    plan(w, "primary", "apply_conversion")
    empty = analyse(w.experiment.pk, now=AFTER_CLOCK)
    crowd(w, "control", 30, START)
    lonely = analyse(w.experiment.pk, now=AFTER_CLOCK)
    assert empty.health["findings"][0]["code"] == "no_data"
    assert "one_arm" in {f["code"] for f in lonely.health["findings"]}
    assert lonely.masked


def test_analyse__ratio_without_a_denominator__says_so_and_gives_no_number() -> None:
    w = gaining()
    plan(w, "secondary", "apply_rate")
    run = analyse(w.experiment.pk, now=AFTER_CLOCK)
    ratio = next(m for m in run.results["metrics"] if m["key"] == "apply_rate")
    [against] = ratio["comparisons"]
    assert "denominators of control add up to nothing" in against["comparison"]["reason"]
    assert (against["comparison"]["p"], ratio["arms"][0]["mean"]) == (None, None)


def test_analyse__every_run__carries_the_sequential_view_on_and_never_widens_it() -> None:
    w = gaining()
    first = analyse(w.experiment.pk, now=START + 5 * DAY).results["metrics"][0]["comparisons"][0][
        "always"
    ]
    crowd(w, "control", 400, START + DAY, events={"apply": 72})
    crowd(w, "treatment", 400, START + DAY, events={"apply": 96})
    second = analyse(w.experiment.pk, now=START + 6 * DAY).results["metrics"][0]["comparisons"][0][
        "always"
    ]
    assert (
        first["interval"]["low"]
        <= second["interval"]["low"]
        <= 0.06
        <= second["interval"]["high"]
        <= first["interval"]["high"]
    )
    assert second["p"] <= first["p"] < 0.001


def test_analyse__guardrail_breached_between_looks__decides_to_stop_once() -> None:
    w = guarded(gaining(), bad_control=60, bad_treatment=240)
    now = START + 3 * DAY
    run = analyse(w.experiment.pk, now=now, may_look=True)
    analyse(w.experiment.pk, now=now + timedelta(minutes=5), may_look=True)
    assert run.verdicts["guardrails"][0]["verdict"] == "breach"
    [decision] = Decision.objects.all()
    assert (decision.verdict, decision.outcome, decision.look) == ("stop", "stopped_harm", None)


def test_analyse__guardrail_without_harm__does_not_stand_in_the_way() -> None:
    w = guarded(gaining(), bad_control=60, bad_treatment=61)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    assert run.verdicts["guardrails"][0]["verdict"] != "breach"
    assert Decision.objects.get().verdict == "promote"


def test_analyse__harm_that_began_yesterday__shows_in_the_recent_series() -> None:
    w = gaining()
    guarded(w, bad_control=0, bad_treatment=0, at=START + DAY)
    guarded_at = START + 6 * DAY
    crowd(w, "control", 2000, guarded_at, events={"complaint": 40})
    crowd(w, "treatment", 2000, guarded_at, events={"complaint": 200})
    analyse(w.experiment.pk, now=guarded_at + timedelta(hours=20), may_look=True)
    assert Decision.objects.get().verdict == "stop"


def test_analyse__three_arms__compares_each_with_control_and_adjusts_by_holm() -> None:
    w = world(arms=("control", "mens", "womens"))
    plan(w, "primary", "apply_conversion")
    for arm, events in {"control": 100, "mens": 130, "womens": 120}.items():
        crowd(w, arm, 1000, START, events={"apply": events})
    run = analyse(w.experiment.pk, now=AFTER_CLOCK)
    mens, womens = run.results["metrics"][0]["comparisons"]
    assert mens["adjusted_p"] == pytest.approx(min(1, 2 * mens["comparison"]["p"]))
    assert womens["adjusted_p"] == pytest.approx(max(mens["adjusted_p"], womens["comparison"]["p"]))
    assert mens["comparison"]["ci"]["level"] == pytest.approx(0.975)


@pytest.mark.parametrize(
    ("origin", "shares"), [("import", [1 / 3] * 3), ("live", [0.334, 0.333, 0.333])]
)
def test_analyse__thirds__are_exact_where_no_bucket_was_handed_out(
    origin: str, shares: list[float]
) -> None:
    w = world(arms=("control", "mens", "womens"), origin=origin)
    plan(w, "primary", "apply_conversion")
    run = analyse(w.experiment.pk, now=AFTER_CLOCK)
    assert [arm["expected_share"] for arm in run.totals["arms"]] == pytest.approx(shares)


def test_replay__stored_decision__says_the_same_from_its_stored_facts() -> None:
    w = guarded(gaining(), bad_control=60, bad_treatment=61)
    analyse(w.experiment.pk, now=AFTER_CLOCK, may_look=True)
    stored = Decision.objects.get()
    again = replay(stored)
    assert (again.kind, again.rule) == (stored.verdict, stored.rule)
    stored.facts["arms"][0]["crossed"] = None
    assert replay(stored).kind != "promote"


def test_analyse__store_fails__keeps_the_last_good_run_and_says_so() -> None:
    class Broken:
        def snapshot(self) -> object:
            raise OSError("the store is gone")

    w = gaining()
    good = analyse(w.experiment.pk, now=START + 5 * DAY)
    with pytest.raises(OSError, match="gone"):
        analyse(w.experiment.pk, now=AFTER_CLOCK, store=Broken())
    run = AnalysisRun.objects.get(latest=True)
    assert (run.results, run.computed_at) == (good.results, good.computed_at)
    assert (run.failed_at, run.error) == (AFTER_CLOCK, "OSError: the store is gone")
    assert analyse(w.experiment.pk, now=AFTER_CLOCK).error == ""


def test_analyse__ended_iteration__is_frozen_at_its_end() -> None:
    w = gaining()
    end = START + 6 * DAY
    type(w.iteration).objects.filter(pk=w.iteration.pk).update(ended_at=end)
    crowd(w, "control", 500, START + 7 * DAY)
    run = analyse(w.experiment.pk, now=AFTER_CLOCK)
    assert run.data_cut == end
    assert {arm["key"]: arm["units"] for arm in run.totals["arms"]} == {
        "control": 3000,
        "treatment": 3000,
    }


def test_analyse__never_launched_or_unknown__is_refused() -> None:
    w = world()
    w.iteration.delete()
    with pytest.raises(Refused, match="never launched"):
        analyse(w.experiment.pk, now=START)
    with pytest.raises(NotFound):
        analyse(10**6, now=START)
