"""Decision cards: every state has a sentence, an urgency and a next step; the effect stands in the
first sentence.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from experiments.core.cards import (
    Breach,
    CardFacts,
    Effect,
    Reading,
    RolledOut,
    State,
    Stop,
    Unmet,
    Viewer,
    card,
)
from experiments.core.cards.urgency import WORDS, Urgency
from experiments.core.life.reasons import says_why
from experiments.core.permissions import Action
from experiments.core.types import Actor, ActorKind, Outcome, PauseCause, Role, Status

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
EFFECT = Effect("Apply rate", "Warm", True, 0.012, 0.003, 0.021, 0.95, 0.1, "better")
READ = Reading(
    kind="keep",
    arm="Warm",
    units=500,
    effects=(EFFECT,),
    guardrails={"Cost": "safe", "Errors": "safe"},
)
LIVE = CardFacts(Status.RUNNING, reading=READ, hours=30)
COST = Breach("Cost", "Warm", Effect("Cost", "Warm", False, 0.5, 0.4, 0.6, 0.95, 0.5))
OWNER = Viewer(Actor(ActorKind.PERSON, "olivia", 1, frozenset({Role.PRODUCT_OWNER})), member=True)
SECOND = Viewer(Actor(ActorKind.PERSON, "paula", 2, frozenset({Role.PRODUCT_OWNER})), member=False)
VISITOR = Viewer(Actor(ActorKind.PERSON, "victor", 3, frozenset({Role.VIEWER})), member=False)


def _running(**changes: object) -> CardFacts:
    return replace(LIVE, reading=replace(READ, **changes))  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize(
    ("status", "outcome", "cause"), list(product(Status, Outcome, PauseCause)), ids=str
)
@pytest.mark.parametrize("reading", [None, READ], ids=["unread", "read"])
def test_card__every_status_outcome_and_cause__is_whole_sentences_and_a_step(
    status, outcome, cause, reading
) -> None:
    found = card(CardFacts(status, outcome, cause, reading=reading))
    assert found.sentence.endswith(".")
    assert "  " not in found.sentence
    assert found.step(OWNER).label


@pytest.mark.parametrize(
    ("facts", "state", "urgency"),
    [
        (_running(kind="stop"), State.STOPPING, Urgency.HARM),
        (_running(kind="escalate", breaches=(COST,)), State.BREACH, Urgency.HARM),
        (_running(kind="hold", breaches=(COST,)), State.DEGRADED, Urgency.HARM),
        (_running(kind="promote"), State.PROMOTING, Urgency.PROMOTE),
        (replace(_running(kind="promote"), held=True), State.PROMOTION_HELD, Urgency.PROMOTE),
        (_running(kind="promote", masked=True), State.MASKED, Urgency.UNHEALTHY),
        (_running(kind="escalate", ready=True), State.PROMOTABLE, Urgency.PROMOTE),
        (_running(kind="escalate"), State.UNPROVEN, Urgency.PERSON),
        (_running(kind="escalate", overdue=True), State.OVERDUE, Urgency.PERSON),
        (_running(kind="conclude"), State.CONCLUDING, Urgency.PERSON),
        (_running(failed=True), State.FAILED, Urgency.UNHEALTHY),
        (_running(units=0), State.SILENT, Urgency.UNHEALTHY),
        (replace(_running(units=0), hours=23), State.KEEP, Urgency.RUNNING),
        (replace(LIVE, reading=None), State.SILENT, Urgency.UNHEALTHY),
        (replace(LIVE, reading=None, hours=1), State.STARTED, Urgency.RUNNING),
        (
            replace(_running(kind="promote"), off=Stop("Olivia", AT, "")),
            State.SWITCHED_OFF,
            Urgency.UNHEALTHY,
        ),
        (
            replace(_running(kind="promote"), urgent=Stop("Olivia", AT, "")),
            State.STOPPING,
            Urgency.HARM,
        ),
        (
            CardFacts(Status.DARK_LAUNCH, urgent=Stop("Olivia", AT, "")),
            State.STOPPING,
            Urgency.HARM,
        ),
        (replace(LIVE, days_left=3), State.KEEP, Urgency.ENDS_SOON),
        (CardFacts(Status.PAUSED, hours=90), State.PAUSED, Urgency.RUNNING),
        (
            CardFacts(Status.PAUSED, pause_cause=PauseCause.HARM),
            State.STOPPED_BY_A_PERSON,
            Urgency.HARM,
        ),
        (CardFacts(Status.DARK_LAUNCH), State.READY_TO_GO_LIVE, Urgency.SIGN_OFF),
        (CardFacts(Status.DRAFT, asked=frozenset({1})), State.READY_TO_START, Urgency.SIGN_OFF),
        (CardFacts(Status.DRAFT, missing=("PRD",)), State.DRAFT, Urgency.DRAFT),
        (
            CardFacts(Status.COMPLETED, reading=replace(READ, breaches=(COST,))),
            State.ENDED,
            Urgency.ENDED,
        ),
        (CardFacts(Status.ARCHIVED), State.ARCHIVED, Urgency.ARCHIVED),
    ],
)
def test_state__the_first_reason_that_applies(
    facts: CardFacts, state: State, urgency: Urgency
) -> None:
    found = card(facts)
    assert (found.state, found.urgency) == (state, urgency)


def test_stop_that_waits__is_being_stopped_and_nobody_has_to_press_anything() -> None:
    found = card(replace(LIVE, urgent=Stop("Olivia", AT, "it shows wrong prices")))
    assert found.sentence.startswith("Being stopped by Olivia")
    assert "Nobody gets a variant" in found.sentence
    assert found.step(OWNER).label == "Nothing to press"


def test_urgency__each_rank_has_a_word_of_its_own() -> None:
    assert set(WORDS) == set(Urgency)
    assert len(set(WORDS.values())) == len(WORDS)


def test_draft__names_three_missing_items_and_counts_the_rest() -> None:
    missing = ("PRD", "Flag issued", "Sample size", "Offline thresholds")
    assert (
        card(CardFacts(Status.DRAFT, missing=missing)).sentence
        == "Draft. Waiting for: PRD, Flag issued, Sample size and 1 more."
    )


def test_draft__that_lacks_only_what_comes_later__is_ready_for_its_dark_launch() -> None:
    found = card(CardFacts(Status.DRAFT, missing=("Dark launch", "Launch approval")))
    assert found.sentence == "Ready for its dark launch; the launch approval follows."
    assert (
        card(CardFacts(Status.DRAFT, missing=("PRD", "Dark launch", "Launch approval"))).sentence
        == "Draft. Waiting for: PRD."
    )
    assert (
        card(CardFacts(Status.DRAFT, missing=("Launch approval",))).sentence
        == "Draft. Waiting for: Launch approval."
    )


def test_escalation__recommends_nothing__and_names_the_breach_with_its_size() -> None:
    found = card(_running(kind="escalate", breaches=(COST,)))
    assert "Guardrail breached: Cost with “Warm” +0.5, that is +50.0 %" in found.sentence
    assert "A person decides whether it goes on." in found.sentence
    for viewer in (OWNER, SECOND):
        assert (found.step(viewer).label, found.step(viewer).target) == ("Decide", "decide")
    assert found.step(VISITOR).target == ""
    assert not found.step(VISITOR).asked


def test_promotable__the_requester__hears_that_a_second_person_promotes() -> None:
    facts = replace(_running(kind="escalate", ready=True), asked=frozenset({1, 9}))
    assert card(facts).step(OWNER).label == "A second person promotes it"
    assert card(facts).step(SECOND).label == "Promote “Warm”"
    assert card(facts).step(SECOND).target == "do:promote"


def test_emergency_stop__by_a_person__says_who_why_when_and_that_no_harm_is_known() -> None:
    stop = Stop("Victor Lind", AT, "it feels slow")
    facts = CardFacts(Status.PAUSED, pause_cause=PauseCause.HARM, stop=stop, reading=READ)
    said = card(facts).sentence
    assert said.startswith(
        "Stopped by Victor Lind, 02 Mar 2026, 09:00 UTC: “it feels slow”. No analysis has found harm."
    )
    harmful = card(replace(facts, reading=replace(READ, breaches=(COST,))))
    assert harmful.state is State.STOPPED_FOR_HARM
    assert "Found: Cost with “Warm”" in harmful.sentence


def test_finished__effect_interval_and_guardrails__stand_in_the_first_sentence() -> None:
    rollout = RolledOut("Warm", holdback=50, holdback_until=AT, control="Cold")
    said = card(
        CardFacts(Status.COMPLETED, Outcome.PROMOTED, reading=READ, rollout=rollout)
    ).sentence
    effect = "Apply rate with “Warm” +1.20 pp, that is +10.0 % (95 % interval +0.30 pp to +2.10 pp), better"
    first = f"Promoted “Warm”: {effect}; all 2 guardrails safe."
    assert said == f"{first} 5 % keep “Cold” until 02 Mar 2026, 09:00 UTC."


def test_finished__next_step__ends_once_something_was_learned() -> None:
    over = CardFacts(Status.COMPLETED, Outcome.NO_EFFECT)
    assert card(over).step(OWNER).label == "Write down what was learned"
    assert card(replace(over, learned=True)).step(OWNER).label == "Archive"
    assert card(over).step(VISITOR).label == "Finished"


def test_promoted_against_the_rules__stays_visible() -> None:
    facts = CardFacts(
        Status.COMPLETED,
        Outcome.PROMOTED,
        ended=Stop("Paula", AT, "x"),
        missed=("Cost safe: now breach, needed safe",),
    )
    assert (
        "Paula promoted it although not every condition was met: Cost safe: now breach, needed safe."
        in card(facts).sentence
    )


def test_keep__says_what_is_still_needed() -> None:
    said = card(
        _running(
            unmet=(
                Unmet("3 more days", "11 days", "14 days"),
                Unmet("a clear improvement of “Warm”"),
            )
        )
    ).sentence
    assert said.endswith(
        "For a promotion it still needs: 3 more days and a clear improvement of “Warm”."
    )
    assert (
        str(Unmet("3 more days", "11 days", "14 days"))
        == "3 more days: now 11 days, needed 14 days"
    )


def test_hidden_results__tell_no_number() -> None:
    found = card(_running(kind="hold", masked=True, masked_why="the shares are off"))
    assert found.effect == ""
    assert "pp" not in found.sentence
    assert "The shares are off." in found.sentence


@pytest.mark.parametrize(
    "text", ["try", "", "test test test test test test", "because", "a b c d e f", "ok let us do"]
)
def test_reason__that_says_nothing__is_none(text: str) -> None:
    assert not says_why(text)


def test_reason__a_sentence__is_one() -> None:
    assert says_why("The contract ends on Friday and the cost is accepted by finance")


def test_viewer__any_of_the_actions__counts() -> None:
    assert SECOND.may(Action.CONCLUDE, Action.PROMOTE)
    assert not VISITOR.may(Action.CONCLUDE, Action.PROMOTE)


def test_needed__names_every_condition() -> None:
    conditions = tuple(Unmet(f"condition {number}") for number in range(1, 7))
    said = card(_running(unmet=conditions)).sentence
    assert "condition 6" in said
    assert " more" not in said


@pytest.mark.parametrize(
    ("scale", "value", "said"),
    [
        ("USD micros per request", 4310.0, "+0.00431 USD"),
        ("USD micros", -2_500_000.0, "-2.5 USD"),
        ("ms, 95th percentile", 12.0, "+12 ms"),
        ("hours", 1.5, "+1.5 hours"),
        ("1-5", 0.25, "+0.25"),
    ],
)
def test_effect__says_the_unit_of_its_metric(scale: str, value: float, said: str) -> None:
    effect = Effect("Cost", "Warm", False, value, value, value, 0.95, scale=scale)
    assert str(effect) == f"Cost with “Warm” {said} (95 % interval {said} to {said})"


@pytest.mark.parametrize(
    ("why", "label", "said"),
    [
        ("no_primary", "Plan a new iteration", "it has no primary metric."),
        (
            "never_looked",
            "Set a planned end",
            "its primary metric has no conversion window, and it has no planned end.",
        ),
    ],
)
def test_running__that_can_never_be_decided__says_so_and_what_to_do(why, label, said) -> None:
    found = card(_running(undecided=why, unmet=(Unmet("7 more days"),)))
    assert found.state is State.KEEP
    assert found.sentence.startswith("Keep running")
    assert found.sentence.endswith(f"Nothing will ever be decided: {said}")
    assert "still needs" not in found.sentence
    assert found.step(OWNER).label == label
    assert not found.step(OWNER).asked
