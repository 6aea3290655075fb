"""The permission table, cell by cell, as the security page prints it."""

from __future__ import annotations

import pytest

from experiments.core.errors import Forbidden
from experiments.core.permissions import TABLE, Action, check, may
from experiments.core.types import SYSTEM, Actor, ActorKind, Role, Scope

ROLES = (Role.VIEWER, Role.PRODUCT_OWNER, Role.DATA_SCIENTIST, Role.QA, Role.ADMIN)
# For each action: viewer, product owner, data scientist, QA, admin ("y" anywhere, "o" own, "-" no),
# and the keys' scopes.
PRINTED = {
    Action.VIEW: ("yyyyy", {"read", "management"}),
    Action.EDIT_DRAFT: ("-oooy", {"management"}),
    Action.OVERRIDE: ("-oyyy", set()),
    Action.DARK_LAUNCH: ("-o-y-", set()),
    Action.PAUSE_RESUME: ("-oy-y", {"management"}),
    Action.HOLD_RAMP: ("-oy-y", {"management"}),
    Action.ADVANCE_RAMP: ("-oy-y", set()),
    Action.CONCLUDE: ("-o--y", {"management"}),
    Action.HOLD_PROMOTION: ("-oy-y", set()),
    Action.RETURN_TO_CONTROL: ("-oy-y", set()),
    Action.SWITCH_FLAG: ("-o--y", {"management"}),
    Action.MANAGE_METRICS: ("--y-y", set()),
    Action.RECORD_OFFLINE: ("--y-y", {"management"}),
    Action.COMPUTE_EVIDENCE: ("-oyyy", {"management"}),
    Action.COMMENT: ("yyyyy", set()),
    Action.SIGN_PRD: ("-y---", set()),
    Action.SIGN_OFFLINE: ("--y--", set()),
    Action.SIGN_DARK_LAUNCH: ("---y-", set()),
    Action.REQUEST_LAUNCH: ("-o---", {"management"}),
    Action.START: ("-o---", {"management"}),
    Action.APPROVE_LAUNCH: ("-yy-y", set()),
    Action.PROMOTE: ("-yy-y", set()),
    Action.PROMOTE_RECOMMENDED: ("-oy-y", {"management"}),
    Action.RESUME_AFTER_HARM: ("-yy-y", set()),
    Action.EMERGENCY_STOP: ("yyyyy", {"management"}),
    Action.UNMASK: ("--y--", set()),
    Action.EDIT_RUNNING: ("-----", set()),
    Action.WIDEN_ROLLOUT: ("----y", set()),
    Action.ADMINISTER: ("----y", set()),
    Action.RAW_ROWS: ("--y-y", set()),
    Action.ERASE_SUBJECT: ("----y", set()),
    Action.CHANGE_RECORDS: ("-----", set()),
}


def person(*roles: Role) -> Actor:
    return Actor(ActorKind.PERSON, "somebody", 1, frozenset(roles))


def key(scope: Scope) -> Actor:
    return Actor(ActorKind.KEY, "a key", 1, frozenset(Role), scope)


def test_table__every_action__has_a_printed_row():
    assert set(PRINTED) == set(TABLE) == set(Action)


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("position", range(5), ids=[role.value for role in ROLES])
def test_person__by_role__may_what_the_table_prints(action, position):
    cell, actor = PRINTED[action][0][position], person(ROLES[position])

    assert may(actor, action, member=False) is (cell == "y")
    assert may(actor, action, member=True) is (cell in "yo")


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("scope", list(Scope))
def test_key__by_scope__may_what_the_table_prints_whatever_roles_its_owner_has(action, scope):
    assert may(key(scope), action, member=True) is (scope.value in PRINTED[action][1])


@pytest.mark.parametrize("action", list(Action))
def test_person__in_no_group__may_nothing(action):
    assert not may(person(), action, member=True)


def test_machine__signing_and_approving__may_not():
    allowed = {action for action in Action if may(SYSTEM, action, member=True)}

    assert not allowed & {
        Action.SIGN_PRD,
        Action.SIGN_OFFLINE,
        Action.SIGN_DARK_LAUNCH,
        Action.APPROVE_LAUNCH,
        Action.PROMOTE,
    }
    assert {
        Action.EMERGENCY_STOP,
        Action.PROMOTE_RECOMMENDED,
        Action.CONCLUDE,
        Action.START,
    } <= allowed


def test_check__stranger__is_told_who_may():
    with pytest.raises(Forbidden) as refusal:
        check(person(Role.VIEWER), Action.DARK_LAUNCH, member=False, subject="rerank")

    assert "rerank" in str(refusal.value)
    assert "qa, product owner of the team" in str(refusal.value)
