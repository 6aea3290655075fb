"""Everybody can use the pages: axe-core finds nothing serious, a keyboard reaches everything, no
icon is read aloud.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import node

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(node.MISSING), reason=f"axe-core cannot be installed: {node.MISSING}"),
]

LIST = "/admin/experiments/experiment/"
GRAVE = ("serious", "critical")
PAGES = 15
RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
  (v) => ({impact: v.impact, rule: v.id,
    where: v.nodes.slice(0, 6).map((n) => `${n.target.join(" ")} ${n.failureSummary}`.slice(0, 400))}))"""
ICONS = """() => [...document.querySelectorAll('.material-symbols-outlined')]
  .filter((e) => !e.closest('[aria-hidden=true]') && !e.closest('[aria-label]')).map((e) => e.outerHTML.slice(0, 160))"""
UNREACHED = """() => [...document.querySelectorAll('[x-on\\\\:click]')]
  .filter((e) => !['A', 'BUTTON', 'INPUT'].includes(e.tagName) && e.tabIndex < 0 || e.tagName === 'A' && !e.href && e.tabIndex < 0)
  .map((e) => e.outerHTML.slice(0, 160))"""
# One example with results and one with regions, told by the people who are there.
_EXAMPLES = """
import django
django.setup()
from django.contrib.auth.models import User
from analytics.services.examples import loading, pilot
from experiments.core.clock import utc_now
from experiments.selectors.actors import actor_for_user
now = utc_now()
cast = {user.username: actor_for_user(user) for user in User.objects.all()}
wanted = next(example for example in loading.EXAMPLES if example.key == "message_template")
loading._load(wanted, cast, now, lambda text: None)
pilot.load_pilot(cast["olivia"], now)
"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker's script, of the version that the lock names."""
    folder = node.installed(Path(__file__).with_name("js"), "axe")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(place):
    """Lists, forms, tools, and every tab of an experiment that has results."""
    place.python(_EXAMPLES)
    pk = place.sql("SELECT experiment_id FROM experiments WHERE key = 'message_template'")[0][0]
    geo = place.sql("SELECT experiment_id FROM experiments WHERE key = 'geo_posters'")[0][0]
    flag = place.sql(
        "SELECT id FROM flags WHERE key = (SELECT flag FROM experiments WHERE experiment_id = %s)",
        pk,
    )[0][0]
    tabs = ("checklist", "plan", "results", "cost", "health", "history", "settings")
    found = [
        "/admin/",
        LIST,
        f"{LIST}add/?template=matching_rerank_v1",
        *(f"{LIST}{pk}/change/?tab={tab}" for tab in tabs),
        f"{LIST}{geo}/change/?tab=results",
        f"/admin/experiments/flag/{flag}/change/",
        f"{LIST}sample-size/?kind=proportion&baseline=0.1&effect=0.05&units_per_day=3000",
        "/admin/experiments/metric/",
        f"{LIST}{pk}/decide/",
    ]
    assert len(found) >= PAGES
    return found


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_pages__axe_finds_nothing_serious(person, pages, axe, mode):
    ada = person("ada", viewport={"width": 1440, "height": 900}, color_scheme=mode)
    found = {}
    for path in pages:
        ada.go(path)
        ada.page.evaluate(axe)
        grave = [one for one in ada.page.evaluate(RUN) if one["impact"] in GRAVE]
        heard = [{"rule": "icon read aloud", "where": where} for where in ada.page.evaluate(ICONS)]
        unreached = [
            {"rule": "no keyboard", "where": where} for where in ada.page.evaluate(UNREACHED)
        ]
        if problems := [*grave, *heard, *unreached]:
            found[path] = problems
    assert not found


def test_skip_link__first_thing_a_keyboard_meets__leads_to_the_content(person):
    ada = person("ada")
    ada.go("/admin/")
    ada.page.keyboard.press("Tab")
    assert ada.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    ada.page.keyboard.press("Enter")
    assert ada.page.evaluate("document.activeElement.matches('main')")


def test_log_out__by_keyboard__works(person):
    ada = person("ada")
    ada.go("/admin/")
    for _ in range(200):
        if ada.page.evaluate(
            "document.activeElement.matches('#nav-sidebar [x-on\\\\:click*=openUserLinks]')"
        ):
            break
        ada.page.keyboard.press("Tab")
    ada.page.keyboard.press("Enter")
    ada.page.locator("#logout-form button").press("Enter")
    ada.page.wait_for_load_state()
    ada.go("/admin/")
    assert "/login/" in ada.page.url


def test_first_load__is_packed_and_kept_for_good(person, place):
    """What a browser fetches for the first page, and that it asks for none of it again."""
    ada = person("ada")
    sizes, kept = [], []

    def note(response):
        if "/static/" in response.url:
            sizes.append(response.request.sizes()["responseBodySize"])
            kept.append("immutable" in response.headers.get("cache-control", ""))

    ada.page.goto("about:blank")
    fresh = ada.page.context.browser.new_context(storage_state=ada.page.context.storage_state())
    page = fresh.new_page()
    page.on("requestfinished", lambda request: note(request.response()))
    page.goto(f"{place.url}/admin/", wait_until="networkidle")
    fresh.close()
    assert sizes and all(kept)
    print(f"first load: {sum(sizes) / 1e6:.2f} MB in {len(sizes)} files")
    assert sum(sizes) < 1_000_000
