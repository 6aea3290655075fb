"""Lists speak in words, count in the right number, and write dates in one style."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime

import pytest
from django.contrib import admin
from django.urls import reverse

from experiments.core import figures
from experiments.models import ChangeLogEntry
from experiments.selectors.wording import words
from tests.experiments.admin.test_list import _live

LISTS = [
    model
    for model in admin.site._registry
    if model._meta.app_label in ("experiments", "analytics", "auth")
]
AMERICAN = re.compile(r"\b[A-Z][a-z]{2,4}\.? \d{1,2}, \d{4}|\b(?:noon|midnight|[ap]\.m\.)")
CODES = {"action", "object_type", "task", "kind", "verdict", "outcome", "status"}


def _shown(page: str) -> str:
    text = re.sub(r"<(script|style|code|pre|textarea|option)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", text))


@pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.model_name)
def test_list__writes_dates_in_one_style_and_codes_as_words(browser, owner, simple, model):
    _live(owner, "Winner", "promote")
    text = _shown(
        browser("ada")
        .get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        .content.decode()
    )
    assert not AMERICAN.findall(text)
    codes = set(ChangeLogEntry.objects.values_list("action", flat=True)) | set(
        ChangeLogEntry.objects.values_list("object_type", flat=True)
    )
    assert not [
        code for code in codes if words(code) != code and re.search(rf"\b{re.escape(code)}\b", text)
    ]


def test_lists__no_column_or_filter_shows_a_bare_code():
    bare = [
        (model._meta.model_name, name)
        for model, shown in admin.site._registry.items()
        for name in (*shown.list_display, *shown.list_filter)
        if name in CODES
        and any(field.name == name and not field.choices for field in model._meta.fields)
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (1, "unit", "1 unit"),
        (0, "unit", "0 units"),
        (2000, "day", "2,000 days"),
        (1.0, "hour", "1 hour"),
        (1.5, "hour", "1.5 hours"),
    ],
)
def test_counted__says_the_right_number(number, noun, said):
    assert figures.counted(number, noun) == said


def test_counted__with_a_plural_of_its_own():
    assert [figures.counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]


def test_words__of_codes_and_kinds_of_rows():
    assert (words("start_dark_launch"), words("offlineevaluation")) == (
        "start dark launch",
        "offline evaluation",
    )


def test_day_and_moment__are_one_style():
    at = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert (figures.day(date(2026, 6, 1)), figures.moment(at)) == (
        "01 Jun 2026",
        "01 Jun 2026, 12:00 UTC",
    )


def test_sidebar__names_its_groups_in_plain_words(browser):
    titles = re.findall(r"<h2[^>]*>\s*(.*?)\s*<", browser("ada").get("/admin/").content.decode())
    assert {"Notifications", "Settings"} <= set(titles)
    assert not {"Telling", "House"} & set(titles)
