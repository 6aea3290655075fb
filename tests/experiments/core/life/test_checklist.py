"""Items from facts, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from experiments.core.design.design import (
    Design,
    DesignMetric,
    DesignVariant,
    arm_digest,
    digest,
    judged,
)
from experiments.core.design.policies import SHIPPED
from experiments.core.life.checklist import (
    Computed,
    Evaluated,
    LaunchFacts,
    Requested,
    SignedOff,
    state_of,
    states,
)
from experiments.core.life.gate import blockers
from experiments.core.life.lifecycle import TRANSITIONS, Verb, transition_for
from experiments.core.types import Item, PauseCause, Status, Verdict

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
RULES = {shipped.key: shipped.rules for shipped in SHIPPED}
ARM = DesignVariant("treatment", "treatment", False, 500, {"m": 2}, model_hash="b1")
DESIGN = Design(
    key="rerank",
    flag_key="rerank",
    flag_type="object",
    traffic=100,
    variants=(DesignVariant("control", "control", True, 500, {"m": 1}), ARM),
    metrics=(
        DesignMetric("apply_conversion", 1, "proportion", "primary", "increase", 72),
        DesignMetric(
            "errors", 1, "proportion", "guardrail", "decrease", margin=0.02, margin_kind="points"
        ),
    ),
    policy_key="ai-low",
    hypothesis="better",
    expected_effect="+10 %",
    prd_text="why",
    offline_thresholds=[{"metric": "ndcg@10", "op": ">=", "value": 0.5}],
)


def signed(
    item: Item,
    design: Design = DESIGN,
    verdict: Verdict = Verdict.APPROVED,
    at: datetime = NOW + timedelta(hours=2),
) -> SignedOff:
    parts = judged(design, item)
    return SignedOff(
        item,
        verdict,
        parts,
        digest(parts),
        "somebody",
        7,
        at,
        "because",
        1 if item is Item.APPROVAL else None,
    )


def computed(
    item: Item, *, green: bool = True, at: datetime = NOW + timedelta(hours=1)
) -> Computed:
    return Computed(item, green, "the finding", digest(judged(DESIGN, item)), at)


def score(value: float, lower: float | None = None, sha256: str = "") -> Evaluated:
    return Evaluated("treatment", "ndcg@10", value, lower, None, sha256 or arm_digest(ARM), NOW)


def whole(status: Status = Status.DARK_LAUNCH) -> LaunchFacts:
    return LaunchFacts(
        design=DESIGN,
        rules=RULES["ai-low"],
        status=status,
        sign_offs={
            item: signed(item) for item in (Item.PRD, Item.OFFLINE, Item.DARK_LAUNCH, Item.APPROVAL)
        },
        evaluations=(score(0.6, 0.55),),
        evidence={item: computed(item) for item in (Item.SAMPLE_SIZE, Item.DARK_LAUNCH)},
        request=Requested("owner", 1, digest(judged(DESIGN, Item.APPROVAL)), NOW),
        dark_started_at=NOW,
    )


def test_states__everything_there__are_all_done():
    assert {state.state for state in states(whole())} == {"done"}
    assert blockers(Verb.START, whole()) == []


def test_states__under_standard__need_nothing():
    facts = LaunchFacts(replace(DESIGN, policy_key="standard"), RULES["standard"])

    assert {state.state for state in states(facts)} == {"not_needed"}
    assert blockers(Verb.START, facts) == []


def without(item: Item) -> LaunchFacts:
    """The whole facts with this one item open again."""
    facts = whole()
    design = {
        Item.FLAG: replace(DESIGN, flag_key=""),
        Item.METRICS: replace(DESIGN, metrics=()),
    }
    if item in design:
        return replace(facts, design=design[item])
    facts = replace(facts, sign_offs={k: v for k, v in facts.sign_offs.items() if k is not item})
    return replace(facts, evidence={k: v for k, v in facts.evidence.items() if k is not item})


@pytest.mark.parametrize("item", list(Item))
def test_start__one_item_missing__names_it(item):
    found = {problem.field for problem in blockers(Verb.START, without(item))}

    assert item.value in found


@pytest.mark.parametrize(
    "item", [Item.PRD, Item.FLAG, Item.METRICS, Item.SAMPLE_SIZE, Item.OFFLINE]
)
def test_start_dark_launch__an_item_before_it_missing__names_it(item):
    facts = replace(without(item), status=Status.DRAFT)

    assert item.value in {problem.field for problem in blockers(Verb.START_DARK_LAUNCH, facts)}


def test_start_dark_launch__only_later_items_missing__is_open():
    facts = replace(
        whole(Status.DRAFT),
        dark_started_at=None,
        request=None,
        sign_offs={i: signed(i) for i in (Item.PRD, Item.OFFLINE)},
    )

    assert blockers(Verb.START_DARK_LAUNCH, facts) == []


@pytest.mark.parametrize(
    ("evaluations", "state"),
    [
        ((), "missing"),
        ((score(0.6, 0.55),), "done"),
        ((score(0.6, 0.45),), "rejected"),
        ((score(0.4, 0.38),), "rejected"),
        ((score(0.6),), "done"),  # a bare value is amber, and amber may be signed
        ((score(0.6, 0.55, sha256="f" * 64),), "stale"),
        ((score(0.4, 0.3), score(0.6, 0.55)), "rejected"),  # the newest counts
    ],
)
def test_offline__by_its_evaluations__stands_so_after_signing(evaluations, state):
    assert state_of(replace(whole(), evaluations=evaluations), Item.OFFLINE).state == state


def test_offline__value_only_and_unsigned__is_amber():
    facts = replace(whole(), evaluations=(score(0.6),), sign_offs={})

    assert state_of(facts, Item.OFFLINE).state == "amber"


def test_offline__two_test_arms__need_an_evaluation_each():
    arms = (*DESIGN.variants, DesignVariant("other", "other", False, 0, {}))

    assert (
        "other"
        in state_of(
            replace(whole(), design=replace(DESIGN, variants=arms), sign_offs={}), Item.OFFLINE
        ).message
    )


def test_offline__called_not_applicable_with_thresholds_declared__stays_as_it_is():
    facts = replace(
        whole(),
        evaluations=(),
        sign_offs={Item.OFFLINE: signed(Item.OFFLINE, verdict=Verdict.NOT_APPLICABLE)},
    )

    assert state_of(facts, Item.OFFLINE).state == "missing"


def test_offline__called_not_applicable_without_thresholds__is_done():
    design = replace(DESIGN, offline_thresholds=[])
    facts = LaunchFacts(
        design,
        RULES["ai-low"],
        sign_offs={Item.OFFLINE: signed(Item.OFFLINE, design, Verdict.NOT_APPLICABLE)},
    )

    assert state_of(facts, Item.OFFLINE).state == "done"


def test_optional_item__called_not_applicable__is_shown_and_stops_nothing():
    standard = replace(DESIGN, policy_key="standard")
    facts = LaunchFacts(
        standard,
        RULES["standard"],
        sign_offs={Item.PRD: signed(Item.PRD, standard, Verdict.NOT_APPLICABLE)},
    )
    state = state_of(facts, Item.PRD)

    assert (state.state, state.required, state.message) == (
        "not_needed",
        False,
        "optional; not applicable: because",
    )
    assert blockers(Verb.START, facts) == []
    rejected = replace(facts, sign_offs={Item.PRD: signed(Item.PRD, standard, Verdict.REJECTED)})
    assert "rejected by somebody" in state_of(rejected, Item.PRD).message
    assert blockers(Verb.START, rejected) == []


def test_not_applicable__once_the_policy_asks_for_the_item__no_longer_holds():
    facts = replace(whole(), sign_offs={Item.PRD: signed(Item.PRD, verdict=Verdict.NOT_APPLICABLE)})
    state = state_of(facts, Item.PRD)

    assert state.state == "missing"
    assert state.message.startswith("no longer optional")
    assert blockers(Verb.START, facts)


def test_sign_off__field_edited_since__is_void_and_shows_both_lines():
    state = state_of(replace(whole(), design=replace(DESIGN, hypothesis="worse")), Item.PRD)

    assert state.state == "stale"
    assert state.diff == ("- hypothesis: better", "+ hypothesis: worse")


def test_sign_off__rejected__says_by_whom_and_why():
    state = state_of(
        replace(whole(), sign_offs={Item.PRD: signed(Item.PRD, verdict=Verdict.REJECTED)}), Item.PRD
    )

    assert (state.state, state.message) == ("rejected", "rejected by somebody: because")


def test_dark_launch__signed_in_an_aborted_one__does_not_count_in_the_next():
    facts = replace(whole(), dark_started_at=NOW + timedelta(days=5))

    assert state_of(facts, Item.DARK_LAUNCH).state == "missing"


def test_dark_launch__health_not_green__waits_though_signed():
    facts = replace(whole(), evidence={Item.DARK_LAUNCH: computed(Item.DARK_LAUNCH, green=False)})

    assert state_of(facts, Item.DARK_LAUNCH).state == "missing"


def test_sample_size__red__blocks_with_its_words():
    state = state_of(
        replace(whole(), evidence={Item.SAMPLE_SIZE: computed(Item.SAMPLE_SIZE, green=False)}),
        Item.SAMPLE_SIZE,
    )

    assert (state.state, state.message) == ("rejected", "the finding")


def test_approval__design_changed_since_the_request__is_stale():
    facts = replace(whole(), request=Requested("owner", 1, "0" * 64, NOW), sign_offs={})

    assert state_of(facts, Item.APPROVAL).state == "stale"


# The table of transitions.

LIVES = [(status, cause) for status in Status for cause in (PauseCause.PERSON, PauseCause.HARM)]
ALLOWED = {
    (Verb.START_DARK_LAUNCH, Status.DRAFT, Status.DARK_LAUNCH),
    (Verb.START, Status.DRAFT, Status.RUNNING),
    (Verb.START, Status.DARK_LAUNCH, Status.RUNNING),
    (Verb.ABORT_DARK_LAUNCH, Status.DARK_LAUNCH, Status.DRAFT),
    (Verb.EMERGENCY_STOP, Status.DARK_LAUNCH, Status.DRAFT),
    (Verb.EMERGENCY_STOP, Status.RUNNING, Status.PAUSED),
    (Verb.PAUSE, Status.RUNNING, Status.PAUSED),
    (Verb.RESUME, Status.PAUSED, Status.RUNNING),
    (Verb.CONCLUDE, Status.RUNNING, Status.COMPLETED),
    (Verb.CONCLUDE, Status.PAUSED, Status.COMPLETED),
    (Verb.PROMOTE, Status.RUNNING, Status.COMPLETED),
    (Verb.ARCHIVE, Status.COMPLETED, Status.ARCHIVED),
}


def test_transitions__are__exactly_these():
    assert {(step.verb, step.source, step.target) for step in TRANSITIONS} == ALLOWED


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize(("status", "cause"), LIVES)
def test_blockers__verb_from_a_status_it_does_not_leave__says_wrong_status(verb, status, cause):
    facts = replace(whole(status), cause=cause)
    leaves = transition_for(verb, status, cause) is not None

    assert ("wrong_status" in {problem.code for problem in blockers(verb, facts)}) is not leaves


def test_start__draft_under_an_ai_policy__wants_the_dark_launch_first():
    assert "dark_launch_first" in {
        problem.code for problem in blockers(Verb.START, whole(Status.DRAFT))
    }


def test_start__flag_taken__names_who_has_it():
    facts = LaunchFacts(
        replace(DESIGN, policy_key="standard"), RULES["standard"], flag_busy_with="other_test"
    )

    assert "other_test" in blockers(Verb.START, facts)[0].message


def test_start__shared_layer_without_room__says_how_much_is_free():
    facts = LaunchFacts(replace(DESIGN, layer="ranking"), RULES["standard"], layer_free=99)

    assert [problem.code for problem in blockers(Verb.START, facts)] == ["layer_full"]
