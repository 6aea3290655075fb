"""The pages on statistics say what the code says: their examples run, every method has its section,
links lead somewhere.
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from analytics.core.calibration.registry import CHECKS
from analytics.core.kinds import KINDS
from tests.places import ROOT

STATISTICS = ROOT / "docs" / "statistics.md"
SPREADSHEET = ROOT / "docs" / "statistics-from-your-old-spreadsheet.md"
STATS = ROOT / "analytics" / "core" / "stats"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PARTS = ("Question", "Formula", "Default", "Pitfalls", "Reference")


@dataclass(frozen=True)
class Section:
    """A heading, the text below it and the line on which that begins."""

    title: str
    text: str
    line: int

    @property
    def home(self) -> frozenset[str]:
        """What stands in backticks on the first line: the modules, and kinds, that the section is
        about.
        """
        return frozenset(re.findall(r"`([\w.]+)`", self.text.strip().partition("\n")[0]))


def _sections(text: str, marks: str) -> list[Section]:
    """The sections below headings with these marks; one ends where a heading of its own level or a
    higher one begins.
    """
    found = re.finditer(rf"^{marks} (.+)\n((?:(?!#{{1,{len(marks)}}} ).*\n)*)", text, re.MULTILINE)
    return [Section(m[1], m[2], text[: m.start(2)].count("\n")) for m in found]


METHODS = _sections(STATISTICS.read_text(), "###")
HABITS = [section for section in _sections(SPREADSHEET.read_text(), "##") if ">>>" in section.text]


def _examples(section: Section) -> list[doctest.Example]:
    # A fence right below an expected output would be taken for a part of it.
    return doctest.DocTestParser().get_examples(
        re.sub(r"^```.*$", "", section.text, flags=re.MULTILINE)
    )


def _failures(section: Section) -> str:
    """What the section's examples print that the page does not say; nothing when they agree. Each
    section stands alone.
    """
    case = doctest.DocTest(
        _examples(section), {"__name__": "docs"}, section.title, "docs", section.line, None
    )
    told: list[str] = []
    doctest.DocTestRunner(verbose=False).run(case, out=told.append)
    return "".join(told)


def _missing(section: Section) -> list[str]:
    """Which parts the section lacks; an example counts when it says what comes out."""
    lacking = [
        part
        for part in PARTS
        if not re.search(rf"^- \*\*{part}\.\*\* \S", section.text, re.MULTILINE)
    ]
    return lacking + ["example"] * (not any(example.want for example in _examples(section)))


def _modules() -> Iterator[str]:
    """Every public module of the statistics, as it is imported."""
    for path in STATS.rglob("*.py"):
        if not path.name.startswith("_"):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _without_home(names: set[str], sections: list[Section]) -> set[str]:
    return names - {name for section in sections for name in section.home}


def _anchors(text: str) -> set[str]:
    """The names under which a page's headings can be linked to."""
    headings = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _dead_links(page: Path) -> set[str]:
    """Links of a page to files or headings that are not there."""
    dead = set()
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file.read_text())):
            dead.add(target)
    return dead


@pytest.mark.parametrize("section", METHODS, ids=lambda section: section.title)
def test_statistics__each_section__runs_and_prints_what_it_says(section: Section) -> None:
    assert _failures(section) == ""


@pytest.mark.parametrize("section", HABITS, ids=lambda section: section.title)
def test_spreadsheet__each_section__runs_and_prints_what_it_says(section: Section) -> None:
    assert _failures(section) == ""


def test_statistics__each_section__has_question_formula_default_pitfalls_reference_and_example() -> (
    None
):
    assert {section.title: _missing(section) for section in METHODS if _missing(section)} == {}


def test_statistics__every_public_module__has_a_section() -> None:
    assert _without_home(set(_modules()), METHODS) == set()


def test_statistics__every_metric_kind_calibration_and_replay__have_a_section() -> None:
    wanted = {
        *KINDS,
        *(type(kind).__module__ for kind in KINDS.values()),
        "analytics.core.calibration",
        "analytics.core.scans.replay",
    }
    assert _without_home(wanted, METHODS) == set()


def test_statistics__every_check_of_the_calibration__is_named() -> None:
    named = set(re.findall(r"`([\w-]+)`", STATISTICS.read_text()))
    assert {check.name for check in CHECKS} - named == set()


def test_statistics__contents__list_every_section() -> None:
    contents = next(
        section
        for section in _sections(STATISTICS.read_text(), "##")
        if section.title == "Contents"
    )
    assert [
        one or other for one, other in re.findall(r", \[(.+?)\]|: \[(.+?)\]", contents.text)
    ] == [s.title for s in METHODS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages__every_link__leads_somewhere(page: Path) -> None:
    assert _dead_links(page) == set()


def test_examples__a_wrong_number_planted__is_found() -> None:
    sizes = next(section for section in METHODS if section.title == "Sizes for an effect")
    wrong = Section(sizes.title, sizes.text.replace("\n1094\n", "\n588\n"), sizes.line)
    told = _failures(wrong)
    assert "Expected:\n    588\nGot:\n    1094" in told


def test_sections__parts_taken_out__are_missed_by_name() -> None:
    whole = METHODS[0]
    bare = Section(
        whole.title, whole.text.replace("**Pitfalls.**", "").replace(">>>", "..."), whole.line
    )
    assert _missing(bare) == ["Pitfalls", "example"]


def test_modules__one_that_no_section_is_about__is_named_even_if_it_is_mentioned() -> None:
    others = [section for section in METHODS if section.title != "Normal scale"]
    assert _without_home(set(_modules()), others) == {"analytics.core.stats.arms.normal"}


def test_links__to_nothing__are_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A heading\n[here](#a-heading) [there](#another) [away](gone.md)\n")
    assert _dead_links(page) == {"#another", "gone.md"}
