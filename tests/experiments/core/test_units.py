"""Units: which id is hashed, and which ids are refused."""

from __future__ import annotations

import pytest

from experiments.core.units import check_unit_id, check_unit_type, check_units, unit_id


def test_unit_id__takes_the_id_of_its_own_type():
    units = {"user": "u1", "tenant": "acme"}
    assert unit_id(units, "tenant") == "acme"
    assert unit_id(units, "session") is None


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ({"user": "u1", "session": "s9"}, "u1"),
        ({"session": "s9"}, "s9"),
        ({"tenant": "acme"}, None),
        ({"user": "", "session": "s9"}, "s9"),
    ],
)
def test_unit_id__visitor__is_the_user_else_the_session(
    units: dict[str, str], expected: str | None
):
    assert unit_id(units, "visitor") == expected


@pytest.mark.parametrize(
    "text", ["1", "u" * 256, "Иван 7", "😀👍🏽", "a b", "é", "a\u00a0b", "A_b-1.9~@x"]
)
def test_check_unit_id__usable_ids__are_kept(text: str):
    assert check_unit_id(text) is None


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("", "unit_id_empty", "empty"),
        ("u" * 257, "unit_id_too_long", "257"),
        ("a\x00b", "unit_id_character", "U+0000) at position 1"),
        ("a\n", "unit_id_character", "U+000A"),
        ("a\x7f", "unit_id_character", "U+007F"),
        ("a\u200b", "unit_id_character", "zero-width"),
        ("\ufeffa", "unit_id_character", "U+FEFF"),
        ("a\u202eb", "unit_id_character", "U+202E"),
        ("a\ud800", "unit_id_character", "surrogate"),
        ("a\u2028", "unit_id_character", "line separator"),
        (" u1", "unit_id_white_space", "begins with white space (U+0020, space)"),
        ("u1 ", "unit_id_white_space", "ends with white space"),
        ("\u00a0u1", "unit_id_white_space", "U+00A0, no-break space"),
        ("u1\u3000", "unit_id_white_space", "U+3000, ideographic space"),
    ],
)
def test_check_unit_id__unusable_ids__are_named(text: str, code: str, says: str):
    problem = check_unit_id(text, "units.user")
    assert problem is not None
    assert (problem.code, problem.field) == (code, "units.user")
    assert says in problem.message


@pytest.mark.parametrize("name", ["user", "t", "device_id", "a" * 32])
def test_check_unit_type__words__pass(name: str):
    assert check_unit_type(name) is None


@pytest.mark.parametrize("name", ["", "User", "1st", "a" * 33, "a-b", "user\n", "тип"])
def test_check_unit_type__anything_else__is_refused(name: str):
    assert check_unit_type(name) is not None


def test_check_units__every_problem_is_reported_at_its_place():
    problems = check_units({"user": "ok", "Bad": "x", "session": "", "visitor": "v"})
    assert [(p.field, p.code) for p in problems] == [
        ("units.Bad", "unit_type_invalid"),
        ("units.session", "unit_id_empty"),
        ("units.visitor", "unit_type_derived"),
    ]
