"""A sequence diagram for every transition, in Mermaid, drawn from the table of transitions and that
of permissions.

``python -m config.documents.transition_diagrams`` prints ``docs/transitions.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from experiments.core.life.lifecycle import TRANSITIONS, Need, Transition, Verb
from experiments.core.permissions import TABLE, Action
from experiments.core.types import PauseCause, Role, Status

NEEDS: Mapping[Need, str] = {
    Need.DESIGN: "a design that is whole",
    Need.DARK_LAUNCH_POLICY: "a policy with a dark launch",
    Need.NO_DARK_LAUNCH_POLICY: "a policy without a dark launch",
    Need.ITEMS_BEFORE_DARK_LAUNCH: "a yes for PRD, flag, metrics, sample size and offline thresholds",
    Need.ALL_ITEMS: "a yes for every checklist item of the policy",
    Need.FREE_FLAG: "a flag that no other experiment occupies, and free buckets",
    Need.REASON: "a reason",
    Need.VARIANT: "a test arm that a stored decision recommends, or a second person",
}
"""What each need asks for, in words."""

_OFF = "what had a variant gets the flag's rollout, else its default"
_OVER = "close the iteration, its buckets rest for 30 days"

WRITES: Mapping[tuple[Verb, Status, PauseCause | None], tuple[str, ...]] = {
    (Verb.START_DARK_LAUNCH, Status.DRAFT, None): (
        "begin an iteration: design, policy and sample-size plan are frozen",
        "hold ten buckets for the test arms and ten for control twins",
        "close the holdback of an earlier promotion on the flag",
    ),
    (Verb.START, Status.DRAFT, None): (
        "begin an iteration: design, policy and sample-size plan are frozen",
        "hold the main buckets of the first ramp step, else of the whole share",
        "close the holdback of an earlier promotion on the flag",
    ),
    (Verb.START, Status.DARK_LAUNCH, None): (
        "hold the main buckets in the same iteration, dark buckets and twins keep their variants",
        "note the first ramp step",
    ),
    (Verb.ABORT_DARK_LAUNCH, Status.DARK_LAUNCH, None): (_OVER,),
    (Verb.EMERGENCY_STOP, Status.DARK_LAUNCH, None): (_OVER,),
    (Verb.PROMOTE, Status.RUNNING, None): (
        "write the rollout: value, tested audience, held-back buckets, 28 days",
        _OVER,
        "record the outcome: promoted",
    ),
    (Verb.PAUSE, Status.RUNNING, None): ("note a pause of cause person",),
    (Verb.EMERGENCY_STOP, Status.RUNNING, None): ("note a pause of cause harm",),
    (Verb.CONCLUDE, Status.RUNNING, None): (
        _OVER,
        "record the outcome that was decided, else inconclusive",
    ),
    (Verb.RESUME, Status.PAUSED, PauseCause.PERSON): (
        "close the pause, after a long one begin a new iteration",
    ),
    (Verb.RESUME, Status.PAUSED, PauseCause.HARM): (
        _OVER,
        "begin a new iteration under the same sign-offs, units are dealt anew",
    ),
    (Verb.CONCLUDE, Status.PAUSED, None): (
        _OVER,
        "record the outcome: stopped_harm after harm, else what was decided",
    ),
    (Verb.ARCHIVE, Status.COMPLETED, None): ("put it away, results and rollout stay",),
}
"""What each transition writes beside status and changelog, in order."""

THEN: Mapping[tuple[Verb, Status, PauseCause | None], str] = {
    (
        Verb.START_DARK_LAUNCH,
        Status.DRAFT,
        None,
    ): "1 % of units meet it, seen or in the shadow, beside as many twins",
    (Verb.START, Status.DRAFT, None): "units meet their variants",
    (Verb.START, Status.DARK_LAUNCH, None): "units meet their variants",
    (Verb.ABORT_DARK_LAUNCH, Status.DARK_LAUNCH, None): _OFF,
    (Verb.EMERGENCY_STOP, Status.DARK_LAUNCH, None): _OFF,
    (
        Verb.PROMOTE,
        Status.RUNNING,
        None,
    ): "the tested audience gets the winner, but for those held back",
    (Verb.PAUSE, Status.RUNNING, None): _OFF,
    (Verb.EMERGENCY_STOP, Status.RUNNING, None): _OFF,
    (Verb.CONCLUDE, Status.RUNNING, None): _OFF,
    (Verb.RESUME, Status.PAUSED, PauseCause.PERSON): "units meet their variants again",
    (Verb.RESUME, Status.PAUSED, PauseCause.HARM): "units meet the variants of the new iteration",
    (Verb.CONCLUDE, Status.PAUSED, None): "nothing changes for anybody",
    (Verb.ARCHIVE, Status.COMPLETED, None): "nothing changes for anybody",
}
"""What users notice within one poll."""

HEAD = """# Transitions, step by step

One diagram for each arrow of an experiment's life. `python -m config.documents.transition_diagrams` draws them from the table
of transitions (`experiments/core/life/lifecycle.py`) and the table of permissions (`experiments/core/permissions.py`). A test
compares this page with them. Every door calls the same service. A service does everything in one transaction or nothing at all.
Serving processes learn of a change when they next poll the catalogue. A message only wakes them earlier.
"""


def page() -> str:
    """The whole of ``docs/transitions.md``."""
    return HEAD + "".join(
        f"\n## {title(step)}\n\n{_said(step)}\n\n```mermaid\n{diagram(step)}\n```\n"
        for step in TRANSITIONS
    )


def title(step: Transition) -> str:
    """The arrow's heading, each once."""
    narrowed = f" after a pause for {step.cause.value}" if step.cause is PauseCause.HARM else ""
    return f"{step.label}: {_words(step.source)} to {_words(step.target)}{narrowed}"


def diagram(step: Transition) -> str:
    """Who presses what, what is checked and written under which lock, and what users notice."""
    return "\n".join(["sequenceDiagram", *(f"    {line}" for line in _lines(step))])


def _lines(step: Transition) -> Iterator[str]:
    verb, place = step.verb.value, (step.verb, step.source, step.cause)
    yield "actor Who as Person or key"
    yield from ("participant Door as Admin, API or beat", f"participant Service as Service {verb}")
    yield from ("participant Tables as PostgreSQL", "participant Serving as Serving processes")
    yield f"Who->>Door: {step.label}{' with a reason' if Need.REASON in step.needs else ''}"
    yield f"Door->>Service: {verb}(actor, now, experiment)"
    yield "Service->>Tables: begin, lock experiment and flag"
    yield f"Service->>Service: may {TABLE[step.action].label}?"
    yield f"Service->>Service: is it {_words(step.source)}?"
    yield from (f"Service->>Service: is there {NEEDS[need]}?" for need in step.needs)
    yield "alt something stands against it"
    yield "    Service-->>Door: refused with every blocker (409), without the permission with nothing else (403)"
    yield "else nothing does"
    yield from (f"    Service->>Tables: {line}" for line in WRITES[place])
    yield f"    Service->>Tables: status {step.source.value} → {step.target.value}, if it still is"
    yield "    Service->>Tables: a line in the changelog, the catalogue's next version, commit"
    yield "    Service-->>Door: done"
    yield "end"
    yield "Serving->>Tables: poll"
    yield f"Note over Serving: {THEN[place]}"


def _said(step: Transition) -> str:
    machine = (
        " Beat does it by itself where a stored decision, a plan or a watch says so."
        if TABLE[step.action].machine
        else ""
    )
    return f"Who may {TABLE[step.action].label}: {_people(step.action)}.{machine}"


def _people(action: Action) -> str:
    rule = TABLE[action]
    people = [_words(role) for role in Role if role in rule.anywhere]
    people += [f"{_words(role)} of the team" for role in Role if role in rule.own - rule.anywhere]
    return ", ".join([*people, *(f"{scope.value} key" for scope in sorted(rule.scopes))])


def _words(value: Status | Role) -> str:
    return value.value.replace("_", " ")


if __name__ == "__main__":
    print(page(), end="")
