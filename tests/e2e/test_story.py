"""The whole way of an experiment, by people in browsers: written, checked, launched dark, approved,
run, stopped, archived.
"""

from __future__ import annotations

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LIST = "/admin/experiments/experiment/"
KEY = "e2e-rerank"
_EVIDENCE = """
import sys, django
django.setup()
from datetime import timedelta
from experiments.core.clock import utc_now
from experiments.core.types import SYSTEM, Item
from experiments.models import Experiment, Iteration
from experiments.services.life import checklist
experiment = Experiment.objects.get(pk=int(sys.argv[1]))
checklist.record_evidence(SYSTEM, utc_now(), experiment_id=experiment.pk, item=Item(sys.argv[2]), green=True, summary="computed", detail={})
"""


FOCUS = """() => { const s = getComputedStyle(document.activeElement);
  return s.outlineStyle !== 'none' || s.boxShadow !== 'none'; }"""


def _draft(olivia, title, *, template="matching_rerank_v1"):
    """From the overview to a saved draft: the number of the experiment."""
    olivia.go("/admin/")
    olivia.click("New experiment", role="link")
    olivia.page.get_by_label("Begin from a template").select_option(template)
    olivia.click("Fill the form from it")
    olivia.fill("Title", title)
    _say_what_is_known(olivia)
    olivia.click("Save the draft")
    found = re.search(r"/experiment/(\d+)/change/", olivia.page.url)
    assert found, olivia.text()[:2000]
    return int(found[1])


def _say_what_is_known(olivia):
    """Today's rate and spread of each metric: an installation without a past cannot know them."""
    for name, value in (("baseline", "0.2"), ("baseline_sd", "0.4")):
        for line in olivia.page.locator(f"#metric-lines [name$=-{name}]").all():
            if line.input_value() == "":
                line.fill(value)
                olivia.fields += 1


def _page(pk, tab=""):
    return f"{LIST}{pk}/change/" + (f"?tab={tab}" if tab else "")


def _confirm(who, pk, verb, button, reason=""):
    who.go(f"{LIST}{pk}/do/{verb}/")
    assert "Not possible now" not in who.text(), who.page.inner_text(".as-note.warn")
    if reason:
        who.fill("Reason", reason)
    who.click(button)


def _sign(who, pk, item):
    who.go(_page(pk, "checklist"))
    form = who.page.locator(f"#item-{item} form:has(select[name=verdict])")
    if not form.is_visible():
        who.page.locator(f"#item-{item} summary", has_text="Sign this item").click()
    with who.page.expect_navigation():
        form.get_by_role("button", name="Sign").click()


def test_story__three_people_and_two_more__from_draft_to_archive(person, place):
    olivia, dmitri, quinn, paula, victor = (
        person(name) for name in ("olivia", "dmitri", "quinn", "paula", "victor")
    )
    pk = _draft(olivia, "E2E rerank")

    # What is missing is said, and a stranger is refused.
    olivia.go(f"{LIST}{pk}/do/start_dark_launch/")
    assert "Not possible now" in olivia.text() and "PRD" in olivia.text()
    victor.go(f"{LIST}{pk}/do/start_dark_launch/")
    assert "You may not" in victor.text()
    paula.go(f"{LIST}{pk}/edit/")
    assert "Only the experiment's team" in paula.text()

    _sign(olivia, pk, "prd")
    olivia.go(_page(pk, "checklist"))
    olivia.click("Compute sample size")
    assert "Sample size" not in olivia.page.inner_text(".as-hero .verdict"), olivia.page.inner_text(
        "#main, main, #content"
    ).split("Checklist")[0]
    dmitri.go(_page(pk, "offline"))
    dmitri.fill("Value", "0.56")
    dmitri.fill("Lower bound", "0.53")
    dmitri.click("Record")
    _sign(dmitri, pk, "offline")
    _confirm(quinn, pk, "start_dark_launch", "Start dark launch")
    assert "dark launch" in quinn.text()

    # Traffic arrives by HTTP; its way can be watched.
    place.settle()
    flag = place.sql("SELECT key FROM experiments WHERE experiment_id = %s", pk)[0][0]
    quinn.go(_page(pk, "wiring"))
    for number in range(30):
        place.post(
            "/api/v1/assignments", {"unit": f"u{number}", "experiments": [flag], "exposure": "none"}
        )
        quinn.page.wait_for_timeout(500)
        if quinn.page.locator("[data-live] .as-badge.good").count() > 3:
            break
    assert "assignment" in quinn.page.inner_text("[data-live]")

    place.python(_EVIDENCE, str(pk), "dark_launch")
    _sign(quinn, pk, "dark_launch")
    olivia.go(f"{LIST}{pk}/request-launch/")
    olivia.click("Request the launch")
    olivia.go(_page(pk, "checklist"))
    assert olivia.page.locator("#item-approval form").count() == 0, (
        "nobody approves their own request"
    )
    olivia.go(f"{LIST}{pk}/sign/approval/")
    assert "a second person must do this" in olivia.text()
    _sign(paula, pk, "approval")
    olivia.go(f"{LIST}{pk}/do/start/")
    assert "What users will see" in olivia.text()
    olivia.click("Go live")
    assert "running" in olivia.page.inner_text(".as-hero")

    # The amend form: what is no design may change, with a reason.
    olivia.go(f"{LIST}{pk}/edit/")
    olivia.fill("Title", "E2E rerank, amended")
    olivia.fill("Reason", "a better title")
    olivia.click("Save")
    assert "E2E rerank, amended" in olivia.text()

    # Everybody may stop it, nobody without saying why.
    victor.go(f"{LIST}{pk}/do/emergency_stop/")
    victor.page.evaluate(
        "document.querySelectorAll('[required]').forEach((field) => field.required = false)"
    )
    victor.click("Emergency stop")
    assert "This was not done" in victor.text()
    _confirm(victor, pk, "emergency_stop", "Emergency stop", "answers look wrong")
    assert "Stopped by Victor" in victor.text() and "answers look wrong" in victor.text()
    _confirm(olivia, pk, "conclude", "Conclude", "we saw enough")
    assert "completed" in olivia.page.inner_text(".as-hero")
    _confirm(olivia, pk, "archive", "Archive")
    assert "archived" in olivia.page.inner_text(".as-hero")
    olivia.go(_page(pk, "history"))
    assert "answers look wrong" in olivia.text()


def test_dark_launch__aborted__is_a_draft_again(person, place):
    olivia, dmitri, quinn = (person(name) for name in ("olivia", "dmitri", "quinn"))
    pk = _draft(olivia, "E2E aborted")
    _sign(olivia, pk, "prd")
    olivia.go(_page(pk, "checklist"))
    olivia.click("Compute sample size")
    assert "Sample size" not in olivia.page.inner_text(".as-hero .verdict"), olivia.page.inner_text(
        "#main, main, #content"
    ).split("Checklist")[0]
    dmitri.go(_page(pk, "offline"))
    dmitri.fill("Value", "0.56")
    dmitri.fill("Lower bound", "0.53")
    dmitri.click("Record")
    _sign(dmitri, pk, "offline")
    _confirm(quinn, pk, "start_dark_launch", "Start dark launch")
    quinn.go(f"{LIST}{pk}/do/abort_dark_launch/")
    quinn.fill("Reason", "the model answers in the wrong language")
    quinn.click("Abort dark launch")
    assert "draft" in quinn.page.inner_text(".as-hero")


def test_first_experiment__of_a_new_product_owner__is_in_dark_launch_within_five_minutes(
    person, place
):
    """What the owner and two others have to do until one per cent of units is touched, counted.

    Five seconds for each field and click, ten to read a page.
    """
    people = olivia, dmitri, quinn = tuple(person(name) for name in ("olivia", "dmitri", "quinn"))
    before = [(one.fields, one.clicks, one.pages) for one in people]
    pk = _draft(olivia, "E2E counted", template="matching_rerank_v1")
    _sign(olivia, pk, "prd")
    olivia.clicks += 1
    olivia.go(_page(pk, "checklist"))
    olivia.click("Compute sample size")
    assert "Sample size" not in olivia.page.inner_text(".as-hero .verdict"), olivia.page.inner_text(
        "#main, main, #content"
    )
    dmitri.go(_page(pk, "offline"))
    dmitri.fill("Value", "0.56")
    dmitri.fill("Lower bound", "0.53")
    dmitri.click("Record")
    _sign(dmitri, pk, "offline")
    dmitri.clicks += 1
    _confirm(quinn, pk, "start_dark_launch", "Start dark launch")
    assert "dark launch" in quinn.page.inner_text(".as-hero")
    after = [(one.fields, one.clicks, one.pages) for one in people]
    fields, clicks, pages = (
        sum(now[k] - was[k] for was, now in zip(before, after, strict=True)) for k in range(3)
    )
    seconds = 5 * fields + 5 * clicks + 10 * pages
    assert seconds <= 300, f"{seconds} s: {pages} pages, {fields} fields, {clicks} clicks"
    print(f"{seconds} s: {pages} pages, {fields} fields, {clicks} clicks")


def test_keyboard_only__from_the_login_to_a_saved_draft(person, place):
    olivia = person(None)
    olivia.go("/admin/login/")
    keys = olivia.page.keyboard

    def to(selector):
        for _ in range(200):
            if olivia.page.evaluate("(s) => document.activeElement?.matches(s) ?? false", selector):
                shown = olivia.page.evaluate(FOCUS)
                assert shown, f"the focus on {selector} cannot be seen"
                return
            keys.press("Tab")
        raise AssertionError(f"{selector} cannot be reached by Tab")

    to("[name=username]")
    keys.type("olivia")
    to("[name=password]")
    keys.type("e2e-pass")
    keys.press("Enter")
    olivia.page.wait_for_url("**/admin/")
    to("a[href$='/experiment/add/']")
    keys.press("Enter")
    olivia.page.wait_for_url("**/add/")
    to("#template select")
    keys.type("Spam")
    to("#template button")
    keys.press("Enter")
    olivia.page.wait_for_url("**template=spam**")
    to("[name=name]")
    keys.press("Control+A")
    keys.type("E2E by keyboard")
    to("form[method=post] .as-button.primary")
    keys.press("Enter")
    olivia.page.wait_for_url("**/change/**")
    assert "E2E by keyboard" in olivia.text()
