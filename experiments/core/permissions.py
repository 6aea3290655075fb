"""Who may do what: one table, deny by default, the same answer through every door.

"own" means a member of the experiment's team (owner or collaborator). A key acts within its scope
for its owner. Belonging to a group is all that counts: Django's superuser flag opens nothing here.
What needs a second person is checked where the change happens, on top of this table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from experiments.core.errors import Forbidden
from experiments.core.types import Actor, ActorKind, Item, Role, Scope


class Action(StrEnum):
    """What a permission is about; one row of the table each."""

    VIEW = "view"
    EDIT_DRAFT = "edit_draft"
    OVERRIDE = "override"
    DARK_LAUNCH = "dark_launch"
    PAUSE_RESUME = "pause_resume"
    HOLD_RAMP = "hold_ramp"
    ADVANCE_RAMP = "advance_ramp"
    CONCLUDE = "conclude"
    HOLD_PROMOTION = "hold_promotion"
    RETURN_TO_CONTROL = "return_to_control"
    SWITCH_FLAG = "switch_flag"
    MANAGE_METRICS = "manage_metrics"
    RECORD_OFFLINE = "record_offline"
    COMPUTE_EVIDENCE = "compute_evidence"
    COMMENT = "comment"
    SIGN_PRD = "sign_prd"
    SIGN_OFFLINE = "sign_offline"
    SIGN_DARK_LAUNCH = "sign_dark_launch"
    REQUEST_LAUNCH = "request_launch"
    START = "start"
    APPROVE_LAUNCH = "approve_launch"
    PROMOTE = "promote"
    PROMOTE_RECOMMENDED = "promote_recommended"
    RESUME_AFTER_HARM = "resume_after_harm"
    EMERGENCY_STOP = "emergency_stop"
    UNMASK = "unmask"
    EDIT_RUNNING = "edit_running"
    WIDEN_ROLLOUT = "widen_rollout"
    ADMINISTER = "administer"
    RAW_ROWS = "raw_rows"
    ERASE_SUBJECT = "erase_subject"
    CHANGE_RECORDS = "change_records"


@dataclass(frozen=True)
class Rule:
    """Who may: these roles anywhere, those roles on their own experiments, keys of these scopes,
    the machine.
    """

    label: str
    anywhere: frozenset[Role] = frozenset()
    own: frozenset[Role] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    machine: bool = field(default=False)


_V, _P, _D, _Q, _A = Role.VIEWER, Role.PRODUCT_OWNER, Role.DATA_SCIENTIST, Role.QA, Role.ADMIN
_EVERYBODY = frozenset(Role)
_KEYS = frozenset({Scope.MANAGEMENT})


def _rule(
    label: str,
    anywhere: Iterable[Role] = (),
    own: Iterable[Role] = (),
    keys: bool = False,
    machine: bool = False,
) -> Rule:
    return Rule(label, frozenset(anywhere), frozenset(own), _KEYS if keys else frozenset(), machine)


TABLE: Mapping[Action, Rule] = {
    Action.VIEW: Rule(
        "view experiments and results",
        _EVERYBODY,
        scopes=frozenset({Scope.READ, Scope.MANAGEMENT}),
        machine=True,
    ),
    Action.EDIT_DRAFT: _rule(
        "create and edit drafts", {_A}, own={_P, _D, _Q}, keys=True, machine=True
    ),
    Action.OVERRIDE: _rule("set overrides with an expiry", {_D, _Q, _A}, own={_P}),
    Action.DARK_LAUNCH: _rule("start or abort a dark launch", {_Q}, own={_P}),
    Action.PAUSE_RESUME: _rule("pause and resume", {_D, _A}, own={_P}, keys=True, machine=True),
    Action.HOLD_RAMP: _rule("hold or resume a ramp", {_D, _A}, own={_P}, keys=True, machine=True),
    Action.ADVANCE_RAMP: _rule("advance a ramp", {_D, _A}, own={_P}, machine=True),
    Action.CONCLUDE: _rule("conclude and archive", {_A}, own={_P}, keys=True, machine=True),
    Action.HOLD_PROMOTION: _rule("hold a promotion", {_D, _A}, own={_P}),
    Action.RETURN_TO_CONTROL: _rule("return to control", {_D, _A}, own={_P}, machine=True),
    Action.SWITCH_FLAG: _rule("switch a flag or change its default", {_A}, own={_P}, keys=True),
    Action.MANAGE_METRICS: _rule("define metrics and templates", {_D, _A}, machine=True),
    Action.RECORD_OFFLINE: _rule("record offline evaluations", {_D, _A}, keys=True),
    Action.COMPUTE_EVIDENCE: _rule(
        "have evidence computed", {_D, _Q, _A}, own={_P}, keys=True, machine=True
    ),
    Action.COMMENT: _rule("write notes and comments", _EVERYBODY),
    Action.SIGN_PRD: _rule("sign the PRD", {_P}),
    Action.SIGN_OFFLINE: _rule("sign the offline thresholds", {_D}),
    Action.SIGN_DARK_LAUNCH: _rule("sign the dark launch", {_Q}),
    Action.REQUEST_LAUNCH: _rule("request the launch", own={_P}, keys=True),
    Action.START: _rule("start", own={_P}, keys=True, machine=True),
    Action.APPROVE_LAUNCH: _rule("approve the launch", {_P, _D, _A}),
    Action.PROMOTE: _rule("promote by hand", {_P, _D, _A}),
    Action.PROMOTE_RECOMMENDED: _rule(
        "promote what the decision recommends", {_D, _A}, own={_P}, keys=True, machine=True
    ),
    Action.RESUME_AFTER_HARM: _rule("resume after a harm stop", {_P, _D, _A}),
    Action.EMERGENCY_STOP: _rule("stop in an emergency", _EVERYBODY, keys=True, machine=True),
    Action.UNMASK: _rule("unmask results to diagnose", {_D}),
    Action.EDIT_RUNNING: _rule("edit a running design"),
    Action.WIDEN_ROLLOUT: _rule("widen or close a rollout", {_A}),
    Action.ADMINISTER: _rule(
        "manage keys, users, policies, exclusions, segments, public attributes, subscriptions of others and the global holdout",
        {_A},
    ),
    Action.RAW_ROWS: _rule("read raw unit rows", {_D, _A}),
    Action.ERASE_SUBJECT: _rule("erase a subject", {_A}),
    Action.CHANGE_RECORDS: _rule("change audit, decision or sign-off rows"),
}


def may(actor: Actor, action: Action, *, member: bool) -> bool:
    """Whether the table allows this actor the action; ``member``: of the team of the experiment it
    is about.
    """
    rule = TABLE[action]
    if actor.kind is ActorKind.MACHINE:
        return rule.machine
    if actor.kind is ActorKind.KEY:
        return actor.scope in rule.scopes
    return bool(actor.roles & rule.anywhere) or (member and bool(actor.roles & rule.own))


def check(actor: Actor, action: Action, *, member: bool, subject: str) -> None:
    """Refuse with the reason when the table does not allow it."""
    if may(actor, action, member=member):
        return
    raise Forbidden(f"{subject}: {actor.label} may not {TABLE[action].label}; {who_may(action)}")


def who_may(action: Action) -> str:
    """The row of the table as a sentence."""
    rule = TABLE[action]
    people = [role.value.replace("_", " ") for role in Role if role in rule.anywhere]
    people += [
        f"{role.value.replace('_', ' ')} of the team"
        for role in Role
        if role in rule.own - rule.anywhere
    ]
    people += [f"{scope.value} key" for scope in Scope if scope in rule.scopes]
    return f"this is for: {', '.join(people)}" if people else "nobody may"


MAY_OWN_MANAGEMENT_KEYS = frozenset({_P, _A})
"""A management key starts, stops and promotes for its owner, so the owner's job must be one that
does such things.
"""
SIGNING: Mapping[Item, Action] = {
    Item.PRD: Action.SIGN_PRD,
    Item.OFFLINE: Action.SIGN_OFFLINE,
    Item.DARK_LAUNCH: Action.SIGN_DARK_LAUNCH,
    Item.APPROVAL: Action.APPROVE_LAUNCH,
}
"""Which permission signs which checklist item; the other items are computed."""
