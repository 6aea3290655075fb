"""The theme's templates as we load them: no icon is read aloud, and a keyboard reaches what can be
pressed.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import unfold

from config.web.theme_templates import NAMED, mended

TEMPLATES = sorted((Path(unfold.__file__).parent / "templates").rglob("*.html"))
ICON = re.compile(r'<(\w+)((?:[^"<>]|"[^"]*")*material-symbols-outlined(?:[^"<>]|"[^"]*")*)>')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '<span class="material-symbols-outlined">add</span>',
            '<span aria-hidden="true" class="material-symbols-outlined">add</span>',
        ),
        ("<p>plain</p>", "<p>plain</p>"),
        ('<a href="/x" x-on:click="y = 1">x</a>', '<a href="/x" x-on:click="y = 1">x</a>'),
        ('<div {% if a %}x-on:click="y"{% endif %}>', '<div {% if a %}x-on:click="y"{% endif %}>'),
    ],
)
def test_mended__what_it_changes(before: str, after: str) -> None:
    assert mended(before) == after


def test_mended__an_icon_to_press__has_a_name_and_is_reached() -> None:
    found = mended(
        '<span class="material-symbols-outlined" x-on:click="open = 1">\n  close\n</span>'
    )
    assert (
        'role="button"' in found
        and 'tabindex="0"' in found
        and 'aria-label="Close the menu"' in found
    )
    assert "aria-hidden" not in found


def test_icons_of_the_theme__are_all_hidden_or_named() -> None:
    bare = [
        (path.name, tag[0])
        for path in TEMPLATES
        for tag in ICON.finditer(mended(path.read_text(encoding="utf-8")))
        if "aria-hidden" not in tag[2]
        and "aria-label" not in tag[2]
        and 'role="button"' not in tag[2]
    ]
    assert bare == []


def test_names__still_fit_the_theme() -> None:
    everything = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES)
    assert [holds for holds, _ in NAMED if holds not in everything] == []
