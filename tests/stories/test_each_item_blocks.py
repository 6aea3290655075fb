"""Every item of the checklist stands in the way of the launch: left out, rejected or voided;
through every door.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from experiments.core.design.policies import PolicyRules
from experiments.core.errors import Forbidden
from experiments.core.life.checklist import TITLES
from experiments.core.life.lifecycle import BEFORE_DARK_LAUNCH
from experiments.core.types import Item, Status, Verdict
from experiments.models import ChangeLogEntry, LaunchRequest, SignOff
from experiments.selectors.actors import actor_for_user
from experiments.selectors.keys import authenticate
from experiments.services.library import policies
from experiments.services.life import checklist
from tests.stories.company import Company, Http, local, new_key, tick_beat
from tests.stories.test_first_experiment import DESIGN

PAPER = BEFORE_DARK_LAUNCH
ON_PAPER = PolicyRules(requires=PAPER, min_control=50, min_test=50, max_test=200, weeks=2)
"""The same demands without a dark launch and an approval: a key may start it, so that each item
stands alone.
"""
ONE_GUARDRAIL = [DESIGN["metrics"][0], DESIGN["metrics"][1]]

Step = Callable[[Company], None]


def _plan(company: Company) -> None:
    """Nothing: the plan comes with the draft."""


STEPS: dict[Item, tuple[Step, ...]] = {
    Item.PRD: (Company.write_prd, Company.sign_prd),
    Item.FLAG: (_plan,),
    Item.METRICS: (_plan,),
    Item.SAMPLE_SIZE: (Company.compute_size,),
    Item.OFFLINE: (Company.evaluate, Company.sign_offline),
}


def prepare(company: Company, *, without: Item | None = None) -> None:
    """Monday's paper work, but for one item."""
    company.draft(DESIGN | ({"metrics": DESIGN["metrics"][:1]} if without is Item.METRICS else {}))
    if without is Item.FLAG:
        assert company.tools.patch(f"experiments/{company.key}", {"flag": None}).status_code == 200
    for item in PAPER:
        for step in STEPS[item] if item is not without else ():
            step(company)


def prepare_all(company: Company) -> None:
    """Everything, up to somebody else's approval; only going live is left."""
    prepare(company)
    company.start_dark_launch()
    company.meet_dark_launch()
    company.at(local(3, 11, 30))
    tick_beat()
    for step in (company.sign_dark_launch, company.request_launch, company.approve):
        step()


def standing(company: Company, verb: str = "start") -> dict[str, str]:
    """What stands against a verb, as the API's door tells it: item → state."""
    answer = company.tools.get(f"experiments/{company.key}/blockers")
    against = next(v["blockers"] for v in answer["verbs"] if v["verb"] == verb)
    return {p["field"]: p["code"].removeprefix(p["field"] + "_") for p in against}


def assert_blocked(company: Company, wanted: dict[str, str], verb: str = "start") -> None:
    """Each door names exactly this, and nothing has moved."""
    before = company.row.status
    assert standing(company, verb) == wanted
    if verb == "start":
        refused = company.start()
        problems = refused.json()["error"]["problems"]
        assert refused.status_code == 409
        assert [(p["field"], p["code"]) for p in problems] == [
            (item, f"{item}_{state}") for item, state in wanted.items()
        ]
    form = company.person("olivia").post(f"do/{verb}")
    text = form.content.decode()
    assert form.status_code == 409
    assert [TITLES[item] for item in Item if f"{TITLES[item]}: " in text] == [
        TITLES[Item(item)] for item in wanted
    ]
    assert company.row.status == before
    assert not ChangeLogEntry.objects.filter(experiment=company.row, action=verb).exists()


@pytest.fixture
def on_paper(company: Company) -> Company:
    ada = actor_for_user(User.objects.get(username="ada"))
    policies.revise_policy(
        ada, local(1), key="ai-low", rules=ON_PAPER, reason="no dark launch needed here"
    )
    return company


def test_nothing_left_out__starts_through_either_door(on_paper: Company) -> None:
    prepare(on_paper)
    assert on_paper.start().status_code == 200
    assert on_paper.row.status == Status.RUNNING


@pytest.mark.parametrize("item", PAPER)
def test_start__item_left_out__is_refused_with_exactly_that(on_paper: Company, item: Item) -> None:
    prepare(on_paper, without=item)
    assert_blocked(on_paper, {item.value: "missing"})


@pytest.mark.parametrize("item", PAPER)
def test_dark_launch__item_left_out__is_refused_with_exactly_that(
    company: Company, item: Item
) -> None:
    prepare(company, without=item)
    assert_blocked(company, {item.value: "missing"}, verb="start_dark_launch")
    assert company.start().status_code == 409


def test_go_live__dark_launch_unsigned__is_refused_and_cannot_be_approved(company: Company) -> None:
    prepare(company)
    company.start_dark_launch()
    company.meet_dark_launch()
    company.at(local(3, 11, 30))
    tick_beat()
    company.request_launch()
    approval = company.person("paula").post("sign/approval", verdict="approved")
    assert (approval.status_code, "Dark launch: " in approval.content.decode()) == (409, True)
    assert_blocked(company, {"dark_launch": "missing", "approval": "missing"})


def test_go_live__before_the_dark_launch_was_long_enough__is_refused(company: Company) -> None:
    prepare(company)
    company.start_dark_launch()
    company.meet_dark_launch()
    tick_beat()
    refused = company.person("quinn").post("sign/dark_launch", verdict="approved")
    assert (refused.status_code, "of 24 hours" in refused.content.decode()) == (409, True)
    assert_blocked(company, {"dark_launch": "missing", "approval": "missing"})


def test_go_live__not_approved__is_refused_with_exactly_that(company: Company) -> None:
    prepare(company)
    company.start_dark_launch()
    company.meet_dark_launch()
    company.at(local(3, 11, 30))
    tick_beat()
    company.sign_dark_launch()
    assert_blocked(company, {"approval": "missing"})
    company.request_launch()
    assert_blocked(company, {"approval": "missing"})
    company.approve()
    company.go_live()
    assert company.row.status == Status.RUNNING


@pytest.mark.parametrize(
    ("item", "who"),
    [("prd", "paula"), ("offline", "dmitri"), ("dark_launch", "quinn"), ("approval", "paula")],
)
def test_go_live__item_rejected_after_all__is_refused_until_it_is_approved_again(
    company: Company, item: str, who: str
) -> None:
    prepare_all(company)
    company.person(who).sign(item, "rejected", "on second thoughts")
    assert_blocked(company, {item: "rejected"})
    company.person(who).sign(item, "approved")
    company.go_live()
    assert company.row.status == Status.RUNNING


@pytest.mark.parametrize(
    ("change", "voided"),
    [
        ({"hypothesis": "Something else."}, ["prd"]),
        ({"metrics": ONE_GUARDRAIL}, ["sample_size"]),
        ({"offline_thresholds": [{"metric": "ndcg@10", "op": ">=", "value": 0.4}]}, ["offline"]),
        (
            {"variants": [DESIGN["variants"][0], DESIGN["variants"][1] | {"model_hash": "ce-4"}]},
            ["offline"],
        ),
        ({"traffic_allocation": 0.3}, ["sample_size"]),
        ({"description": "shorter", "tags": ["ranking"]}, []),
    ],
)
def test_start__design_edited_after_the_sign_off__voids_what_judged_it(
    on_paper: Company, change: dict, voided: list[str]
) -> None:
    prepare(on_paper)
    assert on_paper.tools.patch(f"experiments/{on_paper.key}", change).status_code == 200
    found = standing(on_paper)
    assert list(found) == voided
    assert set(found.values()) <= {"stale"}
    if voided:
        assert_blocked(on_paper, found)
        assert "changed" in on_paper.person("olivia").page("checklist").lower()


def test_evaluation__below_the_threshold__rejects_the_item_and_cannot_be_signed(
    on_paper: Company,
) -> None:
    prepare(on_paper, without=Item.OFFLINE)
    on_paper.evaluate(0.51)
    assert on_paper.person("dmitri").post("sign/offline", verdict="approved").status_code == 409
    assert_blocked(on_paper, {"offline": "rejected"})


def test_requester__approves_own_launch__is_refused_also_when_a_key_asked_for_it(
    company: Company,
) -> None:
    prepare(company)
    company.start_dark_launch()
    company.meet_dark_launch()
    company.at(local(3, 11, 30))
    tick_beat()
    company.sign_dark_launch()
    assert company.tools.post(f"experiments/{company.key}/request-launch").status_code == 201
    refused = company.person("olivia").post("sign/approval", verdict="approved")
    assert refused.status_code == 409
    assert [p.message for p in refused.context["problems"]] == [
        f"{company.key}: Olivia asked for this launch; a second person must do this"
    ]
    assert not SignOff.objects.filter(item="approval").exists()
    assert LaunchRequest.objects.get().requested_by.username == "olivia"
    assert company.start().status_code == 409


def test_management_key__signs_nothing_through_any_door(company: Company) -> None:
    prepare(company)
    signed = SignOff.objects.count()
    key = new_key("management", "ada")
    for item in ("prd", "offline", "dark_launch", "approval"):
        for path in (f"sign/{item}", f"sign-off/{item}", f"sign-offs/{item}"):
            assert (
                Http(key)
                .post(f"experiments/{company.key}/{path}", {"verdict": "approved"})
                .status_code
                == 404
            )
        form = Http(key).client.post(
            f"/admin/experiments/experiment/{company.pk}/sign/{item}/", {"verdict": "approved"}
        )
        assert (form.status_code, "/login/" in form.url) == (302, True)
        with pytest.raises(Forbidden):
            checklist.sign_off(
                authenticate(key).actor,
                local(2, 12),
                experiment_id=company.pk,
                item=item,
                verdict=Verdict.APPROVED,
            )
    assert SignOff.objects.count() == signed
