"""Where people decide: an escalation recommends nothing, and promoting against the rules says what
is not met.
"""

from __future__ import annotations

import re

import pytest

from analytics.selectors.cards import card_of, unmet_conditions
from config.decisions import wire
from experiments.core.clock import utc_now
from experiments.core.errors import InvalidInput
from experiments.core.types import PauseCause, Status
from experiments.models import ChangeLogEntry, Experiment, LaunchRequest, Rollout
from experiments.selectors.actors import actor_for_user
from experiments.services.drafts import drafts
from experiments.services.life import advice, lifecycle
from tests.analytics.admin.states import Case, put
from tests.experiments.admin.conftest import ai_spec, page, url

WHY = "The contract ends on Friday and finance accepts the higher cost"
ESCALATED = Case(Status.RUNNING, run="escalate", breach=True)


@pytest.fixture
def escalated(owner):
    """A cost breach needs a decision: nothing is proven, and some conditions are unmet."""
    wire()
    row = drafts.create_experiment(owner, utc_now(), spec=ai_spec("First message"))
    yield put(ESCALATED, Experiment.objects.select_related("flag", "policy").get(pk=row.pk))
    advice.set_reader(None)


def test_escalation__head__recommends_nothing_and_leads_to_all_choices(browser, escalated):
    text = browser("olivia").get(page(escalated)).content.decode()
    assert re.search(r'<a class="as-button +big" href="[^"]+/decide/">Decide</a>', text)
    assert "Decide: promote" not in text
    for offered in ("Pause", "Conclude"):
        assert f">{offered}</a>" in text


def test_decide__stop_keep_and_promote__stand_side_by_side_with_what_follows(browser, escalated):
    text = browser("olivia").get(url(escalated, "decide")).content.decode()
    titles = re.findall(r"<header><h2>([^<]+)</h2></header>", text)
    assert titles[1:] == [
        "Stop it for good",
        "Pause it",
        "Keep it running",
        "Promote “Friendly” anyway",
    ]
    assert "5 % of them are held back" in text
    assert "Errors safe of “Friendly”: now breach, needed proven safe, and no breach now" in text
    assert text.count('class="as-button danger"') == 1


def test_confirm__promoting_against_the_rules__is_red_and_lists_what_is_not_met_with_numbers(
    browser, escalated
):
    text = browser("paula").get(url(escalated, "do/promote")).content.decode()
    assert "Promote against the rules" in text
    assert "Conditions that are not met" in text
    assert "now breach" in text
    assert "95 % interval" in text
    assert 'class="as-button danger"' in text


def test_promote__against_the_rules__a_word_is_no_reason(browser, escalated, people):
    answer = browser("paula").post(
        url(escalated, "do/promote"), {"variant": "Friendly", "reason": "try"}
    )
    assert answer.status_code == 400
    assert "does not meet" in answer.content.decode()
    assert "now breach" in answer.content.decode()
    with pytest.raises(InvalidInput) as refusal:
        lifecycle.promote(
            actor_for_user(people["paula"]),
            utc_now(),
            experiment_id=escalated.pk,
            variant_key="Friendly",
            decision_note="try",
        )
    assert {problem.code for problem in refusal.value.problems} == {"condition_unmet"}
    assert not Rollout.objects.exists()


def test_promote__against_the_rules__with_a_reason__keeps_the_holdback_and_stays_visible(
    browser, owner
):
    wire()
    row = put(ESCALATED, drafts.create_experiment(owner, utc_now(), spec=ai_spec("First message")))
    answer = browser("paula").post(
        url(row, "do/promote"), {"variant": "Friendly", "reason": WHY}, follow=True
    )
    advice.set_reader(None)
    assert answer.status_code == 200
    line = ChangeLogEntry.objects.get(action="promote")
    assert any("now breach" in one for one in line.after["unmet"])
    said = card_of(Experiment.objects.get(pk=row.pk)).sentence
    assert "promoted it although not every condition was met" in said
    assert said in re.sub(r"\s+", " ", answer.content.decode().replace("&#x27;", "'"))


def test_unmet__of_every_arm__and_of_one_without_an_analysis(owner, escalated):
    assert any("now breach" in one for one in unmet_conditions(escalated.pk, "Friendly"))
    other = put(
        Case(Status.RUNNING), drafts.create_experiment(owner, utc_now(), spec=ai_spec("Second"))
    )
    assert unmet_conditions(other.pk, "Friendly") == ("an analysis: now none, needed one",)


def test_requester__hears_that_a_second_person_promotes__and_may_still_stop(
    browser, people, escalated
):
    LaunchRequest.objects.create(
        experiment=escalated,
        requested_by=people["olivia"],
        requested_at=utc_now(),
        judged_sha256="",
    )
    text = browser("olivia").get(url(escalated, "decide")).content.decode()
    assert "a second person must do this" in text
    assert "Conclude…" in text
    assert "Pause…" in text


def test_emergency_stop__by_a_viewer__says_who_why_and_when_in_the_head(browser, owner):
    row = put(
        Case(Status.RUNNING, run="keep"),
        drafts.create_experiment(owner, utc_now(), spec=ai_spec("First message")),
    )
    browser("victor").post(url(row, "do/emergency_stop"), {"reason": "it feels slow to me"})
    text = browser("olivia").get(page(row)).content.decode()
    assert Experiment.objects.get(pk=row.pk).pause_cause == PauseCause.HARM
    head = text[: text.index('class="as-tabs"')]
    assert "Stopped by Victor" in head
    assert "“it feels slow to me”" in head
    assert "No analysis has found harm." in head
    assert "topped for harm" not in head
    assert "stopped by a person" in head
    listed = browser("olivia").get("/admin/experiments/experiment/").content.decode()
    assert "Stopped by Victor" in listed


def test_conditions__every_arm_stands_there__and_a_tick_is_for_what_is_met(browser, escalated):
    text = browser("olivia").get(page(escalated, "results")).content.decode()
    table = text[text.index("Ready to promote?") :]
    table = table[: table.index("</table>")]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    ticked = [row for row in rows if "✓" in row]
    assert ticked and not any("unknown" in row or "not yet" in row for row in ticked)
    assert any("breach" in row and "Friendly" in row and "✓" not in row for row in rows)
    assert text.index('id="metric-apply_rate"') < text.index("Ready to promote?")


def test_decisions__promoted_by_a_person__is_in_the_list(browser, escalated, people):
    paula = actor_for_user(people["paula"])
    lifecycle.promote(
        paula, utc_now(), experiment_id=escalated.pk, variant_key="Friendly", decision_note=WHY
    )
    text = browser("olivia").get(page(escalated, "results")).content.decode()
    listed = text[text.index("<h2>Decisions</h2>") :]
    listed = listed[: listed.index("</ul>")]
    assert re.search(r"(?i)paula[^<]* promoted “Friendly”", listed)
    assert WHY in listed
