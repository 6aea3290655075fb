"""One simulated experiment, day by day, through everything between totals and a decision.

The same pieces in the same order as a production run, without a database: health, clock, permission
to look, look, verdicts, facts, decision. What a decision does (an arm stopped, an experiment ended)
the caller carries out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from analytics.core.deciding.decision import (
    ArmFacts,
    Decision,
    DecisionFacts,
    GuardrailFact,
    decide,
)
from analytics.core.deciding.guardrails import GuardrailPlan, GuardrailReading, Harm, harm, judge
from analytics.core.deciding.look_state import LookState, histories, horizon, safety_looks, take
from analytics.core.deciding.looks import crossed_together, observe
from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.deciding.windows import (
    Clock,
    ServingSpan,
    clock,
    day_start,
    legal_look,
    matured_until,
)
from analytics.core.ground.observed import Observed
from analytics.core.results import ArmSummary
from analytics.core.scans.health import assess
from analytics.core.stats.arms.comparison import Interval
from analytics.core.stats.arms.normal import upper_quantile

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday: the first whole day."""
DAY = timedelta(days=1)
ZONE = "UTC"
TEN_PERCENT = upper_quantile(0.05)

ByDays = Callable[[int], Sequence[Observed]]
"""Totals of each arm, control first, of the units that came in the first so many days."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What was planned: control and test arms alike get ``arrivals[d]`` new units on day d, until
    the planned end after ``days``.
    """

    arrivals: tuple[int, ...]
    n_planned: float
    test_arms: int = 1
    weeks: int = 1
    window: timedelta = DAY
    kind: str = "proportion"
    guardrails: tuple[GuardrailPlan, ...] = ()
    floor: int = 100
    alpha: float = 0.05
    mde: float | None = None

    @property
    def days(self) -> int:
        return len(self.arrivals)

    @property
    def arms(self) -> tuple[str, ...]:
        """The test arms' keys."""
        return tuple(f"arm{i}" for i in range(1, self.test_arms + 1))

    def units(self, days: int) -> int:
        """Units an arm of the first so many days."""
        return sum(self.arrivals[:days])

    def matured(self, day: int) -> int:
        """Of how many first days the units are matured at the end of a day."""
        return min(
            self.days, max(0, (matured_until(START + day * DAY, self.window) - START) // DAY)
        )


@dataclass(frozen=True, slots=True)
class TrialState:
    """Where a trial stands after a day's run."""

    day: int
    decision: Decision
    looked: bool
    verdicts: tuple[GuardrailResult, ...] = ()


@dataclass(slots=True)
class Walk:
    """A trial under way; iterating runs it day by day. ``harmed``: arms that were stopped, by
    whoever carries decisions out.
    """

    trial: Trial
    primary: ByDays
    guarded: Mapping[str, ByDays] = field(default_factory=dict)
    states: list[LookState] = field(default_factory=list)
    harmed: set[str] = field(default_factory=set)

    def __iter__(self) -> Iterator[TrialState]:
        for day in range(1, self.trial.days + 1):
            yield self._run(day)

    def _run(self, day: int) -> TrialState:
        trial, matured = self.trial, self.trial.matured(day)
        now = START + day * DAY + timedelta(hours=1)
        the_clock = clock_after(trial.weeks, day)
        masked = not as_planned(trial.units(day), trial.test_arms)
        state = None if masked or not self._may_look(now, the_clock) else self._look(day, matured)
        if state is not None:
            self.states.append(state)
        verdicts = tuple(
            judge(
                [self._reading(plan, arm, day) for plan in trial.guardrails for arm in trial.arms]
            )
        )
        facts = self._facts(matured, the_clock, masked, verdicts, looked=state is not None)
        return TrialState(day, decide(facts), state is not None, verdicts)

    def _may_look(self, now: datetime, the_clock: Clock) -> bool:
        end = START + self.trial.days * DAY
        previous = self.states[-1].day if self.states else None
        over = bool(self.states) and self.states[-1].last
        asked = legal_look(
            now,
            ZONE,
            the_clock,
            window=self.trial.window,
            previous=previous,
            planned_end=end,
            over=over,
        )
        return asked.allowed

    def _look(self, day: int, matured: int) -> LookState | None:
        trial, (control, *tests) = self.trial, self.primary(matured)
        seen = {
            arm: observe(trial.kind, control, totals)
            for arm, totals in zip(trial.arms, tests, strict=True)
        }
        safety = {
            (plan.key, arm): self._harm(plan, arm, matured)
            for plan in trial.guardrails
            for arm in trial.arms
        }
        return take(
            (START + (day - 1) * DAY).date(),
            self.states,
            seen,
            safety,
            n_planned=horizon(trial.n_planned, trial.floor, list(seen.values())),
            alpha=trial.alpha,
            better="increase",
            closing=START + trial.days * DAY <= day_start((START + day * DAY).date(), ZONE),
        )

    def _harm(self, plan: GuardrailPlan, arm: str, days: int) -> Harm:
        totals = self.guarded[plan.key](days)
        return harm(plan, totals[0], totals[1 + self.trial.arms.index(arm)])

    def _reading(self, plan: GuardrailPlan, arm: str, day: int) -> GuardrailReading:
        start = self._harm(plan, arm, day)
        return GuardrailReading(
            plan, arm, start, None, self.trial.days, safety_looks(self.states, plan.key, arm)
        )

    def _facts(
        self,
        matured: int,
        the_clock: Clock,
        masked: bool,
        verdicts: tuple[GuardrailResult, ...],
        *,
        looked: bool,
    ) -> DecisionFacts:
        trial = self.trial
        return DecisionFacts(
            arms=self._arms(trial.units(matured), verdicts),
            n_control=trial.units(matured),
            clock_complete=the_clock.complete,
            clock_sentence=the_clock.sentence,
            looks_taken=len(self.states),
            last_look_taken=bool(self.states) and self.states[-1].last,
            min_sample_size=trial.floor,
            mde=trial.mde,
            srm_masks=masked,
            alarm_only=not looked,
        )

    def _arms(self, n: int, verdicts: Sequence[GuardrailResult]) -> tuple[ArmFacts, ...]:
        trial, arms = self.trial, []
        known = histories(
            self.states, trial.arms, n_planned=trial.n_planned, alpha=trial.alpha, better="increase"
        )
        crossed = crossed_together(list(known.values()))
        for (arm, history), way in zip(known.items(), crossed, strict=True):
            latest = history.latest
            guarded = tuple(
                GuardrailFact(v.key, "safe", "stop", v.verdict, v.safe_at_look, v.worsening)
                for v in verdicts
                if v.arm == arm
            )
            if latest is None:
                arms.append(ArmFacts(arm, n, guardrails=guarded, harmed=arm in self.harmed))
                continue
            reach = TEN_PERCENT * latest.se
            ninety = Interval(latest.estimate - reach, latest.estimate + reach, 0.9)
            arms.append(
                ArmFacts(
                    arm,
                    n,
                    way,
                    latest.estimate,
                    latest.se,
                    ninety,
                    None,
                    guarded,
                    arm in self.harmed,
                )
            )
        return tuple(arms)


def ending(walk: Walk) -> Decision | None:
    """Run until something is promoted or concluded; arms that are stopped are switched off and the
    others go on.
    """
    decision = None
    for standing in walk:
        decision = standing.decision
        if decision.kind in ("promote", "conclude", "escalate"):
            break
        if decision.kind == "stop":
            walk.harmed.update(decision.arms)
    return decision


@lru_cache(maxsize=256)
def clock_after(weeks: int, day: int) -> Clock:
    """The clock of a launch at START, on the night after so many days."""
    return clock((ServingSpan(START),), ZONE, weeks, START + day * DAY + timedelta(hours=1))


@lru_cache(maxsize=1024)
def as_planned(units: int, test_arms: int) -> bool:
    """Whether the health checks believe arms of equal size."""
    share = 1 / (test_arms + 1)
    arms = [
        ArmSummary(f"arm{i}", f"arm{i}", i == 0, units, units, 0, share)
        for i in range(test_arms + 1)
    ]
    return not assess(arms, (), gates=True).masks
