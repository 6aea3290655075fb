"""An arm's configuration beside control's."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from experiments.core.design.arm_diff import LONGEST_WORDS, ConfigChange, TextPiece, arm_changes

values = st.recursive(st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab \n", max_size=12), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", min_size=1, max_size=2), inner, max_size=3)
), max_leaves=8)  # fmt: skip


def test_prompt__is_compared_word_by_word() -> None:
    (one,) = arm_changes(
        {"prompt": "You are a kind helper.\nBe brief."},
        {"prompt": "You are a strict helper.\nBe brief."},
    )
    assert one == ConfigChange(
        "prompt",
        (
            TextPiece("same", "You are a "),
            TextPiece("was", "kind"),
            TextPiece("is", "strict"),
            TextPiece("same", " helper.\nBe brief."),
        ),
    )


def test_keys__added_taken_and_changed__each_by_its_path() -> None:
    found = arm_changes(
        {"model": {"name": "a", "top_k": 5}, "old": 1},
        {"model": {"name": "b", "top_k": 5}, "new": [1]},
    )
    assert [(one.path, [(piece.kind, piece.text) for piece in one.pieces]) for one in found] == [
        ("model.name", [("was", "a"), ("is", "b")]),
        ("old", [("was", "1")]),
        ("new", [("is", "[1]")]),
    ]


def test_true_and_one__differ_as_they_do_in_json() -> None:
    assert [one.path for one in arm_changes({"on": True}, {"on": 1})] == ["on"]


def test_a_very_long_text__is_shown_as_a_whole() -> None:
    was = "word " * LONGEST_WORDS
    (one,) = arm_changes(was, was + "more")
    assert [piece.kind for piece in one.pieces] == ["was", "is"]


@given(values)
def test_a_value_and_itself__have_no_changes(value: object) -> None:
    assert arm_changes(value, json.loads(json.dumps(value))) == ()


@given(st.text("ab \n", max_size=30), st.text("ab \n", max_size=30))
def test_pieces__put_together__are_both_texts(was: str, now: str) -> None:
    pieces = [piece for change in arm_changes(was, now) for piece in change.pieces]
    if was != now:
        assert "".join(piece.text for piece in pieces if piece.kind != "is") == was
        assert "".join(piece.text for piece in pieces if piece.kind != "was") == now
