"""Codes as words: what the tables hold for programs, as pages and messages say it."""

from __future__ import annotations

from functools import cache

from django.apps import apps


@cache
def _kinds() -> dict[str, str]:
    return {
        model._meta.model_name or "": str(model._meta.verbose_name) for model in apps.get_models()
    }


def words(code: object) -> str:
    """``start_dark_launch`` → start dark launch; the name of a kind of rows → what people call
    it.
    """
    text = str(code)
    return _kinds().get(text, text).replace("_", " ")
