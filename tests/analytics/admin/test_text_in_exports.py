"""Whatever people or applications wrote, in text and in JSON columns: pages and files show it as
text, and no file has a formula.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import pgtrigger
import pytest
from django.apps import apps
from django.db import models

from analytics.selectors.reporting import reports
from experiments.models import Experiment
from tests.analytics.admin.test_results import url
from tests.experiments.admin.conftest import page
from tests.experiments.admin.test_text_stays_text import PAYLOAD, RAW, TABS, _addresses, world  # noqa: F401  # a fixture

FORMULA = "=HYPERLINK(1)" + PAYLOAD[:15]
PROSE = {
    "name",
    "sentence",
    "note",
    "reason",
    "text",
    "description",
    "message",
    "title",
    "label",
    "summary",
    "rule",
}
"""Keys under which documents hold what people wrote, or what is made of it."""
FREE = {
    ("Experiment", "tags"),
    ("Variant", "config"),
    ("Flag", "default_value"),
    ("ChangeLogEntry", "before"),
    ("ChangeLogEntry", "after"),
}
"""Documents that are people's own throughout."""
BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _documents() -> list[tuple[type[models.Model], str]]:
    found = []
    for app in ("experiments", "analytics"):
        for model in apps.get_app_config(app).get_models():
            found += [
                (model, field.name)
                for field in model._meta.concrete_fields
                if isinstance(field, models.JSONField)
            ]
    return found


def _poisoned(value: Any, free: bool, payload: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _poisoned(one, free, payload, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_poisoned(one, free, payload, key) for one in value]
    return payload if isinstance(value, str) and (free or key in PROSE) else value


@pytest.fixture
def poisoned(world) -> Experiment:
    """The world with the payload in its documents too."""
    _poison(PAYLOAD)
    return world


def _poison(payload: str) -> None:
    with pgtrigger.ignore():
        for model, name in _documents():
            for row in model._default_manager.all():
                found = _poisoned(getattr(row, name), (model.__name__, name) in FREE, payload)
                model._default_manager.filter(pk=row.pk).update(**{name: found})


def test_documents__stay_text_on_every_page(browser, poisoned):
    client, raw, broken = browser("ada"), [], []
    for address in _addresses(poisoned):
        answer = client.get(address)
        text = answer.content.decode()
        broken += [(address, answer.status_code)] if answer.status_code >= 500 else []
        raw += [address] if RAW in text else []
    assert not broken and not raw


@pytest.mark.parametrize("kind", ["html", "md", "json", "pdf"])
def test_report__shows_it_as_text(browser, poisoned, kind):
    if kind == "pdf" and reports.find_spec("weasyprint") is None:
        pytest.skip("WeasyPrint is not installed (Assay's extra “pdf”)")
    answer = browser("ada").get(url(poisoned, "report") + f"?format={kind}")
    assert answer.status_code == 200
    text = answer.content.decode(errors="replace")
    if kind == "html":
        assert RAW not in text and "&lt;b id=own&gt;" in text
    if kind == "md":
        assert "b id=own" in text
        assert RAW not in text.replace("\\<", "")


def test_csv__begins_no_cell_with_a_formula(browser, poisoned):
    _poison(FORMULA)
    answer = browser("ada").get(f"/admin/experiments/experiment/{poisoned.pk}/results.csv")
    cells = [
        cell for row in csv.reader(io.StringIO(answer.content.decode(), newline="")) for cell in row
    ]
    assert any(FORMULA in cell for cell in cells)
    assert [
        cell for cell in cells if cell.startswith(BEGINS_A_FORMULA) and not _is_number(cell)
    ] == []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_documents__are_found(poisoned):
    names = {(model.__name__, name) for model, name in _documents()}
    assert names >= FREE and len(names) >= 40
    assert (
        PAYLOAD in str(Experiment.objects.get(pk=poisoned.pk).tags)
        or Experiment.objects.get(pk=poisoned.pk).tags == []
    )
    assert page(poisoned) and TABS
