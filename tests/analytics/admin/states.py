"""An experiment in any state of lifecycle and decision, with rows as the services write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product

from analytics.core.deciding.decision import ArmFacts, DecisionFacts, GuardrailFact, decide
from analytics.core.deciding.look_state import LookState
from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.ground.encoding import plain
from analytics.core.results import ArmComparison, MetricArm, MetricResult
from analytics.core.stats.arms.comparison import Comparison, Interval
from analytics.models import AnalysisRun, Decision, Look
from experiments.core.clock import utc_now
from experiments.core.types import Outcome, PauseCause, Status
from experiments.models import Experiment, Flag, Iteration
from experiments.selectors.experiments import design_of, rules_of

KINDS = ("", "keep", "hold", "stop", "promote", "escalate", "conclude")
CALM = {
    "run": "none",
    "decided": "",
    "breach": False,
    "masked": False,
    "failed": False,
    "off": False,
    "held": False,
}


@dataclass(frozen=True)
class Case:
    """One state: where it is in its life, and what was found."""

    status: Status
    cause: PauseCause = PauseCause.NONE
    outcome: Outcome = Outcome.NONE
    run: str = "none"
    decided: str = ""
    breach: bool = False
    masked: bool = False
    failed: bool = False
    off: bool = False
    held: bool = False

    def __str__(self) -> str:
        flags = [
            name for name in ("breach", "masked", "failed", "off", "held") if getattr(self, name)
        ]
        return "-".join(
            filter(None, (self.status, self.cause, self.outcome, self.run, self.decided, *flags))
        )


def _findings() -> Iterator[dict[str, object]]:
    """What a live experiment may have found: everything that a run, a look's decision and the world
    can say.
    """
    yield CALM
    for run, breach, flaw in product(KINDS, (False, True), ("", "masked", "failed")):
        if not (breach and flaw):
            yield {**CALM, "run": run, "breach": breach} | ({flaw: True} if flaw else {})
    for decided, breach, held in product(
        ("promote", "escalate", "conclude"), (False, True), (False, True)
    ):
        yield {**CALM, "run": "keep", "decided": decided, "breach": breach, "held": held}


def cases() -> list[Case]:
    """Lifecycle × decision."""
    live = [Case(Status.RUNNING, **found) for found in _findings()]  # type: ignore[arg-type]  # fields by name
    live += [
        replace(one, off=True)
        for one in live
        if one.run in ("none", "keep", "escalate") and not (one.masked or one.failed)
    ]
    paused = [
        Case(Status.PAUSED, cause, run=run, breach=breach)
        for cause, run, breach in product(
            (PauseCause.PERSON, PauseCause.HARM), ("none", "keep", "stop"), (False, True)
        )
    ]
    over = [
        Case(status, outcome=outcome, run=run, masked=masked)
        for status, outcome, run, masked in product(
            (Status.COMPLETED, Status.ARCHIVED), Outcome, ("none", "keep"), (False, True)
        )
        if (run == "keep" or not masked) and (status == Status.COMPLETED or run == "keep")
    ]
    return [
        Case(Status.DRAFT),
        Case(Status.DRAFT, off=True),
        Case(Status.DARK_LAUNCH),
        *live,
        *paused,
        *over,
    ]


def _result(role: str, key: str, name: str, change: float) -> MetricResult:
    against = Comparison(
        "proportion", 4000, 4000, control_mean=0.1, treatment_mean=0.1 + change, difference=change,
        ci=Interval(change - 0.01, change + 0.01, 0.95), lift=change / 0.1, p=0.2,
    )  # fmt: skip
    arms = tuple(MetricArm(arm, 4000, 4000, 0.1, 400.0, 400.0) for arm in ("Control", "Friendly"))
    return MetricResult(
        key,
        1,
        name,
        role,
        "proportion",
        "increase",
        "share",
        168,
        arms,
        (ArmComparison("Friendly", against),),
    )


_METRICS = (
    ("primary", "apply_rate", "Apply rate", 0.02),
    ("guardrail", "error_rate", "Errors", 0.05),
)


def _facts(case: Case) -> DecisionFacts:
    safe = bool(case.decided) and not case.breach
    guardrail = GuardrailFact(
        "error_rate",
        "safe",
        "escalate",
        "breach" if case.breach else "safe" if safe else "unknown",
        safe,
    )
    arm = ArmFacts(
        "Friendly", 4000, "better", 0.02, 0.005, Interval(0.01, 0.03, 0.9), None, (guardrail,)
    )
    return DecisionFacts(
        (arm,),
        4000,
        clock_complete=True,
        looks_taken=1,
        last_look_taken=True,
        auto_promote=False,
        min_sample_size=100,
    )


def put(case: Case, row: Experiment) -> Experiment:
    """The experiment in a state, with rows as the services write them."""
    now = utc_now()
    Flag.objects.filter(pk=row.flag.pk).update(enabled=not case.off)
    fields = {
        "status": case.status,
        "pause_cause": case.cause,
        "outcome": case.outcome,
        "promotion_held": case.held,
    }
    over = case.status in (Status.COMPLETED, Status.ARCHIVED)
    Experiment.objects.filter(pk=row.pk).update(
        start_ts=now - timedelta(days=5), end_ts=now if over else None, **fields
    )
    row = Experiment.objects.select_related("flag", "owner", "policy", "layer").get(pk=row.pk)
    if case.status != Status.DRAFT:
        _iteration(case, row, now, over)
    return row


def _iteration(case: Case, row: Experiment, now, over: bool) -> None:
    design = design_of(row)
    iteration = Iteration.objects.create(
        experiment=row, number=row.iterations.count() + 1, design=plain(design), design_sha256="", policy_rules=rules_of(row).as_json(),
        traffic=200, began_at=now - timedelta(days=5), started_at=now - timedelta(days=5), ended_at=now if over else None,
    )  # fmt: skip
    if case.run != "none":
        _run(case, row, iteration, now)
    if case.decided:
        _decision(case, row, iteration, now)


def _run(case: Case, row: Experiment, iteration: Iteration, now) -> None:
    verdict = GuardrailResult(
        "error_rate",
        "Friendly",
        "breach" if case.breach else "unknown",
        case.breach,
        False,
        None,
        None,
        None,
        None,
        None,
        False,
        "",
    )
    arms = [
        {"key": k, "name": k, "is_control": k == "Control", "units": 4000, "exposures": 4000}
        for k in ("Control", "Friendly")
    ]
    hidden = (
        [{"code": "srm", "weight": "red", "sentence": "shares are off", "masks": True}]
        if case.masked
        else []
    )
    AnalysisRun.objects.create(
        experiment=row,
        iteration=iteration,
        computed_at=now,
        data_cut=now,
        masked=case.masked,
        failed_at=now if case.failed else None,
        totals={"arms": arms},
        health={"findings": hidden},
        verdicts={"guardrails": [plain(verdict)]},
        results={"metrics": plain([_result(*one) for one in _METRICS])},
        readiness={
            "kind": case.run,
            "rule": "a rule",
            "items": plain(decide(_facts(case)).readiness),
            "clock": {},
            "clock_sentence": "",
        },
    )


def _decision(case: Case, row: Experiment, iteration: Iteration, now) -> Decision:
    look = Look.objects.create(
        iteration=iteration,
        number=1,
        local_day=now.date(),
        information=1.0,
        last=True,
        state=plain(LookState(now.date(), 1000, ())),
        inputs={},
        taken_at=now,
    )
    arm = row.variants.get(key="Friendly")
    return Decision.objects.create(
        iteration=iteration, look=look, verdict=case.decided, variant=arm, arms=["Friendly"], rule="a rule",
        facts=plain(_facts(case)), made_at=now,
    )  # fmt: skip
