"""The workplace refuses what the permission table refuses: every POST URL of an experiment, every
role, own and not.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from experiments.admin.experiment_list import ExperimentAdmin
from experiments.core.life.lifecycle import TRANSITIONS, Verb
from experiments.core.permissions import SIGNING, Action, may
from experiments.core.types import Item, PauseCause, Status
from experiments.models import ChangeLogEntry, Experiment
from experiments.selectors.actors import actor_for_user
from experiments.services.audience import audience
from experiments.services.life import lifecycle
from tests import factories
from tests.experiments.admin.conftest import page, url

CAST = ("victor", "olivia", "dmitri", "quinn", "ada")
UNTIL = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
REASON = {"reason": "because"}

ARM = {**REASON, "variant": "treatment", "outcome": "no_effect"}
DOORS: dict[str, tuple[Action, Status, str, dict[str, str]]] = {
    "edit": (Action.EDIT_DRAFT, Status.DRAFT, "edit", {"name": "New"}),
    "request": (Action.REQUEST_LAUNCH, Status.DARK_LAUNCH, "request-launch", {"note": "please"}),
    "evaluate": (
        Action.RECORD_OFFLINE,
        Status.DRAFT,
        "evaluate",
        {"variant": "treatment", "metric": "ndcg@10", "value": "0.6"},
    ),
    "size": (Action.COMPUTE_EVIDENCE, Status.DRAFT, "compute/sample_size", {}),
    "health": (Action.COMPUTE_EVIDENCE, Status.DARK_LAUNCH, "compute/dark_launch", {}),
    "analyse": (Action.COMPUTE_EVIDENCE, Status.RUNNING, "analyse", {}),
    "unmask": (Action.UNMASK, Status.RUNNING, "unmask", REASON),
    "hold": (Action.HOLD_PROMOTION, Status.RUNNING, "hold", REASON),
    "ramp advance": (Action.ADVANCE_RAMP, Status.RUNNING, "ramp/advance", REASON),
    "ramp hold": (Action.HOLD_RAMP, Status.RUNNING, "ramp/hold", REASON),
    "ramp resume": (Action.HOLD_RAMP, Status.RUNNING, "ramp/resume", REASON),
    "comment": (Action.COMMENT, Status.DRAFT, "comment", {"text": "why not?"}),
    "note": (Action.COMMENT, Status.DRAFT, "note", {"text": "hello"}),
    "team": (Action.EDIT_DRAFT, Status.DRAFT, "team", {}),
    "mark": (
        Action.COMMENT,
        Status.DRAFT,
        "mark",
        {"kind": "incident", "first_day": "2026-06-01", "text": "down"},
    ),
    "override": (
        Action.OVERRIDE,
        Status.DRAFT,
        "override",
        {"variant": "treatment", "unit_id": "t", "expires_at": UNTIL},
    ),
    "override remove": (Action.OVERRIDE, Status.DRAFT, "override/{override}/remove", {}),
    "return": (Action.RETURN_TO_CONTROL, Status.COMPLETED, "do/return_to_control", REASON),
    **{
        f"sign {item}": (action, Status.DRAFT, f"sign/{item}", {"verdict": "approved"})
        for item, action in SIGNING.items()
    },
    **{
        f"{t.verb} from {t.source} {t.cause or ''}".strip(): (
            t.action,
            t.source,
            f"do/{t.verb}",
            ARM,
        )
        for t in TRANSITIONS
    },
}
"""What it is about, the status to press it in, its URL, and what the form sends; the lifecycle's
arrows from their own table.
"""
HARM = {name for name, (action, *_) in DOORS.items() if action is Action.RESUME_AFTER_HARM}


@pytest.fixture
def cast(people):
    """The demo's people, each known also as an actor."""
    return people


def _subject(name: str, status: Status, owner: User) -> Experiment:
    """An experiment in the status the door is about, owned by this person."""
    policy = (
        "standard"
        if status is Status.COMPLETED or (status is Status.DRAFT and "start from" in name)
        else "ai-low"
    )
    if name == "return":
        made = factories.experiment_in(Status.RUNNING)
        approver = factories.person("approver")
        lifecycle.promote(
            approver,
            timezone.now(),
            experiment_id=made.pk,
            variant_key="treatment",
            decision_note="it pays",
        )
    elif name in HARM:
        made = factories.experiment_in(Status.RUNNING, policy=policy)
        lifecycle.emergency_stop(
            factories.person("stranger"), timezone.now(), experiment_id=made.pk, reason="harm"
        )
    else:
        made = factories.experiment_in(status, policy=policy)
    Experiment.objects.filter(pk=made.pk).update(owner=owner)
    return made


def _press(who: User, experiment: Experiment, where: str, data: dict[str, str]) -> int:
    client = Client()
    client.force_login(who)
    return client.post(url(experiment, where), data).status_code


@pytest.mark.parametrize("door", DOORS)
def test_post__every_door_and_role__answers_as_the_table_says(cast, door):
    """Each person once on an experiment of another's and once on one's own; every press is undone
    before the next.
    """
    action, status, where, data = DOORS[door]
    experiment = _subject(door, status, cast["paula"])
    where = where.format(override=_override(experiment) if "{override}" in where else 0)
    refused, expected = {}, {}
    for who in CAST:
        for member in (False, True):
            refused[who, member] = (
                _pressed_and_undone(
                    cast[who] if member else cast["paula"], cast[who], experiment, where, data
                )
                == 403
            )
            expected[who, member] = not may(actor_for_user(cast[who]), action, member=member)
    assert refused == expected


def _pressed_and_undone(
    owner: User, who: User, experiment: Experiment, where: str, data: dict[str, str]
) -> int:
    with transaction.atomic():
        Experiment.objects.filter(pk=experiment.pk).update(owner=owner)
        answer = _press(who, experiment, where, data)
        transaction.set_rollback(True)
    return answer


def _override(experiment: Experiment) -> int:
    until = timezone.now() + timedelta(days=1)
    arm = {"variant_key": "treatment", "unit_id": "u", "unit_type": "user"}
    return audience.add_override(
        factories.person("qa"),
        timezone.now(),
        experiment_id=experiment.pk,
        expires_at=until,
        reason="",
        **arm,
    ).pk


_READ = (
    "decide/",
    "compare/",
    "explore/",
    "report/",
    "tail/",
    "results.<slug:kind>",
    "work/<path:metric>/",
)
READING = {
    *("act-as/", "timeline/", "troubles/", "events/", "why/", "sample-size/", "calibration/"),
    *(f"<int:experiment_id>/{name}" for name in _READ),
}
"""Pages that change nothing of an experiment: everybody who may see it may open them."""


OF_AUTHORS = {"<int:experiment_id>/mark/<int:note_id>/remove/"}
"""Whoever wrote it may, and nobody else: ``test_timeline`` holds that."""


OF_LONG_PLANS = {"<int:experiment_id>/replan/"}
"""It needs a plan that takes too long: ``tests/analytics/services/planning/test_long_plans`` holds
who may.
"""


def test_doors__are_all_that_the_workplace_has():
    """A new URL of the experiment's page has to be put into the table above."""
    routes = {str(p.pattern) for p in _own_urls()}
    known = {where.format(override="<int:override_id>") for _, _, where, _ in DOORS.values()}
    known = {
        "do/<slug:verb>"
        if w.startswith("do/")
        else "sign/<slug:item>"
        if w.startswith("sign/")
        else w
        for w in known
    }
    known = {"compute/<slug:item>" if w.startswith("compute/") else w for w in known}
    known = {"ramp/<slug:action>" if w.startswith("ramp/") else w for w in known}
    assert (
        routes
        == {f"<int:experiment_id>/{where}/" for where in known}
        | READING
        | OF_AUTHORS
        | OF_LONG_PLANS
    )


def _own_urls() -> list[URLPattern]:
    from django.contrib import admin

    workplace = ExperimentAdmin(Experiment, admin.site)
    inherited = {str(p.pattern) for p in super(ExperimentAdmin, workplace).get_urls()}
    return [p for p in workplace.get_urls() if str(p.pattern) not in inherited]


@pytest.mark.parametrize("door", DOORS)
def test_get__every_door__changes_nothing(cast, door):
    _, status, where, data = DOORS[door]
    experiment = _subject(door, status, cast["olivia"])
    override = _override(experiment) if "{override}" in where else 0
    before = (
        ChangeLogEntry.objects.count(),
        experiment.__class__.objects.values().get(pk=experiment.pk),
    )
    client = Client()
    for who in ("olivia", "ada", "quinn"):
        client.force_login(cast[who])
        assert client.get(url(experiment, where.format(override=override)), data).status_code in (
            200,
            302,
            403,
        )
    assert (
        ChangeLogEntry.objects.count(),
        Experiment.objects.values().get(pk=experiment.pk),
    ) == before


def test_superuser__without_a_job__has_no_right_at_all(cast, django_user_model):
    root = django_user_model.objects.create_superuser("root", password="x")
    experiment = _subject("start", Status.DRAFT, root)
    client = Client()
    client.force_login(root)
    assert client.get(page(experiment)).status_code == 403
    for door, (_, _, where, data) in DOORS.items():
        if "{override}" not in where:
            assert client.post(url(experiment, where), data).status_code in (403, 404), door
    experiment.refresh_from_db()
    assert experiment.status == Status.DRAFT


def test_confirm_page__for_whom_it_is_not__says_so_instead_of_a_button(browser, cast):
    experiment = factories.experiment_in(Status.RUNNING)
    text = browser("victor").get(url(experiment, "do/conclude")).content.decode()
    assert "You may not conclude and archive; this is for: admin, product owner of the team" in text
    assert 'type="submit">Conclude' not in text


def test_harm_doors__are_in_the_table():
    assert {Verb.RESUME} == {t.verb for t in TRANSITIONS if t.cause is PauseCause.HARM}
    assert HARM
    assert set(SIGNING) <= set(Item)
