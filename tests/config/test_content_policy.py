"""Each answer says what a browser may do with it."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from config.web.content_policy import HEADER, NOTHING, WORKPLACE

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/admin/login/", WORKPLACE),
        ("/admin/", WORKPLACE),
        ("/admin/no/such/page/", WORKPLACE),
        ("/api/docs", WORKPLACE),
        ("/api/schema", NOTHING),
        ("/api/v1/experiments", NOTHING),
        ("/ofrep/v1/evaluate/flags", NOTHING),
        ("/healthz", NOTHING),
        ("/no/such/page", NOTHING),
    ],
)
def test_answer__says_what_a_browser_may_load(client: Client, path: str, policy: str) -> None:
    assert client.get(path).headers[HEADER] == policy


@pytest.mark.parametrize("path", ["/admin/login/", "/api/docs"])
def test_page__has_no_script_of_its_own_in_it_and_asks_no_other_origin(
    client: Client, path: str
) -> None:
    text = client.get(path).content.decode()
    assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", text)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", text)
    assert not re.findall(r"\son[a-z]+=", re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL))


def test_workplace__runs_only_its_own_files() -> None:
    assert "script-src 'self' 'unsafe-eval';" in WORKPLACE
    assert "http" not in WORKPLACE and "*" not in WORKPLACE
