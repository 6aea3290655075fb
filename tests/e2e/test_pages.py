"""Every page at both widths and in both modes: nothing overflows, everything has a name, no script
complains.
"""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LIST = "/admin/experiments/experiment/"
TABS = (
    "checklist",
    "plan",
    "offline",
    "traffic",
    "results",
    "cost",
    "health",
    "wiring",
    "history",
    "settings",
)
PAYLOAD = "<script>document.title='owned'</script>\"><img src=x onerror=\"document.title='owned'\">{{7*7}}"
UNNAMED = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, svg[role=img]')]
  .filter((e) => e.getClientRects().length && !(e.labels?.length || e.ariaLabel || e.getAttribute('aria-labelledby') || e.title
     || e.textContent.trim() || e.placeholder || e.value && e.type === 'submit'))
  .map((e) => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def paths(place):
    """Every list of the workplace, its tools, and an experiment on all of its tabs."""
    place.experiment(
        "e2e_pages",
        variants=[
            {"name": "control", "traffic_allocation": 50},
            {"name": "b", "traffic_allocation": 50},
        ],
    )
    pk = place.sql("SELECT experiment_id FROM experiments WHERE key = 'e2e_pages'")[0][0]
    flag = place.sql(
        "SELECT id FROM flags WHERE key = (SELECT flag FROM experiments WHERE experiment_id = %s)",
        pk,
    )[0][0]
    models = (
        "experiment",
        "flag",
        "override",
        "exclusionlist",
        "segment",
        "globalholdout",
        "layer",
        "metric",
        "policy",
        "changelogentry",
    )
    return [
        "/admin/",
        *(f"/admin/experiments/{model}/" for model in models),
        *(f"/admin/analytics/{model}/" for model in ("decision", "modelprice", "reporttemplate")),
        f"/admin/experiments/flag/{flag}/change/",
        f"{LIST}add/",
        f"{LIST}add/?template=matching_rerank_v1",
        f"{LIST}why/?units=u1",
        f"{LIST}calibration/",
        f"{LIST}timeline/",
        f"{LIST}events/",
        f"{LIST}{pk}/compare/",
        f"{LIST}{pk}/explore/",
        f"{LIST}{pk}/unmask/",
        f"{LIST}sample-size/?kind=proportion&baseline=0.1&effect=0.05&units_per_day=3000",
        *(f"{LIST}{pk}/change/?tab={tab}" for tab in TABS),
        f"{LIST}{pk}/do/emergency_stop/",
    ]


@pytest.mark.parametrize(
    ("width", "mode"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def test_pages__at_this_width__do_not_overflow_and_name_everything(person, paths, width, mode):
    ada = person("ada", viewport={"width": width, "height": 844}, color_scheme=mode)
    found = {}
    for path in paths:
        ada.go(path)
        wide, room = ada.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        problems = [f"{wide} px wide in {room}"] if wide > room else []
        heads = ada.page.locator("h1:visible").count()
        problems += [f"{heads} h1"] if heads != 1 else []
        problems += [f"no name: {html}" for html in ada.page.evaluate(UNNAMED)]
        if problems:
            found[path] = problems
    assert not found


PICTURES = (
    ("list", LIST, 1280),
    ("wiring", "{experiment}?tab=wiring", 1280),
    ("results", "{experiment}?tab=results", 390),
)


def test_pictures__of_pages_in_both_modes__go_where_they_were_asked_for(
    person, paths, images, tmp_path
):
    """With ``--images FOLDER`` they stay; README's own are of the demo, whose experiments have a
    past.
    """
    experiment = next(path for path in paths if "?tab=" in path).partition("?")[0]
    for mode in ("light", "dark"):
        for name, path, width in PICTURES:
            ada = person("ada", viewport={"width": width, "height": 900}, color_scheme=mode)
            ada.go(path.format(experiment=experiment))
            where = (images or tmp_path) / f"{name}-{width}-{mode}.png"
            ada.page.screenshot(path=where)
            assert where.stat().st_size > 10_000


def test_payload__typed_into_a_draft__stays_text(person, place):
    olivia = person("olivia")
    olivia.go(f"{LIST}add/")
    olivia.fill("Title", "E2E payload")
    for label in ("Description", "Hypothesis", "Expected effect"):
        olivia.fill(label, PAYLOAD)
    olivia.page.fill("[name=prd_text]", PAYLOAD)
    olivia.page.fill("[name=tags]", PAYLOAD)
    olivia.click("Save the draft")
    pages = [olivia.page.url, *(olivia.page.url.partition("?")[0] + f"?tab={tab}" for tab in TABS)]
    for url in [*pages, f"{place.url}{LIST}?q=payload", f"{place.url}/admin/"]:
        olivia.page.goto(url)
        olivia.page.wait_for_timeout(100)
        assert olivia.page.title() != "owned"
        assert olivia.page.locator("img[src=x]").count() == 0
    olivia.page.goto(pages[0].partition("?")[0] + "?tab=plan")
    assert "{{7*7}}" in olivia.text() and "<script>" in olivia.text()


def test_csp__an_injected_script__is_not_run(person, place):
    ada = person("ada")
    ada.go("/admin/")
    ada.page.evaluate(
        "const s = document.createElement('script'); s.textContent = \"document.title = 'owned'\"; document.head.append(s)"
    )
    assert ada.page.title() != "owned"
    assert any("Content Security Policy" in complaint for complaint in ada.complaints)
    ada.complaints.clear()
