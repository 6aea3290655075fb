"""Faults of the experiment's form: all at once, by the label of the field, with a link to it."""

from __future__ import annotations

from tests.experiments.admin.conftest import url

BROKEN = {
    "name": "Broken",
    "traffic": "many",
    "policy": "standard",
    "unit_type": "user",
    "m-count": "1",
    "m-0-metric": "apply_rate",
    "m-0-role": "primary",
    "m-0-baseline": "a lot",
    "m-0-mde": "some",
    "v-count": "0",
}


def test_form__several_faults__are_told_at_once_by_label_with_links(browser, draft):
    answer = browser("olivia").post(url(draft, "edit"), BROKEN)
    text = answer.content.decode()
    assert answer.status_code == 400
    for label, place in (
        ("Share of all units", "traffic"),
        ("baseline", "m-0-baseline"),
        ("effect worth finding", "m-0-mde"),
    ):
        assert label in text
        assert f'href="#id_{place}"' in text
    assert (
        "baseline_sd"
        not in text[text.index('role="alert"') : text.index("</div>", text.index('role="alert"'))]
    )


def test_compute__without_a_baseline__links_to_the_field(browser, owner, draft):
    draft.planned_metrics.filter(role="primary").update(baseline=None)
    text = browser("olivia").post(url(draft, "compute/sample_size"), follow=True).content.decode()
    assert "enter “Baseline today”" in text
    assert "#id_m-0-baseline" in text
