"""The theme's templates, mended while they are loaded, so that everybody can use them.

The theme draws icons as words in a font of their own, and a screen reader reads these words aloud.
It also makes things to press out of ``<span>``, ``<div>`` and ``<a>`` without an address, which no
keyboard reaches. Both are mended here in one place for all of its templates, those of its next
version too.
"""

from __future__ import annotations

import re

from django.template import Origin
from django.template.loaders.app_directories import Loader as AppLoader

_TAG = re.compile(
    r"""<(span|div|a|button)\b((?:[^"'<>]|"[^"]*"|'[^']*')*)>(?:\s*([a-z_]+)\s*(?=<))?"""
)
_ICON = "material-symbols-outlined"
NAMES = {
    "dock_to_right": "Menu",
    "close": "Close the menu",
    "more_horiz": "More",
    "unfold_more": "More",
}
"""What an icon that can be pressed is called."""
NAMED = (
    ('id="searchbar-submit"', "Search"),
    ('id="command-submit"', "Search"),
    ('x-on:click="openTheme = !openTheme"', "Light or dark"),
)
"""Things to press that show an icon alone, by what their tag holds."""
PRESSED = 'role="button" tabindex="0" x-on:keydown.enter="$el.click()"'


class Loader(AppLoader):
    """Django's loader of the applications' templates; those of the theme are mended."""

    def get_contents(self, origin: Origin) -> str:
        text = str(super().get_contents(origin))
        return mended(text) if "unfold" in str(origin.name).split("/") else text


def mended(text: str) -> str:
    """A template whose icons are not read aloud and whose things to press can be reached and have a
    name.
    """
    return _TAG.sub(_mended_tag, text)


def _mended_tag(found: re.Match[str]) -> str:
    tag, attributes, icon = found[1], found[2], found[3] or ""
    added = []
    if _is_pressed(tag, attributes):
        added.append(PRESSED)
    if name := _name(attributes, icon if added else ""):
        added.append(f'aria-label="{name}"')
    if _ICON in attributes and not added:
        added.append('aria-hidden="true"')
    whole = found[0]
    return whole if not added else f"<{tag} {' '.join(added)}{whole[len(tag) + 1 :]}"


def _is_pressed(tag: str, attributes: str) -> bool:
    before, pressed, _ = attributes.partition('x-on:click="')
    always = before.count("{% if") == before.count("{% endif")
    return (
        bool(pressed)
        and always
        and tag != "button"
        and "href=" not in attributes
        and "role=" not in attributes
    )


def _name(attributes: str, icon: str) -> str:
    return next((name for holds, name in NAMED if holds in attributes), NAMES.get(icon, ""))
