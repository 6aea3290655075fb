"""CONTRIBUTING sends people to files that exist."""

from __future__ import annotations

import re

import pytest

from tests.places import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
QUESTIONS = dict(
    part.split("\n", 1)
    for part in re.split(r"^### ", PAGE.partition("## Habits")[0], flags=re.MULTILINE)[1:]
)


def files(text: str) -> list[str]:
    return re.findall(r"`((?:experiments|analytics|config|templates|tests|docs)/[^`]+\.\w+)`", text)


def test_page__answers_the_five_questions() -> None:
    wanted = {"a new kind of metric", "a new client protocol", "a new tab of the experiment's page"}
    assert {question.lower() for question in QUESTIONS} == wanted | {
        "a new action of a guardrail",
        "a new store",
    }


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_file__exists(question: str) -> None:
    named = files(QUESTIONS[question])
    assert len(named) >= 3
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_page__fits_on_one_page() -> None:
    assert len(PAGE.splitlines()) <= 100
