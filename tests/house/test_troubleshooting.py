"""Each finding that a page can show has its place in the page of troubles, and each trouble says
what to do.
"""

from __future__ import annotations

import re

import pytest

from analytics.core.results import WHAT_TO_DO
from config.processes.embedded.place import PROJECT

PAGE = (PROJECT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
_FOUND = re.compile(r'Finding\(\s*"([a-z_]+)"')
CODE = [path for path in (PROJECT / "analytics").rglob("*.py") if "migrations" not in path.parts]
CODES = {code for path in CODE for code in _FOUND.findall(path.read_text(encoding="utf-8"))} | set(
    WHAT_TO_DO
)
SYMPTOMS = 10


@pytest.mark.parametrize("code", sorted(CODES))
def test_finding__has_its_section(code: str) -> None:
    assert len(SECTIONS[code].split()) >= 5


def test_symptoms__the_ten_of_the_guides__say_what_to_do() -> None:
    noticed = PAGE.partition("## Findings, by code")[0]
    titles = re.findall(r"^### (.+)$", noticed, flags=re.MULTILINE)
    assert len(titles) == SYMPTOMS
    assert all(len(SECTIONS[title].split()) > 20 for title in titles)


def test_findings__were_found_in_the_code() -> None:
    assert {"srm", "crossover", "late_data", "no_events", "one_arm"} <= CODES
