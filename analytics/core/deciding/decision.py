"""What to do with an experiment now: a pure function of frozen facts.

Harm comes first, then whether the data may be believed, then whether there is anything to decide,
then promotion, then conclusions. Each answer quotes its rule; the readiness list says what is still
missing for a promotion, in numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from analytics.core.deciding.verdicts import Crossing, Verdict
from analytics.core.stats.arms.comparison import Interval

Kind = Literal["keep", "hold", "stop", "promote", "escalate", "conclude"]
Conclusion = Literal["worse", "no_effect", "inconclusive"]
Rule = Literal["safe", "no_breach"]
Action = Literal["stop", "hold", "escalate"]
Topic = Literal[
    "",
    "primary",
    "clock",
    "shares",
    "health",
    "units",
    "boundary",
    "improvement",
    "guardrail",
    "serving",
]


@dataclass(frozen=True, slots=True)
class GuardrailFact:
    """One guardrail on one arm: what the plan demands, and the verdicts at looks and now.

    ``compensated``: the gain pays for the cost (None: cannot say, or not about cost). ``proven``:
    what the SPRT says once it has proven harm. ``required``: to be SAFE (rule ``safe``); under the
    other rule it only must not be breached. ``no_data``: why harm cannot be computed at all; then
    it passes under neither rule.
    """

    key: str
    rule: Rule
    action: Action
    verdict: Verdict
    safe_at_look: bool = False
    worsening: bool = False
    required: bool = True
    compensated: bool | None = None
    proven: str = ""
    no_data: str = ""

    @property
    def breached(self) -> bool:
        """Harm beyond the margin that no gain pays for."""
        return self.verdict == "breach" and self.compensated is not True

    @property
    def stops(self) -> bool:
        """Whether the arm must not serve on."""
        return bool(self.proven) or (self.breached and self.action == "stop")


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """One test arm on the primary metric, all oriented so that more is better.

    ``estimate`` is the gain over control at the latest look, in the metric's units, with its
    standard error; ``interval_90`` its 90 % interval there. ``n`` are matured units now.
    ``harmed``: the arm is switched off already.
    """

    key: str
    n: int
    crossed: Crossing | None = None
    estimate: float | None = None
    se: float | None = None
    interval_90: Interval | None = None
    cost_per_unit: float | None = None
    guardrails: tuple[GuardrailFact, ...] = ()
    harmed: bool = False


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """Everything a decision rests on; stored with it, so that it can be replayed.

    ``srm_masks``: SRM at a look or the Bayes factor between looks. ``unhealthy``: other red health
    checks, by sentence. ``mde`` and ``required_improvement`` (d₀) are absolute, in the metric's
    units. ``alarm_only`` is set between looks: then only harm may act. ``spent_micro`` of
    ``budget_micro`` are gone (None: there is no cap). ``failed`` are the parts of the analysis that
    could not be computed, by sentence: they hide nothing, and nothing is promoted meanwhile.
    ``never_looked`` says why no look can ever be taken, if so.
    """

    arms: tuple[ArmFacts, ...]
    n_control: int
    has_primary: bool = True
    clock_complete: bool = False
    clock_sentence: str = ""
    looks_taken: int = 0
    last_look_taken: bool = False
    planned_end_passed: bool = False
    min_sample_size: int = 0
    required_improvement: float = 0.0
    mde: float | None = None
    srm_masks: bool = False
    unhealthy: tuple[str, ...] = ()
    auto_promote: bool = True
    origin: Literal["live", "import"] = "live"
    alarm_only: bool = False
    budget_micro: int | None = None
    spent_micro: int | None = None
    failed: tuple[str, ...] = ()
    never_looked: str = ""

    @property
    def over_budget(self) -> bool:
        """Whether the cap is reached."""
        return (
            self.budget_micro is not None
            and self.spent_micro is not None
            and self.spent_micro >= self.budget_micro
        )


@dataclass(frozen=True, slots=True)
class Readiness:
    """One condition of a promotion: what it is, what is there, what is needed, whether it is met
    (None: cannot say).

    ``arm`` and ``metric`` are the keys it is about, if any. Where the condition is a number,
    ``value`` is what is there and ``target`` what is needed: units, or a gain in the primary
    metric's units.
    """

    name: str
    now: str
    needed: str
    met: bool | None
    topic: Topic = ""
    arm: str = ""
    metric: str = ""
    value: float | None = None
    target: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, the rule in words, and the readiness of the arm in front.

    ``arms``: those to stop, or the one to promote. ``conclusion`` with
    kind ``conclude``, and with ``stop`` when an arm is worse rather than harmful.
    """

    kind: Kind
    rule: str
    arms: tuple[str, ...] = ()
    conclusion: Conclusion | None = None
    readiness: tuple[Readiness, ...] = ()


def decide(facts: DecisionFacts) -> Decision:
    """The decision now. Without a primary metric nothing is decided; harm still stops."""
    for rule in (_harm, _untrusted, _nothing_to_decide, _promotion, _conclusion):
        found = rule(facts)
        if found is not None:
            return found
    return _keep(facts)


def winner(facts: DecisionFacts) -> ArmFacts | None:
    """The arm to promote: of those that meet every condition the largest estimate; within one s.e.
    of it, the cheapest.
    """
    ready = [
        a
        for a in _live(facts)
        if a.estimate is not None
        and a.se is not None
        and all(r.met for r in _arm_readiness(facts, a))
    ]
    if not ready:
        return None
    best = max(ready, key=lambda a: a.estimate or 0.0)
    near = [a for a in ready if (best.estimate or 0.0) - (a.estimate or 0.0) <= (best.se or 0.0)]
    priced = [a for a in near if a.cost_per_unit is not None]
    cheaper = best.cost_per_unit is not None and len(priced) == len(near)
    return (
        min(near, key=lambda a: (a.cost_per_unit or 0.0, -(a.estimate or 0.0))) if cheaper else best
    )


def recommended(facts: DecisionFacts) -> str | None:
    """The arm that the rules promote, be it by themselves or, where automatic promotion is off, by
    a person's hand; None: no arm.
    """
    found = decide(replace(facts, auto_promote=True))
    return found.arms[0] if found.kind == "promote" else None


def readiness(facts: DecisionFacts) -> tuple[Readiness, ...]:
    """Every condition of a promotion: of the experiment, of the arm in front, then of every other
    arm.
    """
    front = _front(facts)
    others = [arm for arm in facts.arms if arm is not front]
    return (
        *_front_readiness(facts),
        *(one for arm in others for one in _arm_readiness(facts, arm)),
    )


def _front_readiness(facts: DecisionFacts) -> tuple[Readiness, ...]:
    front = _front(facts)
    return (*_common_readiness(facts), *(_arm_readiness(facts, front) if front is not None else ()))


def _harm(facts: DecisionFacts) -> Decision | None:
    """Proven harm acts at any time, also when the shares are off: stopping is the safe mistake."""
    if facts.over_budget and _live(facts):
        return _decision(facts, "stop", _budget_rule(facts), [a.key for a in _live(facts)])
    stopped = [a for a in _live(facts) if any(g.stops for g in a.guardrails)]
    if stopped:
        return _decision(facts, "stop", _stopped(stopped), [a.key for a in stopped])
    escalated = [
        a for a in _live(facts) if any(g.breached and g.action == "escalate" for g in a.guardrails)
    ]
    if escalated:
        return _decision(
            facts,
            "escalate",
            _breached("escalate", escalated, "a person decides"),
            [a.key for a in escalated],
        )
    held = [a for a in _live(facts) if any(g.breached for g in a.guardrails)]
    if held:
        return _decision(
            facts,
            "hold",
            _breached("hold", held, "degraded, so nothing is promoted or widened"),
            [a.key for a in held],
        )
    return None


def _untrusted(facts: DecisionFacts) -> Decision | None:
    if facts.srm_masks:
        return _decision(
            facts,
            "hold",
            "the arms did not get their planned shares (SRM): results are masked and nothing is decided",
        )
    if facts.unhealthy:
        return _decision(facts, "hold", "results are masked: " + "; ".join(facts.unhealthy))
    return None


def _nothing_to_decide(facts: DecisionFacts) -> Decision | None:
    if not facts.has_primary:
        return _decision(facts, "keep", "no primary metric is planned: nothing is decided")
    if facts.looks_taken == 0 and facts.planned_end_passed and facts.origin == "live":
        return _decision(
            facts,
            "escalate",
            "the planned end has passed without a legal look: extend it or conclude by hand",
        )
    return _keep(facts) if facts.alarm_only or facts.looks_taken == 0 else None


def _promotion(facts: DecisionFacts) -> Decision | None:
    if not all(r.met for r in _common_readiness(facts)):
        return None
    arm = winner(facts)
    if arm is None:
        return None
    if facts.origin == "import":
        return _decision(
            facts,
            "hold",
            f"{arm.key} meets every condition; imported data never promote",
            [arm.key],
        )
    if not facts.auto_promote:
        return _decision(
            facts,
            "escalate",
            f"{arm.key} meets every condition; automatic promotion is off, a person promotes",
            [arm.key],
        )
    rule = f"{arm.key}: the boundary was crossed for the better and every other condition was met at looks, with no breach now"
    return _decision(facts, "promote", rule, [arm.key])


def _conclusion(facts: DecisionFacts) -> Decision | None:
    arms = _live(facts)
    if not arms:
        return None
    worse = [a for a in arms if a.crossed == "worse"]
    if len(worse) == len(arms):
        return _decision(
            facts,
            "conclude",
            "every test arm crossed the boundary for the worse",
            [a.key for a in worse],
            "worse",
        )
    if worse:
        return _decision(
            facts,
            "stop",
            "crossed the boundary for the worse: its units get the default",
            [a.key for a in worse],
            "worse",
        )
    if not facts.last_look_taken:
        return None
    better = [a.key for a in arms if a.crossed == "better"]
    if better:
        return _decision(
            facts,
            "escalate",
            "a gain is proven but not every condition was met by the last look: a person decides",
            better,
        )
    if facts.mde is not None and all(_inside(a.interval_90, facts.mde) for a in arms):
        return _decision(
            facts,
            "conclude",
            f"last look: the 90 % interval lies inside ±{facts.mde:g} (MDE)",
            (),
            "no_effect",
        )
    return _decision(
        facts,
        "conclude",
        "last look: no boundary crossed, and an effect as large as the MDE is not ruled out",
        (),
        "inconclusive",
    )


AFTER_THE_LAST = "the last look is taken and what it decided stands; only harm acts from here on"


def _keep(facts: DecisionFacts) -> Decision:
    if facts.last_look_taken:
        return _decision(facts, "keep", AFTER_THE_LAST)
    if facts.never_looked:
        return _decision(facts, "keep", facts.never_looked)
    missing = [r.name for r in _front_readiness(facts) if r.met is not True]
    return _decision(
        facts,
        "keep",
        "keep running; not yet met: " + ", ".join(missing)
        if missing
        else "keep running until the next look",
    )


def _decision(
    facts: DecisionFacts,
    kind: Kind,
    rule: str,
    arms: Sequence[str] = (),
    conclusion: Conclusion | None = None,
) -> Decision:
    return Decision(kind, rule, tuple(arms), conclusion, readiness(facts))


def _budget_rule(facts: DecisionFacts) -> str:
    return f"the budget cap of {_usd(facts.budget_micro)} USD is reached: everything stops"


def _usd(micro: int | None) -> str:
    return f"{(micro or 0) / 1_000_000:,.2f}"


def _stopped(arms: Sequence[ArmFacts]) -> str:
    """What the alarms say, and what the SPRT says."""
    then = "the arm's units get the default"
    proven = sorted(
        f"{g.proven} ({g.key} on {a.key})" for a in arms for g in a.guardrails if g.proven
    )
    alarms = any(g.breached and g.action == "stop" for a in arms for g in a.guardrails)
    said = _breached("stop", arms, then) if alarms else f"{proven[0]}: {then}"
    return "; ".join([said, *(proven if alarms else proven[1:])])


def _breached(action: str, arms: Sequence[ArmFacts], then: str) -> str:
    keys = sorted(
        {
            f"{g.key} on {a.key}"
            for a in arms
            for g in a.guardrails
            if g.breached and action in ("hold", g.action)
        }
    )
    return f"guardrail breached ({', '.join(keys)}): {then}"


def in_names(rule: str, names: Mapping[str, str]) -> str:
    """A stored rule as people read it: with the names of arms where the rule has their keys."""
    for key, name in names.items():
        if rule.startswith((f"{key}: ", f"{key} meets ")):
            rule = name + rule.removeprefix(key)
            break
    return _ON_ARM.sub(lambda found: f" on {names.get(found[1], found[1])}", rule)


_ON_ARM = re.compile(r" on ([^\s,()]{1,128})(?=[,)])")


def _live(facts: DecisionFacts) -> tuple[ArmFacts, ...]:
    return tuple(a for a in facts.arms if not a.harmed)


def _front(facts: DecisionFacts) -> ArmFacts | None:
    chosen = winner(facts)
    known = [a for a in _live(facts) if a.estimate is not None]
    return chosen or max(
        known, key=lambda a: a.estimate or 0.0, default=next(iter(_live(facts)), None)
    )


def _inside(interval: Interval | None, mde: float) -> bool:
    return interval is not None and -mde < interval.low and interval.high < mde


def _common_readiness(facts: DecisionFacts) -> list[Readiness]:
    healthy = not facts.unhealthy
    clock = facts.clock_sentence or ("complete" if facts.clock_complete else "not complete")
    return [
        Readiness(
            "primary metric",
            "planned" if facts.has_primary else "none",
            "planned",
            facts.has_primary,
            "primary",
        ),
        Readiness("clock", clock, "complete", facts.clock_complete, "clock"),
        Readiness(
            "shares (SRM)",
            "off" if facts.srm_masks else "as planned",
            "as planned",
            not facts.srm_masks,
            "shares",
        ),
        Readiness(
            "health", "good" if healthy else "; ".join(facts.unhealthy), "good", healthy, "health"
        ),
        _units("control units", facts.n_control, facts.min_sample_size),
        *(
            [Readiness("analysis", "; ".join(facts.failed), "every part computed", False, "health")]
            if facts.failed
            else []
        ),
    ]


def _units(name: str, n: int, fewest: int, arm: str = "") -> Readiness:
    return Readiness(name, str(n), f"≥ {fewest}", n >= fewest, "units", arm, value=n, target=fewest)


def _arm_readiness(facts: DecisionFacts, arm: ArmFacts) -> list[Readiness]:
    d0, gain = facts.required_improvement, arm.estimate
    said, met = ("unknown", None) if gain is None else (f"{gain:g}", gain >= d0)
    off = (
        [Readiness(f"{arm.key}: serving", "switched off", "serving", False, "serving", arm.key)]
        if arm.harmed
        else []
    )
    return [
        *off,
        _units(f"{arm.key}: units", arm.n, facts.min_sample_size, arm.key),
        Readiness(
            f"{arm.key}: boundary",
            arm.crossed or "not crossed",
            "better",
            arm.crossed == "better",
            "boundary",
            arm.key,
        ),
        Readiness(
            f"{arm.key}: improvement",
            said,
            f"≥ {d0:g}",
            met,
            "improvement",
            arm.key,
            value=gain,
            target=d0,
        ),
        *(_guardrail_readiness(arm, g) for g in arm.guardrails),
    ]


def _guardrail_readiness(arm: ArmFacts, guardrail: GuardrailFact) -> Readiness:
    clear = not (guardrail.breached or guardrail.proven)
    wanted, met = (
        "safe at a look, no breach now",
        clear and (guardrail.safe_at_look or guardrail.compensated is True),
    )
    if guardrail.rule == "no_breach" or not guardrail.required:
        wanted, met = "no breach", clear
    said = f"{guardrail.verdict}, compensated" if guardrail.compensated else guardrail.verdict
    if guardrail.no_data:  # that nothing is known is never a pass
        said, wanted, met = f"no data: {guardrail.no_data}", f"data, {wanted}", False
    return Readiness(
        f"{arm.key}: {guardrail.key}", said, wanted, met, "guardrail", arm.key, guardrail.key
    )
