"""What to do about a finding or a trouble: ``docs/troubleshooting.md`` as a page, so that links to
it lead somewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify

from experiments.admin.base import WorkplaceAdmin

_CODE = re.compile(r"`([^`\n]+)`")
_STRESS = re.compile(r"\*([^*\n]+)\*")


@dataclass(frozen=True)
class Trouble:
    """One section: what a link names it by, its title, and its paragraphs."""

    anchor: str
    title: str
    paragraphs: tuple[SafeString, ...]


@dataclass(frozen=True)
class Chapter:
    """Sections of a kind."""

    title: str
    troubles: tuple[Trouble, ...]


def page(admin: WorkplaceAdmin, request: HttpRequest) -> HttpResponse:
    """The whole page; each section has its own address."""
    return admin.page(
        request, "admin/assay/troubles.html", {"title": "Troubleshooting", "chapters": chapters()}
    )


@cache
def chapters() -> tuple[Chapter, ...]:
    """The document, read once."""
    text = (settings.PROJECT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    return tuple(_chapter(part) for part in text.split("\n## ")[1:])


def _chapter(part: str) -> Chapter:
    title, *sections = part.split("\n### ")
    return Chapter(
        title.strip(), tuple(_trouble(*section.partition("\n")[::2]) for section in sections)
    )


def _trouble(title: str, body: str) -> Trouble:
    """A finding is named by its code, any other section by its title."""
    anchor = title if title.isidentifier() else slugify(title)
    return Trouble(anchor, title, tuple(_words(one) for one in body.strip().split("\n\n")))


def _words(paragraph: str) -> SafeString:
    """A paragraph with its code and stress; everything else is text."""
    safe = _STRESS.sub(r"<em>\1</em>", _CODE.sub(r"<code>\1</code>", escape(paragraph)))
    return mark_safe(safe)  # noqa: S308  (escaped above; the document is ours)
