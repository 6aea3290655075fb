"""The page of sequence diagrams is drawn from the tables, whole and up to date."""

from __future__ import annotations

from config.documents.transition_diagrams import NEEDS, THEN, WRITES, diagram, page, title
from experiments.core.life.lifecycle import TRANSITIONS, Need
from tests.places import ROOT

PAGE = ROOT / "docs" / "transitions.md"


def test_page__is_what_the_tables_draw() -> None:
    assert PAGE.read_text() == page(), (
        "python -m config.documents.transition_diagrams > docs/transitions.md"
    )


def test_page__every_transition_has_its_diagram_under_a_heading_of_its_own() -> None:
    drawn = PAGE.read_text()
    assert (
        len({title(step) for step in TRANSITIONS}) == len(TRANSITIONS) == drawn.count("```mermaid")
    )
    assert [
        title(step)
        for step in TRANSITIONS
        if f"## {title(step)}\n" not in drawn or diagram(step) not in drawn
    ] == []


def test_tables__speak_of_every_transition_and_of_no_other() -> None:
    places = {(step.verb, step.source, step.cause) for step in TRANSITIONS}
    assert set(WRITES) == set(THEN) == places
    assert set(NEEDS) == set(Need)


def test_diagram__says_from_where_to_where_and_holds_nothing_that_mermaid_reads_as_its_own() -> (
    None
):
    for step in TRANSITIONS:
        drawn = diagram(step)
        assert f"status {step.source.value} → {step.target.value}" in drawn
        assert ";" not in drawn and "#" not in drawn and "%%" not in drawn
