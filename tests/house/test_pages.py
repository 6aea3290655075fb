"""What a browser is told to load comes from us: an installation without the internet shows every
page.
"""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.staticfiles import finders
from django.test import Client

from experiments.core.types import Role

LOADED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=["']([^"']+)""")

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    person = User.objects.create_user("ada", is_staff=True)
    person.groups.add(Group.objects.get(name=Role.ADMIN.value))
    client = Client()
    client.force_login(person)
    return client


def _is_there(name: str) -> bool:
    """As it stands among the sources, or under its hashed name where the files were collected."""
    return finders.find(name) is not None or (settings.STATIC_ROOT / name).is_file()


def loaded_by(page: str) -> list[str]:
    return LOADED.findall(page)


@pytest.mark.parametrize(
    "address", ["/api/docs", "/admin/", "/admin/login/", "/admin/experiments/experiment/"]
)
def test_page__everything_it_loads_is_ours_and_there(browser: Client, address: str) -> None:
    client = Client() if "login" in address else browser
    loaded = loaded_by(client.get(address).content.decode())
    assert loaded
    assert [one for one in loaded if re.match(r"(?:\w+:)?//", one)] == []
    static = [
        one.removeprefix(settings.STATIC_URL)
        for one in loaded
        if one.startswith(settings.STATIC_URL)
    ]
    assert static and [one for one in static if not _is_there(one)] == []


def test_api_docs__no_address_elsewhere_not_even_a_validators(browser: Client) -> None:
    page = browser.get("/api/docs").content.decode()
    assert re.findall(r"https?://[^\s\"']+", page) == []
    script = browser.get("/api/docs?script=").content.decode()
    assert re.findall(r"https?://[^\s\"']+", script) == []
    assert '"validatorUrl": null' in script


def test_favicon__asked_for_by_its_old_name__is_our_sign(browser: Client) -> None:
    answer = browser.get("/favicon.ico")
    assert answer.status_code == 302
    assert _is_there(answer["Location"].removeprefix(settings.STATIC_URL))
