from __future__ import annotations

from dataclasses import replace

from experiments.core.design.advice import AdvisedArm, AdvisedDesign, advice, changed_keys

CONTROL = AdvisedArm("Control", True, {"prompt": "a", "top_k": 3})
CALM = AdvisedDesign(
    "feature",
    (CONTROL, AdvisedArm("B", False, {"prompt": "b", "top_k": 3})),
    guardrails=1,
    required_items=0,
)


def test_advice__one_change_guarded_and_alone__is_silent() -> None:
    assert advice(CALM) == ()


def test_advice__several_keys_changed__names_them() -> None:
    (said,) = advice(
        replace(CALM, arms=(CONTROL, AdvisedArm("B", False, {"prompt": "b", "top_k": 5})))
    )
    assert said.startswith("B differs from control in 2 keys (prompt, top_k)")


def test_advice__a_tenfold_value__is_extreme_and_less_is_not() -> None:
    assert (
        "from 3 to 30"
        in advice(
            replace(CALM, arms=(CONTROL, AdvisedArm("B", False, {"prompt": "a", "top_k": 30})))
        )[0]
    )
    assert (
        advice(replace(CALM, arms=(CONTROL, AdvisedArm("B", False, {"prompt": "a", "top_k": 29}))))
        == ()
    )


def test_advice__more_than_three_beside__are_counted_and_three_named() -> None:
    assert advice(replace(CALM, beside=("a", "b", "c"))) == ()
    assert "4 experiments" in advice(replace(CALM, beside=("a", "b", "c", "d")))[0]


def test_advice__an_ai_type_without_checks_and_no_guardrail__two_sentences() -> None:
    assert len(advice(replace(CALM, experiment_type="prompt", guardrails=0))) == 2
    assert len(advice(replace(CALM, experiment_type="prompt", guardrails=0, required_items=5))) == 1


def test_changed_keys__nested_and_missing_ones_count() -> None:
    assert changed_keys({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 0}) == ("a.c", "d")
    assert changed_keys({}, {}) == ()
