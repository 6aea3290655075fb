"""How many units does it take? For an experiment's plan, or for numbers on the command line. Stores nothing.

    manage.py sample_size matching_rerank_v1 --units-per-day 3000
    manage.py sample_size --kind proportion --baseline .75 --effect .05
    manage.py sample_size --kind mean --baseline 12 --sd 30 --effect .1 --relative --arms 3 --shares 50,25,25 \\
        --guardrail complaints:relative:.15:base=.003 --units-per-day 1000 --weeks 4

A guardrail is NAME:KIND:MARGIN, KIND one of points, relative, ms, money; then what is known of it:
base=, sd=, kind= (proportion, mean, count, ratio, quantile), better=increase, window= (hours),
correlation=, and no_breach when it must only not be breached.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.core.planner import MetricSize, SizePlan, words
from analytics.readings.sizing import MetricAsked, SizingAnswer, SizingQuestion, document, size
from analytics.services.planning.planning import experiment_plan
from experiments.core.clock import utc_now
from experiments.core.errors import AssayError, InvalidInput
from experiments.selectors.experiments import resolve

NUMBERS = (
    "baseline",
    "sd",
    "effect",
    "units_per_day",
    "alpha",
    "power",
    "correlation",
    "design_effect",
    "window_hours",
    "share",
)
WHOLE = ("arms", "weeks", "clock_weeks", "looks")
WITH_EXPERIMENT = ("units_per_day", "weeks")
"""What may be said beside an experiment's key; the rest stands in its plan."""
KNOWN = {
    "base": "baseline",
    "sd": "sd",
    "window": "window_hours",
    "correlation": "correlation",
    "design": "design_effect",
}


class Command(BaseCommand):
    help = "How many units, how many weeks, and what is within reach: for an experiment's plan or for numbers given here."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        if getattr(self, "_called_from_command_line", False):
            parser.error = _refuse  # type: ignore[method-assign]  # a wrong option is one line and exit 1, like any other wrong input
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        # Numbers come as text, so that every refusal is made in one place and in one line.
        parser.add_argument(
            "key", nargs="?", help="an experiment's key, name, id or UUID; its plan says the rest"
        )
        parser.add_argument(
            "--metric",
            metavar="NAME",
            help="a known metric's key takes its definition and its last 28 days; or any name",
        )
        parser.add_argument(
            "--kind",
            metavar="KIND",
            help="proportion, mean, count, ratio, quantile or duration; default: proportion",
        )
        parser.add_argument("--baseline", metavar="X", help="today's rate, mean, ratio or quantile")
        parser.add_argument(
            "--sd", metavar="X", help="one unit's standard deviation (not of a proportion)"
        )
        parser.add_argument(
            "--effect",
            metavar="X",
            help="the smallest effect worth finding, in the metric's units; .05 of a rate = 5 p.p., -.05 is a fall",
        )
        parser.add_argument(
            "--relative",
            action="store_true",
            help="--effect is a share of the baseline: .05 = 5 %%",
        )
        parser.add_argument(
            "--direction",
            metavar="WAY",
            help="increase or decrease: which way is better; default: the effect's sign",
        )
        parser.add_argument(
            "--arms", metavar="N", help="how many arms, control among them; default: 2"
        )
        parser.add_argument(
            "--shares", metavar="50,50", help="the arms' shares, control first; default: equal"
        )
        parser.add_argument("--alpha", metavar="X", help="two-sided, over all arms; default: .05")
        parser.add_argument("--power", metavar="X", help="default: .8")
        parser.add_argument(
            "--correlation",
            metavar="RHO",
            help="of the metric with its covariate (CUPED); default: 0",
        )
        parser.add_argument(
            "--design-effect",
            metavar="X",
            help="loss from clustered units, 1 + (m - 1) x ICC; default: 1",
        )
        parser.add_argument("--looks", metavar="N", help="how many looks may decide; default: 1")
        parser.add_argument("--window-hours", metavar="H", help="the metric's conversion window")
        parser.add_argument("--units-per-day", metavar="N", help="new units a day")
        parser.add_argument(
            "--share", metavar="X", help="the part of all units that takes part; default: 1"
        )
        parser.add_argument("--unit-type", metavar="TYPE", help="whose past is read; default: user")
        parser.add_argument("--weeks", metavar="N", help="how long it may take")
        parser.add_argument("--clock-weeks", metavar="N", help="how long it must take; default: 1")
        parser.add_argument(
            "--guardrail",
            action="extend",
            nargs="+",
            default=[],
            metavar="NAME:KIND:MARGIN[:base=X]",
            help="see the top of this command",
        )
        parser.add_argument("--json", action="store_true", help="the whole plan as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer = answered(options)
        except AssayError as refusal:
            raise CommandError(_one_line(refusal)) from refusal
        if options["json"]:
            self.stdout.write(json.dumps(document(answer), indent=2, ensure_ascii=False))
        else:
            self.stdout.write("\n".join(lines_of(answer)))


def answered(options: dict[str, Any]) -> SizingAnswer:
    """The plan of an experiment, or of the numbers given."""
    numbers = {name: number_of(options[name], name) for name in NUMBERS}
    whole = {name: whole_of(options[name], name) for name in WHOLE}
    if options["key"] is None:
        return size(asked_of(options, numbers, whole), utc_now())
    _refuse_beside_a_key(options)
    return experiment_plan(
        resolve(options["key"]),
        utc_now(),
        units_per_day=numbers["units_per_day"],
        weeks=whole["weeks"],
    )


def asked_of(
    options: dict[str, Any], numbers: dict[str, float | None], whole: dict[str, int | None]
) -> SizingQuestion:
    """The question that the options put."""
    if (
        options["metric"] is None
        and numbers["baseline"] is None
        and numbers["sd"] is None
        and not options["guardrail"]
    ):
        raise InvalidInput(
            "name an experiment, or say --kind, --baseline and --effect (sample_size --help)"
        )
    metrics = [guardrail_of(text) for text in options["guardrail"]]
    if (
        options["metric"] is not None
        or numbers["baseline"] is not None
        or numbers["sd"] is not None
    ):
        metrics.insert(0, _primary(options, numbers))
    said: dict[str, Any] = numbers | whole  # Any: as Asked has them, whole or not
    given = {
        name: said[name]
        for name in ("alpha", "power", "looks", "share", "clock_weeks")
        if said[name] is not None
    }
    return SizingQuestion(
        metrics=tuple(metrics),
        shares=shares_of(options["shares"], whole["arms"]),
        units_per_day=numbers["units_per_day"],
        weeks=whole["weeks"],
        unit_type=options["unit_type"] or "user",
        **given,
    )


def _primary(options: dict[str, Any], numbers: dict[str, float | None]) -> MetricAsked:
    if numbers["effect"] is None:
        raise InvalidInput("--effect: say the smallest effect worth finding")
    return MetricAsked(
        metric=options["metric"] or options["kind"] or "proportion",
        kind=options["kind"],
        direction=options["direction"],
        baseline=numbers["baseline"],
        sd=numbers["sd"],
        effect=numbers["effect"],
        effect_kind="relative" if options["relative"] else "absolute",
        window_hours=numbers["window_hours"],
        correlation=numbers["correlation"] or 0.0,
        design_effect=1.0 if numbers["design_effect"] is None else numbers["design_effect"],
    )


def guardrail_of(text: str) -> MetricAsked:
    """A guardrail from NAME:KIND:MARGIN and what follows."""
    name, *rest = text.split(":")
    if len(rest) < 2 or not name:
        raise InvalidInput(
            f"--guardrail {text[:80]!r}: expected NAME:KIND:MARGIN, like complaints:relative:.15:base=.003"
        )
    known: dict[str, Any] = {}
    for part in rest[2:]:
        word, _, value = part.partition("=")
        if word in KNOWN:
            known[KNOWN[word]] = number_of(value, f"guardrail {name}, {word}")
        elif word in ("kind", "better"):
            known["direction" if word == "better" else "kind"] = value
        elif part == "no_breach":
            known["required"] = False
        else:
            raise InvalidInput(
                f"--guardrail {name}: {part[:40]!r} is none of {', '.join(KNOWN)}, kind, better and no_breach"
            )
    margin = number_of(rest[1], f"guardrail {name}, margin")
    return MetricAsked(metric=name, role="guardrail", margin=margin, margin_kind=rest[0], **known)


def shares_of(text: str | None, arms: int | None) -> tuple[float, ...]:
    """The arms' weights, control first."""
    if text is None:
        if arms is not None and not 2 <= arms <= 20:
            raise InvalidInput(f"--arms: 2 to 20, found {arms}")
        return (1.0,) * (arms or 2)
    shares = tuple(number_of(part, "shares") or 0.0 for part in text.split(","))
    if arms is not None and arms != len(shares):
        raise InvalidInput(f"--shares: {len(shares)} shares for {arms} arms")
    return shares


def number_of(text: str | float | None, name: str) -> float | None:
    """A finite number, or a refusal naming the option."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidInput(
            f"--{name.replace('_', '-')}: expected a number, found {str(text)[:40]!r}"
        )
    return value


def whole_of(text: str | int | None, name: str) -> int | None:
    """A whole number, or a refusal naming the option."""
    value = number_of(text, name)
    if value is not None and (not value.is_integer() or abs(value) > 1e9):
        raise InvalidInput(
            f"--{name.replace('_', '-')}: expected a whole number, found {str(text)[:40]!r}"
        )
    return None if value is None else int(value)


def lines_of(answer: SizingAnswer) -> list[str]:
    """The plan as a person reads it."""
    plan = answer.plan
    lines = [_headline(plan), ""]
    head = f"  {'metric':<24}{'control':>12}{'each test':>12}{'power':>8}{'weeks':>7}  answers"
    lines += [head, *(_row(row) for row in plan.rows)]
    lines += ["", *(line for row in plan.rows for line in _beside(row))]
    lines += [line for line in (plan.joint, *plan.advice) if line]
    return [*lines, *(f"read from the past: {source}" for source in answer.sources)]


def _headline(plan: SizePlan) -> str:
    each = " / ".join(f"{units:,}" for units in plan.arms[1:])
    several = len(plan.arms) > 2
    lasts = "no traffic given, so no duration"
    if plan.weeks is not None:
        lasts = f"{words.weeks(plan.weeks)} at {words.number(plan.units_per_day or 0.0)} units a day (bound by the {plan.bound_by})"
    looked = "one look, at the end" if plan.looks == 1 else f"{plan.looks} looks"
    return (
        f"{plan.control:,} units in control, {each} in the test arm{'s' if several else ''}; {plan.total:,} in all"
        f" (set by {plan.decided_by}; {looked}); {lasts}"
    )


def _row(row: MetricSize) -> str:
    control, each = (
        ("-", "-") if row.size is None else (f"{row.size.control:,}", f"{row.size.treatment:,}")
    )
    chance = "-" if row.power is None else words.chance(row.power)
    lasts = "-" if row.weeks is None else f"{row.weeks:,}"
    late = "  OUT OF REACH" if row.within_reach is False and row.size is not None else ""
    return f"  {row.key[:23]:<24}{control:>12}{each:>12}{chance:>8}{lasts:>7}  {row.question}{late}"


def _beside(row: MetricSize) -> list[str]:
    """What stands beside a metric's size."""
    return [f"{row.key}: {line}" for line in (row.note, *row.beside) if line]


def _refuse_beside_a_key(options: dict[str, Any]) -> None:
    said = [
        name
        for name in (*NUMBERS, *WHOLE, "metric", "kind", "direction", "shares", "unit_type")
        if options[name] is not None
    ]
    other = [name for name in said if name not in WITH_EXPERIMENT]
    other += [name for name in ("relative", "guardrail") if options[name]]
    if other:
        raise InvalidInput(
            f"--{other[0].replace('_', '-')}: stands in the plan of {options['key']}; leave it out, or leave out the key"
        )


def _one_line(refusal: AssayError) -> str:
    """The refusal with each of its problems."""
    parts = [refusal.message, *(problem.message for problem in refusal.problems)]
    return "; ".join(" ".join(part.split()) for part in parts)


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"sample_size: {message}\n")
    raise SystemExit(1)
