"""What a product owner and her colleagues do in the workplace, through its forms alone."""

from __future__ import annotations

from experiments.models import ChangeLogEntry, Experiment, Flag, SignOff
from tests.experiments.admin.conftest import page, url

FORM = {
    "name": "Friendlier first message", "key": "", "experiment_type": "prompt", "policy": "ai-medium", "flag": "", "flag_type": "object",
    "unit_type": "user", "traffic": "20", "dark_mode": "shadow", "confidence_level": "0.95", "power": "0.8", "min_sample_size": "100",
    "time_zone": "UTC",
    "offline_thresholds": "win_rate >= 40 %",
    "v-count": "3", "v-control": "0", "v-0-name": "Control", "v-0-weight": "50", "v-0-config": '{"prompt": "v1"}',
    "v-1-name": "Friendly", "v-1-weight": "50", "v-1-config": '{"prompt": "v2"}', "v-2-name": "",
    "m-count": "2", "m-0-metric": "apply_rate", "m-0-role": "primary", "m-0-baseline": "0.1", "m-0-mde": "0.1", "m-0-mde_kind": "relative",
    "m-1-metric": "error_rate", "m-1-role": "guardrail", "m-1-baseline": "0.02", "m-1-margin": "0.02", "m-1-margin_kind": "points",
    "m-1-rule": "no_breach", "m-1-action": "stop",
}  # fmt: skip
PRD = {
    "hypothesis": "Warmth helps.",
    "expected_effect": "+10 % applications",
    "prd_text": "Say hello first.",
}
ADD = "/admin/experiments/experiment/add/"


def test_add_form__standard_is_preselected(browser):
    text = browser("olivia").get(ADD).content.decode()
    policies = text[text.index('name="policy"') :]
    assert policies.index('value="standard"') < policies.index('value="ai-')


def test_add__whole_form__stores_the_design_and_shows_its_blockers(browser):
    client = browser("olivia")
    answer = client.post(ADD, FORM, follow=True)
    experiment = Experiment.objects.get(name="Friendlier first message")
    assert answer.redirect_chain == [(page(experiment), 302)]
    assert (experiment.traffic, experiment.owner.username, experiment.flag_id) == (
        200,
        "olivia",
        experiment.key,
    )
    assert [(v.name, v.weight, v.config) for v in experiment.variants.all()] == [
        ("Control", 500, {"prompt": "v1"}),
        ("Friendly", 500, {"prompt": "v2"}),
    ]
    assert experiment.offline_thresholds == [{"metric": "win_rate", "op": ">=", "value": 0.4}]
    text = answer.content.decode()
    assert "the PRD lacks" in text
    assert "offline threshold not recorded" in text


def test_add__by_a_viewer__is_refused(browser):
    client = browser("victor")
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, FORM).status_code == 403
    assert not Experiment.objects.exists()


def test_add__weights_that_do_not_sum__says_so_and_keeps_what_was_typed(browser):
    answer = browser("olivia").post(ADD, FORM | {"v-1-weight": "49"})
    text = answer.content.decode()
    assert answer.status_code == 400
    assert "Not saved" in text
    assert 'value="Friendlier first message"' in text
    assert not Experiment.objects.exists()
    assert not Flag.objects.exists()


def test_add__broken_json_numbers_and_thresholds__are_form_errors(browser):
    client = browser("olivia")
    for field, typed, said in [
        ("v-1-config", "{prompt: v2}", "this is not JSON"),
        ("m-0-baseline", "a tenth", "is not a number"),
        ("m-0-baseline", "NaN", "finite number"),
        ("traffic", "33.33", "at most one decimal"),
        ("offline_thresholds", "win_rate about 40", "does not read as"),
        ("targeting", '{"a": NaN}', "this is not JSON"),
        ("planned_end", "tomorrow", "not a date"),
        ("flag_type", "tensor", "flag_type"),
    ]:
        answer = client.post(ADD, FORM | {field: typed})
        assert answer.status_code == 400, field
        assert said in answer.content.decode(), field
    assert not Experiment.objects.exists()


def test_edit__prd__moves_the_checklist_on_and_the_history_shows_it(browser, draft):
    client = browser("olivia")
    form = FORM | PRD | {"name": draft.name, "flag": draft.flag_id}
    assert client.post(url(draft, "edit"), form).status_code == 302
    assert "waits for: product owner" in client.get(page(draft)).content.decode()
    history = client.get(page(draft, "history")).content.decode()
    assert "Warmth helps." in history


def test_edit__unchanged_form__changes_nothing(browser, draft):
    client = browser("olivia")
    context = client.get(url(draft, "edit")).context
    fields = [f for section in context["sections"] for f in section.fields] + [
        f for line in (*context["variant_lines"], *context["metric_lines"]) for f in line.fields
    ]
    form = {f.name: f.value for f in fields if f.kind != "checkbox" or f.value} | {
        "v-count": "2",
        "m-count": "2",
        "v-control": context["control"],
    }
    before = _design(draft)
    assert client.post(url(draft, "edit"), form).status_code == 302
    assert _design(draft) == before


def _design(experiment: Experiment):
    from experiments.core.design.design import digest
    from experiments.selectors.experiments import design_of, resolve

    return digest(design_of(resolve(experiment.pk)).as_json())


def test_edit__by_a_stranger__is_refused(browser, draft):
    client = browser("paula")
    answer = client.post(url(draft, "edit"), FORM | {"name": "Mine now"})
    assert answer.status_code == 403
    draft.refresh_from_db()
    assert draft.name == "First message"


def test_edit__a_refusal_in_one_part__leaves_the_others_unchanged(browser, draft):
    form = FORM | PRD | {"name": "Renamed", "flag": draft.flag_id, "v-1-weight": "10"}
    assert browser("olivia").post(url(draft, "edit"), form).status_code == 400
    draft.refresh_from_db()
    assert (draft.name, draft.hypothesis) == ("First message", "")


def test_sign__by_the_right_role__is_kept_with_name_and_time(browser, draft):
    client = browser("olivia")
    client.post(url(draft, "edit"), FORM | PRD | {"name": draft.name, "flag": draft.flag_id})
    answer = client.post(
        url(draft, "sign/prd"), {"verdict": "approved", "comment": "clear"}, follow=True
    )
    assert "PRD: approved." in answer.content.decode()
    assert SignOff.objects.get(item="prd").signed_by.username == "olivia"


def test_sign__then_edit__voids_it_and_shows_both_lines(browser, draft):
    client = browser("olivia")
    client.post(url(draft, "edit"), FORM | PRD | {"name": draft.name, "flag": draft.flag_id})
    client.post(url(draft, "sign/prd"), {"verdict": "approved", "comment": ""})
    client.post(
        url(draft, "edit"),
        FORM | PRD | {"name": draft.name, "flag": draft.flag_id, "hypothesis": "Brevity helps."},
    )
    text = client.get(page(draft, "checklist")).content.decode()
    assert "changed since it was signed" in text.lower()
    assert "Warmth helps." in text
    assert "Brevity helps." in text


def test_sign__by_the_wrong_role__shows_the_refusal(browser, draft):
    answer = browser("quinn").post(url(draft, "sign/prd"), {"verdict": "approved"})
    assert answer.status_code == 403
    assert "may not sign the PRD" in answer.content.decode()
    assert not SignOff.objects.exists()


def test_sign__with_an_unknown_verdict__is_a_form_error(browser, draft):
    answer = browser("olivia").post(url(draft, "sign/prd"), {"verdict": "perhaps"})
    assert answer.status_code == 400
    assert "found “perhaps”" in answer.content.decode()


def test_evaluation__recorded_by_a_data_scientist__stands_in_the_table(browser, draft):
    client = browser("dmitri")
    sent = {
        "variant": "Friendly",
        "metric": "win_rate",
        "value": "0.46",
        "lower": "0.42",
        "n": "500",
        "dataset": "march",
    }
    sent["variant"] = draft.variants.get(is_control=False).key
    answer = client.post(url(draft, "evaluate"), sent, follow=True)
    assert "march" in answer.content.decode()
    assert draft.offline_evaluations.get().lower == 0.42


def test_evaluation__without_a_value__is_a_form_error(browser, draft):
    answer = browser("dmitri").post(
        url(draft, "evaluate"),
        {"variant": draft.variants.last().key, "metric": "win_rate", "value": ""},
    )
    assert answer.status_code == 400
    assert "a number is needed" in answer.content.decode()
    assert not draft.offline_evaluations.exists()


def test_start_dark_launch__with_open_items__lists_every_blocker(browser, draft):
    client = browser("olivia")
    asked = client.get(url(draft, "do/start_dark_launch")).content.decode()
    assert "Not possible now" in asked
    answer = client.post(url(draft, "do/start_dark_launch"), {"reason": ""})
    assert answer.status_code == 409
    for blocker in ("the PRD lacks", "sample size not computed", "offline threshold not recorded"):
        assert blocker in answer.content.decode()
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_start__under_standard__says_what_users_will_see_and_starts(browser, simple):
    client = browser("olivia")
    asked = client.get(url(simple, "do/start")).content.decode()
    assert "What users will see" in asked
    answer = client.post(url(simple, "do/start"), {"reason": "go"}, follow=True)
    assert "Simple is now running." in answer.content.decode()
    entry = ChangeLogEntry.objects.filter(experiment=simple).first()
    assert (entry.actor_label, entry.reason) == ("Olivia", "go")


def test_edit__after_launch__offers_only_what_is_not_judged(browser, simple):
    client = browser("olivia")
    client.post(url(simple, "do/start"), {})
    text = client.get(url(simple, "edit")).content.decode()
    assert "design is frozen" in text
    assert 'name="hypothesis"' not in text
    refused = client.post(url(simple, "edit"), {"name": "Simple", "notes": "changed", "reason": ""})
    assert refused.status_code == 400
    assert (
        client.post(
            url(simple, "edit"), {"name": "Simple", "notes": "changed", "reason": "typo"}
        ).status_code
        == 302
    )
    simple.refresh_from_db()
    assert simple.notes == "changed"


def test_emergency_stop__by_a_viewer_with_a_reason__pauses_and_says_who_and_why(browser, simple):
    browser("olivia").post(url(simple, "do/start"), {})
    client = browser("victor")
    assert client.post(url(simple, "do/emergency_stop"), {"reason": ""}).status_code == 400
    assert client.post(url(simple, "do/emergency_stop"), {"reason": "errors"}).status_code == 302
    simple.refresh_from_db()
    assert (simple.status, simple.pause_cause) == ("paused", "harm")
    shown = client.get(page(simple)).content.decode()
    assert "Stopped by " in shown and "errors" in shown
    assert "Stopped for harm" not in shown


def test_pause__by_a_viewer__is_refused(browser, simple):
    browser("olivia").post(url(simple, "do/start"), {})
    answer = browser("victor").post(url(simple, "do/pause"), {})
    assert answer.status_code == 403
    simple.refresh_from_db()
    assert simple.status == "running"


def test_conclude__with_an_outcome__completes(browser, simple):
    client = browser("olivia")
    client.post(url(simple, "do/start"), {})
    assert client.post(url(simple, "do/conclude"), {"outcome": "promoted"}).status_code == 400
    assert (
        client.post(
            url(simple, "do/conclude"), {"outcome": "no_effect", "reason": "flat"}
        ).status_code
        == 302
    )
    simple.refresh_from_db()
    assert (simple.status, simple.outcome) == ("completed", "no_effect")


def test_traffic__of_a_running_experiment__draws_its_buckets(browser, simple):
    client = browser("olivia")
    client.post(url(simple, "do/start"), {})
    text = client.get(page(simple, "traffic")).content.decode()
    assert "1,000 buckets and who holds them" in text
    assert 'class="arm0"' in text
    assert 'class="arm1"' in text


def test_flag__switched_off_with_a_reason__is_off_and_says_why(browser, simple):
    client = browser("olivia")
    flag = Flag.objects.get(key=simple.flag_id)
    where = f"/admin/experiments/flag/{flag.pk}"
    assert client.post(f"{where}/switch/", {"reason": ""}).status_code == 400
    assert client.post(f"{where}/switch/", {"reason": "incident 12"}).status_code == 302
    flag.refresh_from_db()
    assert not flag.enabled
    assert "incident 12" in client.get(f"{where}/change/").content.decode()


def test_flag__switched_by_a_stranger__stays_on(browser, simple):
    flag = Flag.objects.get(key=simple.flag_id)
    answer = browser("paula").post(f"/admin/experiments/flag/{flag.pk}/switch/", {"reason": "mine"})
    assert answer.status_code == 403
    flag.refresh_from_db()
    assert flag.enabled


def test_unknown_things__are_not_found(browser, draft):
    client = browser("ada")
    for path in (
        "/admin/experiments/experiment/999999/change/",
        url(draft, "do/destroy"),
        url(draft, "sign/flag"),
        "/admin/experiments/flag/999/change/",
    ):
        assert client.get(path).status_code == 404, path
