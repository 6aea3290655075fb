"""People in a real browser, on a live installation: each with a page of their own, whose console
must stay silent.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, installation

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
# The cast with a password, and what every installation ships with.
_PEOPLE = """
import django
django.setup()
from django.contrib.auth.models import Group, User
from experiments.selectors.cast import CAST
from experiments.core.clock import utc_now
from experiments.services.library import shipped
shipped.install(utc_now())
for member in CAST:
    user = User.objects.create_user(member.username, password="e2e-pass", is_staff=True, first_name=member.name.split()[0])
    user.groups.set([Group.objects.get(name=member.role.value)])
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--images", default="", help="a folder for the screenshots that README and docs show"
    )


@pytest.fixture(scope="session")
def place(services: Any, redis_url: str) -> Iterator[Live]:
    """An installation with the cast; the tests skip where there is no browser."""
    from django.conf import settings

    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH (Debian: apt install chromium)")
    with installation(services, settings.DATABASE_URL, redis_url) as running:
        running.python(_PEOPLE)
        yield running


@pytest.fixture(scope="session")
def chromium(place: Live) -> Iterator[Any]:
    """The system's Chromium, after the installation: beside its driver's event loop Django migrates
    nothing.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Person:
    """Somebody at a browser. ``clicks`` and ``fields`` count what they had to do."""

    live: Live
    page: Any
    complaints: list[str] = field(default_factory=list)
    clicks: int = 0
    fields: int = 0
    pages: int = 0

    def go(self, path: str) -> None:
        self.page.goto(self.live.url + path)
        self.pages += 1

    def click(
        self, name: str, *, role: str = "button", inside: str = "body", exact: bool = True
    ) -> None:
        """Press what leads to another page, and wait for it."""
        with self.page.expect_navigation():
            self.page.locator(inside).get_by_role(role, name=name, exact=exact).first.click()
        self.clicks += 1

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=False).first.fill(text)
        self.fields += 1

    def text(self) -> str:
        return str(self.page.inner_text("body"))

    def log_in(self, username: str) -> None:
        self.go("/admin/login/")
        self.fill("Username", username)
        self.page.fill("[name=password]", "e2e-pass")
        self.page.click("[type=submit]")
        self.page.wait_for_load_state()
        assert "/login/" not in self.page.url


Opener = Callable[..., Person]


@pytest.fixture
def person(chromium: Any, place: Live) -> Iterator[Opener]:
    """``person("olivia")``: logged in, in a context of their own. At the end no console may have
    complained.
    """
    opened: list[tuple[Person, Any]] = []

    def open_as(username: str | None, **context: Any) -> Person:
        about = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        about.set_default_timeout(10_000)
        one = Person(place, about.new_page())
        # A refusal is an answer with its own status, which browsers report as an error of the
        # page's.
        one.page.on(
            "console",
            lambda m: (
                one.complaints.append(m.text)
                if m.type == "error" and "status of 4" not in m.text
                else None
            ),
        )
        one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
        one.page.on(
            "request",
            lambda request: (
                one.complaints.append(f"asked {request.url}")
                if _elsewhere(request.url, place)
                else None
            ),
        )
        one.page.on(
            "response",
            lambda got: (
                one.complaints.append(f"no {got.url}")
                if got.status == 404 and "/static/" in got.url
                else None
            ),
        )
        opened.append((one, about))
        if username is not None:
            one.log_in(username)
        return one

    yield open_as
    for _, about in opened:
        about.close()
    assert not [complaint for one, _ in opened for complaint in one.complaints]


def _elsewhere(url: str, place: Live) -> bool:
    """Whether a page asks another origin for something."""
    return not url.startswith((place.url, "data:", "blob:", "about:"))


@pytest.fixture(scope="session")
def images(pytestconfig: pytest.Config) -> Path | None:
    """Where pictures go; nowhere unless asked for, so that a run leaves the tree as it was."""
    asked = pytestconfig.getoption("--images")
    return Path(asked) if asked else None
