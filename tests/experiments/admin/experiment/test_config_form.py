"""Variants edited by the fields of their flag's schema: what is drawn, what is saved, what is
told.
"""

from __future__ import annotations

import re
from html import unescape

import pytest

from experiments.models import ChangeLogEntry, Experiment, Flag
from experiments.services.serving import flags
from tests.experiments.admin.conftest import NOW, page
from tests.experiments.core.serving.test_value_schema import DOCUMENT

OPEN = {key: value for key, value in DOCUMENT.items() if key != "additionalProperties"}


@pytest.fixture
def described(draft, owner) -> Experiment:
    """Olivia's draft on a flag with a schema; control has a key that the schema does not know."""
    flags.set_schema(
        owner, NOW, flag_key=draft.flag_id, schema=OPEN, reason="So that forms can be drawn."
    )
    return draft


def edit_url(experiment: Experiment) -> str:
    return page(experiment).replace("/change/", "/edit/")


def form_of(text: str) -> dict[str, str]:
    """What a browser would send of the form as it stands."""
    form = (
        text.split('id="variants"')[0].rsplit("<form", 1)[1]
        + text.split('id="variants"')[1].split("</form>")[0]
    )
    form = re.sub(r"<template.*?</template>", "", form, flags=re.DOTALL)
    sent = {}
    for tag in re.findall(r"<input[^>]*>", form):
        named = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if "name" in named and (
            named.get("type") not in ("checkbox", "radio") or " checked" in tag
        ):
            sent[unescape(named["name"])] = unescape(named.get("value", ""))
    for name, value in re.findall(
        r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.DOTALL
    ):
        sent[unescape(name)] = unescape(value)
    for name, options in re.findall(
        r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL
    ):
        chosen = re.search(r'<option value="([^"]*)" selected', options) or re.search(
            r'<option value="([^"]*)"', options
        )
        sent[unescape(name)] = unescape(chosen[1]) if chosen else ""
    return sent


def configs(experiment: Experiment) -> list[object]:
    return list(experiment.variants.order_by("position").values_list("config", flat=True))


def test_form__a_field_for_each_property__and_the_rest_as_json(browser, described):
    sent = form_of(browser("olivia").get(edit_url(described)).content.decode())
    assert sent["v-0-c-string-model"] == ""
    assert sent["v-0-c-string-prompt"] == "v1"
    assert "v-0-c-number-temperature" in sent and "v-0-c-boolean-stream" in sent
    assert sent["v-0-config"] == ""


def test_form__saved_as_it_stands__changes_nothing(browser, described, owner):
    odd = {
        "model": "small",
        "temperature": 0.5,
        "top_k": 3,
        "stream": False,
        "prompt": "Be\nbrief.",
        "extra": [1, {"a": None}],
    }
    variants = list(described.variants.order_by("position"))
    described.variants.filter(pk=variants[1].pk).update(config=odd)
    edges = {
        "model": "",
        "temperature": 1.0,
        "top_k": 2**53 - 1,
        "prompt": "\nA line\r\nand another",
    }
    described.variants.filter(pk=variants[0].pk).update(config=edges)
    before = configs(described)
    client = browser("olivia")
    assert (
        client.post(
            edit_url(described), form_of(client.get(edit_url(described)).content.decode())
        ).status_code
        == 302
    )
    assert configs(described) == before


def test_form__what_is_typed__is_read_by_its_type(browser, described):
    client = browser("olivia")
    sent = form_of(client.get(edit_url(described)).content.decode())
    sent |= {
        "v-1-c-string-model": "large",
        "v-1-c-number-temperature": "0.7",
        "v-1-c-integer-top_k": "5",
        "v-1-c-boolean-stream": "true",
        "v-1-c-string-prompt": "Be kind.\r\nBe brief.",
        "v-1-config": '{"extra": 1}',
    }
    assert client.post(edit_url(described), sent).status_code == 302
    assert configs(described)[1] == {
        "model": "large", "temperature": 0.7, "top_k": 5, "prompt": "Be kind.\nBe brief.", "stream": True, "extra": 1,
    }  # fmt: skip


def test_form__a_number_that_is_none__stands_beside_its_field_with_what_was_typed(
    browser, described
):
    client = browser("olivia")
    sent = form_of(client.get(edit_url(described)).content.decode()) | {
        "v-1-c-number-temperature": "hot",
        "v-1-config": '{"extra": 1}',
    }
    refused = client.post(edit_url(described), sent)
    text = refused.content.decode()
    assert refused.status_code == 400
    assert "temperature: “hot” is not a number" in text
    again = form_of(text)
    assert again["v-1-c-number-temperature"] == "hot"
    assert '"extra": 1' in again["v-1-config"]


def test_plan__a_value_outside_the_schema__is_advice(browser, described):
    described.variants.filter(is_control=False).update(config={"prompt": "v2", "temperature": 9})
    text = unescape(browser("olivia").get(page(described) + "?tab=plan").content.decode())
    assert "sets temperature to 9, above 2" in text
    assert "lacks model" in text


def test_flag_page__schema_changed_with_a_reason__is_kept_and_shown(browser, described):
    flag = Flag.objects.get(key=described.flag_id)
    client = browser("olivia")
    where = f"/admin/experiments/flag/{flag.pk}/"
    shown = client.get(where + "change/").content.decode()
    assert "<code>temperature</code>" in shown and "0 to 2" in shown
    assert client.post(where + "schema/", {"schema": "{}", "reason": ""}).status_code == 400
    broken = client.post(
        where + "schema/",
        {"schema": '{"type": "object", "patternProperties": {}}', "reason": "Try."},
    )
    assert broken.status_code == 400 and "is not read here" in unescape(broken.content.decode())
    assert (
        client.post(where + "schema/", {"schema": "{}", "reason": "No longer true."}).status_code
        == 302
    )
    flag.refresh_from_db()
    assert flag.schema == {}
    line = ChangeLogEntry.objects.filter(action="flag_schema_changed").order_by("-pk").first()
    assert line is not None and line.reason == "No longer true." and line.before == {"schema": OPEN}


def test_schema_form__without_one__suggests_what_is_served(browser, draft):
    flag = Flag.objects.get(key=draft.flag_id)
    text = unescape(
        browser("olivia").get(f"/admin/experiments/flag/{flag.pk}/schema/").content.decode()
    )
    assert '"prompt": {' in text and '"type": "string"' in text
