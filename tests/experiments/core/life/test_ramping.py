"""A ramp's steps as declared, and the next move by facts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from experiments.core.errors import InvalidInput
from experiments.core.life.ramping import (
    HeldBy,
    RampFacts,
    RampStep,
    Sign,
    first_share,
    next_move,
    parse_ramp,
    standing_against,
    waits_for,
)

STEPS = (RampStep(10, 24, 100), RampStep(200, 48, 1000), RampStep(1000, 24))
READY = RampFacts(STEPS, at=1, hours=48.0, units=1000)
STOP, HOLD, ESCALATE = (
    Sign("latency", "treatment", action) for action in ("stop", "hold", "escalate")
)


def kind(**changes: object) -> str:
    return next_move(replace(READY, **changes)).kind  # type: ignore[arg-type]  # fields by name


def test_next_move__minimum_hold_and_units_met__advances_and_never_asks_for_safe():
    move = next_move(READY)

    assert move.kind == "advance"
    assert (
        move.rule == "48 hours and 1,000 units at 20 %, no guardrail breached, no arm proven worse"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [({"hours": 47.9}, "47.9 of 48 hours"), ({"units": 999}, "999 of 1,000 units")],
)
def test_next_move__a_minimum_is_missing__waits_and_names_it(change, says):
    move = next_move(replace(READY, **change))

    assert (move.kind, move.rule) == ("wait", f"not yet: {says}")


def test_next_move__nobody_met_yet__waits_where_no_units_are_declared_too():
    move = next_move(RampFacts((RampStep(10, 24), RampStep(1000)), 0, 30.0, 0))

    assert (move.kind, move.rule) == ("wait", "not yet: 0 of 1 unit")


def test_next_move__worse_within_the_margin__holds_until_it_is_gone():
    assert kind(worsening=(STOP,)) == "hold"
    assert kind(worsening=(STOP,), held_by=HeldBy.MACHINE) == "wait"
    assert kind(held_by=HeldBy.MACHINE) == "resume"


def test_next_move__masked_results__hold_and_say_why():
    move = next_move(replace(READY, masked=("the arms did not get their shares",)))

    assert (move.kind, move.rule) == (
        "hold",
        "results are masked: the arms did not get their shares",
    )


@pytest.mark.parametrize(
    ("sign", "at", "moves"),
    [
        (HOLD, 1, "hold"),
        (ESCALATE, 1, "roll_back"),
        (STOP, 1, "roll_back"),
        (ESCALATE, 0, "hold"),
        (ESCALATE, 2, "roll_back"),
    ],
)
def test_next_move__breach__holds_where_the_plan_says_so_else_goes_one_step_back(sign, at, moves):
    assert kind(breached=(sign,), at=at, hours=1.0) == moves


def test_next_move__breach_before_the_minimum_hold__does_not_wait_for_it():
    assert kind(breached=(ESCALATE,), hours=0.1, units=0) == "roll_back"


def test_next_move__held_by_a_person__moves_nothing_whatever_is_found():
    for facts in ({}, {"breached": (STOP,)}, {"worsening": (STOP,)}, {"masked": ("x",)}):
        assert kind(held_by=HeldBy.PERSON, **facts) == "wait"


def test_next_move__no_analysis_to_go_by__waits_and_moves_nothing():
    move = next_move(replace(READY, unknown="the newest analysis failed", breached=(STOP,)))

    assert (move.kind, move.rule) == ("wait", "the newest analysis failed")


def test_next_move__last_step_lasted_its_hours__is_complete_and_leaves_harm_to_the_guardrails():
    assert kind(at=2, hours=24.0) == "complete"
    assert kind(at=2, hours=24.0, breached=(ESCALATE,)) == "complete"
    assert kind(at=2, hours=24.0, held_by=HeldBy.MACHINE) == "resume"
    assert kind(at=2, hours=23.0) == "wait"


def test_standing_against__several__names_each_guardrail_and_arm_once():
    facts = replace(READY, breached=(STOP, STOP), worsening=(replace(HOLD, guardrail="errors"),))

    assert standing_against(facts) == (
        "guardrail breached (latency on treatment)",
        "worse than control, beyond the margin not yet (errors on treatment)",
    )


def test_waits_for__last_step__never_waits_for_units():
    assert waits_for(replace(READY, at=2, hours=24.0, units=0)) == ()


@pytest.mark.parametrize(
    ("change_at", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-02-28", 24)]
)
def test_hours__over_a_day_of_23_or_25_hours_or_a_months_end__are_hours_that_passed(
    change_at, hours
):
    """A minimum hold of 24 hours is 24 hours, whatever the wall clock did: local midnight to
    midnight may be too short.
    """
    from analytics.core.deciding.windows import day_start

    day = datetime.fromisoformat(change_at).date()
    passed = (
        day_start(day + timedelta(days=1), "Europe/Berlin") - day_start(day, "Europe/Berlin")
    ) / timedelta(hours=1)
    move = next_move(RampFacts(STEPS, 0, passed, 100))

    assert passed == hours
    assert move.kind == ("advance" if hours >= 24 else "wait")


def test_parse_ramp__its_own_json__comes_back_the_same():
    assert parse_ramp([step.as_json() for step in STEPS]) == STEPS
    assert parse_ramp(None) == parse_ramp([]) == ()
    assert parse_ramp([{"share": 5}]) == (RampStep(5),)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ("10 %", "ramp"),
        ([{"share": 10}] * 21, "ramp"),
        ([{"hours": 24}], "ramp[0]"),
        ([{"share": 10, "days": 1}], "ramp[0]"),
        ([{"share": 10}, {"share": 0}], "ramp[1].share"),
        ([{"share": 1001}], "ramp[0].share"),
        ([{"share": True}], "ramp[0].share"),
        ([{"share": 10.0}], "ramp[0].share"),
        ([{"share": 10, "hours": -1}], "ramp[0].hours"),
        ([{"share": 10, "units": "many"}], "ramp[0].units"),
    ],
)
def test_parse_ramp__anything_else__is_refused_at_its_place(document, field):
    with pytest.raises(InvalidInput) as refusal:
        parse_ramp(document)

    assert refusal.value.field == field


def test_first_share__with_and_without_a_ramp():
    assert (first_share(STEPS, 1000), first_share((), 300)) == (10, 300)


def test_clock__on_the_way_up__counts_only_days_at_the_last_step():
    from analytics.core.deciding.windows import ServingSpan, clock

    berlin = "Europe/Berlin"
    start = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)  # a Saturday, the day before clocks go forward
    at_last_step = [
        ServingSpan(start, start + timedelta(days=3)),
        ServingSpan(start + timedelta(days=5)),
    ]

    found = clock(at_last_step, berlin, 1, start + timedelta(days=10))

    # Sunday 29th (23 hours long) and Monday 30th; a step back from Tuesday to Thursday; Friday 3rd
    # to Monday 6th.
    assert (found.days, found.per_weekday) == (6, (2, 0, 0, 0, 1, 1, 2))


def test_without__gaps_before_within_over_and_after__leave_what_was_served():
    from analytics.core.deciding.windows import ServingSpan, without

    def at(hour: int) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=hour)

    whole = [ServingSpan(at(10), at(20))]

    assert without(whole, []) == (ServingSpan(at(10), at(20)),)
    assert without(whole, [(at(1), at(5)), (at(12), at(14))]) == (
        ServingSpan(at(10), at(12)),
        ServingSpan(at(14), at(20)),
    )
    assert without(whole, [(at(5), at(11)), (at(19), at(25))]) == (ServingSpan(at(11), at(19)),)
    assert without(whole, [(at(5), at(25))]) == ()
    assert without(
        [ServingSpan(at(10), at(12)), ServingSpan(at(14), at(16))], [(at(11), at(15))]
    ) == (
        ServingSpan(at(10), at(11)),
        ServingSpan(at(15), at(16)),
    )
