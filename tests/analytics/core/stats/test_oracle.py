"""Agreement with other people's statistics: numbers from R (rpact, stats, estimatr), statsmodels,
scipy, gbstats, tea-tasting, confseq.

The cases go through the benchmark that holds any such file against our answers, so what it calls
passed is shown here to mean it.
"""

from __future__ import annotations

import json
import math
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.oracle import Case
from benchmarks.oracle.__main__ import main
from benchmarks.oracle.checking import (
    AdapterClash,
    Families,
    UnreadableCases,
    check,
    collect,
    families,
    leaves,
    read_cases,
)
from tests.places import ROOT, VECTORS

KNOWN = VECTORS / "stats_oracle.json"
SHARED = ROOT.parent / "shared" / "oracle" / "cases.json"
CASES = read_cases(KNOWN)
KNOWN = families()


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_statistics__case_with_known_answer__agrees(case: Case) -> None:
    verdict = check(case, KNOWN)
    assert verdict.outcome == "passed", str(verdict)


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_statistics__a_wrong_number_planted__is_found(case: Case) -> None:
    numbers = [
        field
        for field, value in leaves(case["expected"])
        if planted(value) != value and KNOWN.reason(case["method"], field) is None
    ]
    for field in numbers[:1] + numbers[-1:]:
        wrong = deepcopy(case)
        plant(wrong["expected"], field)
        verdict = check(wrong, KNOWN)
        assert verdict.outcome == "failed" and field in str(verdict), field


USUAL = {
    "alpha": 0.05,
    "alpha_opt": 0.05,
    "power": 0.8,
    "ratio": 1,
    "ratio_t_over_c": 1,
    "n_star": 5000,
    "t_opt": 1000,
    "gammaA": None,
}
WITHOUT_THE_USUAL = [
    (case, name)
    for case in CASES
    for name, usual in USUAL.items()
    if name in case["inputs"] and case["inputs"][name] == usual
]


@pytest.mark.parametrize(
    ("case", "name"), WITHOUT_THE_USUAL, ids=[f"{c['id']}-{name}" for c, name in WITHOUT_THE_USUAL]
)
def test_statistics__an_input_at_its_usual_value__may_be_left_out(case: Case, name: str) -> None:
    inputs = {key: value for key, value in case["inputs"].items() if key != name}
    assert check({**case, "inputs": inputs}, KNOWN).outcome == "passed"


def planted(value: Any) -> Any:
    """A number plainly off; anything else stays."""
    return (
        value * 1.5 + 0.5
        if isinstance(value, int | float) and not isinstance(value, bool)
        else value
    )


def plant(expected: Any, field: str) -> None:
    """Change the leaf at a dotted field in place; at field[] make the list one longer."""
    parts = [part for part in field.replace("[", ".[").split(".") if part]
    for k, part in enumerate(parts):
        key: Any = int(part[1:-1]) if part.startswith("[") and part != "[]" else part
        if part == "[]":
            expected.append(0)
        elif k == len(parts) - 1:
            expected[key] = planted(expected[key])
        else:
            expected = expected[key]


def test_statistics__every_shared_method__is_answered_or_left_out_with_a_reason() -> None:
    if not SHARED.exists():
        pytest.skip(
            f"the shared cases are not beside the project: {SHARED.name}; those copied into tests/vectors are checked above"
        )
    cases = read_cases(SHARED)
    assert [str(v) for v in (check(case, KNOWN) for case in cases) if v.outcome == "failed"] == []
    methods = {case["method"] for case in cases}
    assert {m for m in methods if m not in KNOWN.adapters and KNOWN.reason(m) is None} == set()
    answered = [case for case in cases if check(case, KNOWN).outcome == "passed"]
    assert [case["id"] for case in answered if case not in CASES] == [], (
        "write them with python -m benchmarks.oracle --keep"
    )


def test_left_out__fields_and_methods__have_sentences_for_reasons() -> None:
    for method, reasons in KNOWN.left_out.items():
        for field, reason in reasons.items():
            assert len(reason.split()) >= 3, f"{method}.{field}: {reason!r}"


# ---------------------------------------------------------------- what "passed" means


def half(i: Case) -> Case:
    return {"a": i["x"] / 2, "b": {"c": [1.0, math.inf], "d": None}}


ONE = Families(
    {"half": half}, {"half": {"extra": "we do not say that"}, "never": {"*": "nobody wants it"}}
)


def case(expected: Case, method: str = "half") -> Case:
    tolerance = {"rtol": 1e-6, "atol": 1e-9}
    return {
        "id": f"{method}#1",
        "method": method,
        "inputs": {"x": 3.0},
        "expected": expected,
        "tolerance": tolerance,
    }


@pytest.mark.parametrize(
    ("expected", "outcome", "words"),
    [
        ({"a": 1.5, "b": {"c": [1, "inf"], "d": None}}, "passed", ""),
        ({"a": 1.5000001}, "passed", ""),
        ({"a": 1.6}, "failed", "a found 1.5, expected 1.6"),
        ({"a": None}, "failed", "a found 1.5, expected None"),
        ({"a": math.nan}, "failed", "a found 1.5"),
        ({"b": {"d": 0.0}}, "failed", "b.d found None, expected 0.0"),
        ({"b": {"c": [1.0]}}, "failed", "b.c[] found 2, expected 1"),
        ({"b": {"c": [1.0, "-inf"]}}, "failed", "b.c[1] found inf, expected '-inf'"),
        ({"b": {"c": [1.0, 1e308]}}, "failed", "b.c[1]"),
        ({"a": 1.5, "e": 2.0}, "failed", "e not answered, expected 2.0"),
        ({"a": 1.5, "extra": {"deep": [9.0]}}, "passed", ""),
        ({"extra": 1.0}, "unsupported", "every field of it is left out"),
    ],
)
def test_check__each_leaf__is_answered_or_left_out(
    expected: Case, outcome: str, words: str
) -> None:
    verdict = check(case(expected), ONE)
    assert verdict.outcome == outcome and words in str(verdict)


def test_check__nobody_answers__is_unsupported_with_the_reason_if_there_is_one() -> None:
    assert str(check(case({"a": 1.0}, "never"), ONE)) == "UNSUPPORTED never#1: nobody wants it"
    assert str(check(case({"a": 1.0}, "other"), ONE)) == "UNSUPPORTED other#1: nobody answers other"


def test_check__adapter_that_raises__is_a_failed_case_with_the_words() -> None:
    broken = replace(ONE, adapters={"half": lambda i: {"a": i["y"]}})
    assert str(check(case({"a": 1.0}), broken)) == "FAILED half#1: KeyError: 'y'"


def test_families__two_answers_to_one_method__are_refused() -> None:
    one, other = ("one", {"half": half}, {}), ("other", {"half": half}, {})
    with pytest.raises(AdapterClash, match="half"):
        collect([one, other])
    with pytest.raises(AdapterClash, match="left out altogether"):
        collect([one, ("other", {}, {"half": {"*": "no"}})])


def written(tmp_path: Path, document: Any) -> str:
    path = tmp_path / "cases.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_runner__all_passed__says_so_and_exits_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = next(c for c in CASES if c["method"] == "proportion.ztest_pooled")
    assert main([written(tmp_path, {"cases": [good]})]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed, 0 unsupported\n"


def test_runner__a_wrong_number_and_a_stranger__print_a_line_each_and_exit_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = next(c for c in CASES if c["method"] == "proportion.ztest_pooled")
    wrong = {**good, "id": "planted", "expected": {**good["expected"], "z": 2.0}}
    stranger = {**good, "id": "odd", "method": "martian.test"}
    assert main([written(tmp_path, {"cases": [good, wrong, stranger]})]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAILED planted: z found 3.81") and lines[0].endswith("expected 2.0")
    assert lines[1:] == [
        "UNSUPPORTED odd: nobody answers martian.test",
        "1 passed, 1 failed, 1 unsupported",
    ]


def test_runner__keep__writes_the_passed_cases_alone(tmp_path: Path) -> None:
    good = next(c for c in CASES if c["method"] == "proportion.ztest_pooled")
    wrong = {**good, "id": "planted", "expected": {**good["expected"], "z": 2.0}}
    assert (
        main([written(tmp_path, {"cases": [wrong, good]}), "--keep", str(tmp_path / "kept.json")])
        == 1
    )
    assert read_cases(tmp_path / "kept.json") == [good]


@pytest.mark.parametrize(
    "document", ["not json", "[]", {"cases": 3}, {"cases": [{"id": "a"}]}, {"cases": [5]}]
)
def test_runner__unreadable_file__exits_2_and_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: Any
) -> None:
    assert main([written(tmp_path, document)]) == 2
    assert "cases.json" in capsys.readouterr().err
    with pytest.raises(UnreadableCases):
        read_cases(tmp_path / "missing.json")


def test_runner__list__prints_methods_with_what_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert "quantile.gb_event" in printed and "quantile.anytime_ab_p (not computed)" in printed
