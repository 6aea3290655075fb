"""Documents for people: a page that needs nothing but itself, and files beside it."""

from __future__ import annotations

import base64
import hashlib
import re

from django.http import HttpResponse

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
TYPES = {
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
}


def document(body: str | bytes, kind: str, name: str) -> HttpResponse:
    """An answer of this kind that runs nothing and fetches nothing; only its own style, named by
    its digest, applies.
    """
    answer = HttpResponse(body, content_type=TYPES[kind])
    style = _STYLE.search(body) if isinstance(body, str) and kind == "html" else None
    answer["Content-Security-Policy"] = (
        f"{_NOTHING}; style-src {_digest(style[1])}" if style else _NOTHING
    )
    answer["X-Content-Type-Options"] = "nosniff"
    how = "attachment" if kind == "csv" else "inline"
    answer["Content-Disposition"] = (
        f'{how}; filename="{re.sub("[^A-Za-z0-9_.-]", "_", name)}.{kind}"'
    )
    answer["Cache-Control"] = "no-cache, private"
    return answer


def _digest(style: str) -> str:
    """How a policy names a style that it lets through."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
