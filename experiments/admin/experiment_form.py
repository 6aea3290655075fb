"""The add and edit form of a design: its parts with what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from experiments.admin.config_form import config_fields
from experiments.admin.experiment_reading import line_count, written_breakdowns, written_thresholds
from experiments.admin.fields import (
    Field,
    written,
    written_json,
    written_moment,
    written_share,
    written_usd,
)
from experiments.admin.ramp_form import HELP, PLACEHOLDER, written_ramp
from experiments.core.design.specs import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.library.presets import PRESETS
from experiments.core.serving.value_schema import Schema
from experiments.core.types import (
    DarkMode,
    FlagType,
    GuardrailAction,
    GuardrailRule,
    MarginKind,
    MetricRole,
)
from experiments.models import Experiment, ExperimentMetric, Flag, Metric, Policy, Variant

NEW_FLAG = ""
TYPES = (
    "feature",
    "prompt",
    "model",
    "threshold",
    "routing",
    "cache",
    "rag",
    "ranker",
    "agent",
    "ui",
)


@dataclass(frozen=True)
class Section:
    """A part of the form with its heading."""

    title: str
    help: str
    fields: Sequence[Field]
    anchor: str = ""


@dataclass(frozen=True)
class FormRow:
    """One variant or metric: its fields, side by side."""

    index: str
    fields: Sequence[Field]


def _options(values: Any, *, empty: str | None = None) -> list[tuple[str, str]]:
    listed = [(str(value), str(value).replace("_", " ")) for value in values]
    return listed if empty is None else [("", empty), *listed]


def policy_choices(current: str = "") -> list[tuple[str, str]]:
    """Current policies, the default one first."""
    rows = Policy.objects.filter(current=True)
    return [(p.key, f"{p.name}: {p.description}" if p.description else p.name) for p in rows]


def flag_choices() -> list[tuple[str, str]]:
    """A flag of the experiment's own, or one that stands."""
    keys = Flag.objects.values_list("key", "value_type")
    return [
        (NEW_FLAG, "a new flag, named like the experiment"),
        *((key, f"{key} ({kind})") for key, kind in keys),
    ]


def metric_choices() -> list[tuple[str, str]]:
    """The library's current metrics by name."""
    rows = Metric.objects.filter(current=True).order_by("exploratory", "name")
    return [
        ("", "choose a metric…"),
        *(
            (
                m.key,
                f"{m.name} ({m.kind}, {'higher' if m.direction == 'increase' else 'lower'} is better)",
            )
            for m in rows
        ),
    ]


def values_of(experiment: Experiment | None) -> dict[str, str]:
    """What the form starts with: the experiment as it stands, or the defaults of a new one."""
    if experiment is None:
        return {
            "experiment_type": "feature",
            "unit_type": "user",
            "traffic": "100",
            "dark_mode": DarkMode.SHADOW,
            "confidence_level": "0.95",
            "power": "0.8",
            "min_sample_size": "100",
            "time_zone": "UTC",
            "arrival_grace_seconds": "10",
            "flag_type": FlagType.OBJECT,
            "v-count": "2",
            "v-0-name": "Control",
            "v-0-weight": "50",
            "v-control": "0",
            "v-0-config": "{}",
            "v-1-name": "Treatment",
            "v-1-weight": "50",
            "v-1-config": "{}",
            "m-count": "2",
            "m-0-role": MetricRole.PRIMARY,
            "m-0-mde_kind": "relative",
            "m-1-role": MetricRole.GUARDRAIL,
            "m-1-margin_kind": MarginKind.RELATIVE,
            "m-1-rule": GuardrailRule.SAFE,
            "m-1-action": GuardrailAction.STOP,
        }
    own = {
        "policy": experiment.policy.key,
        "flag": experiment.flag_id or "",
        "notes": experiment.notes,
    }
    order = {MetricRole.PRIMARY: 0, MetricRole.GUARDRAIL: 1, MetricRole.SECONDARY: 2}
    plans = sorted(
        experiment.planned_metrics.select_related("metric"),
        key=lambda p: (order[MetricRole(p.role)], p.position, p.pk),
    )
    arms = variant_values(list(experiment.variants.all()))
    return (
        design_values(experiment)
        | own
        | arms
        | metric_values([(plan.metric.key, plan) for plan in plans])
    )


def design_values(e: Experiment | ExperimentSpec) -> dict[str, str]:
    """What an experiment and a spec of one call alike."""
    return {
        "name": e.name,
        "key": e.key,
        "experiment_type": e.experiment_type,
        "description": e.description,
        "tags": ", ".join(e.tags),
        "hypothesis": e.hypothesis,
        "expected_effect": e.expected_effect,
        "prd_url": e.prd_url,
        "prd_text": e.prd_text,
        "unit_type": e.unit_type,
        "traffic": written_share(e.traffic),
        "ramp": written_ramp(e.ramp),
        "targeting": written_json(e.targeting) if e.targeting else "",
        "dark_mode": e.dark_mode,
        "offline_thresholds": written_thresholds(e.offline_thresholds),
        "confidence_level": f"{Decimal(e.confidence_level).normalize():f}",
        "power": f"{Decimal(e.power).normalize():f}",
        "min_sample_size": str(e.min_sample_size),
        "budget": written_usd(e.budget_micro),
        "breakdowns": written_breakdowns(e.breakdowns),
        "size_class": e.size_class,
        "time_zone": e.time_zone,
        "arrival_grace_seconds": str(e.arrival_grace_seconds),
        "arrival_grace_counts": "1" if e.arrival_grace_counts else "",
        "auto_promote": "1" if e.auto_promote else "",
        "planned_start": written_moment(e.planned_start),
        "planned_end": written_moment(e.planned_end),
    }


def variant_values(variants: Sequence[Variant | VariantSpec]) -> dict[str, str]:
    """The arms' lines."""
    found: dict[str, str] = {}
    for i, v in enumerate(variants):
        found |= {
            f"v-{i}-name": v.name,
            f"v-{i}-key": v.key,
            f"v-{i}-weight": written_share(v.weight),
            f"v-{i}-config": written_json(v.config),
            f"v-{i}-value": written_json(v.value),
            f"v-{i}-model_hash": v.model_hash,
            f"v-{i}-description": v.description,
        }
        if v.is_control:
            found["v-control"] = str(i)
    return found | {"v-count": str(len(variants) or 2)}


def metric_values(plans: Sequence[tuple[str, ExperimentMetric | MetricPlan]]) -> dict[str, str]:
    """The planned metrics' lines, each by its metric's key."""
    found: dict[str, str] = {}
    for i, (key, p) in enumerate(plans):
        found |= {
            f"m-{i}-metric": key,
            f"m-{i}-role": p.role,
            f"m-{i}-baseline": written(p.baseline),
            f"m-{i}-baseline_sd": written(p.baseline_sd),
            f"m-{i}-mde": written(p.mde),
            f"m-{i}-mde_kind": p.mde_kind,
            f"m-{i}-required_improvement": written(p.required_improvement or None),
            f"m-{i}-margin": written(p.margin),
            f"m-{i}-margin_kind": p.margin_kind,
            f"m-{i}-rule": p.rule,
            f"m-{i}-action": p.action,
            f"m-{i}-covariate": p.covariate,
            f"m-{i}-adjusted": "yes" if p.adjusted else "",
            f"m-{i}-worth": written_usd(p.worth_micro),
        }
    return found | {"m-count": str(len(plans) or 2)}


_FieldOf = Callable[..., Field]
"""A field by name, label and kind, with what stands in it."""


def sections(data: Mapping[str, str], *, new: bool) -> list[Section]:
    """The form's parts with what stands in them."""

    def f(
        name: str, label: str, kind: str = "text", **more: Any
    ) -> Field:  # Any: whatever a field takes
        return Field(name, label, kind, data.get(name, ""), **more)

    types = dict.fromkeys([*TYPES, data.get("experiment_type") or "feature"])
    return [
        Section(
            "What and why",
            "Say it so that somebody from another team understands it.",
            _identity(f, types, new),
        ),
        Section(
            "PRD",
            "The product requirement: document or link, hypothesis and expected effect.",
            _prd(f),
            "prd",
        ),
        Section("Who gets it", "The flag, the people, the policy.", _audience(f, new), "audience"),
        Section(
            "Guardrails that ship",
            "Tick what the experiment must not harm; saved, each is a metric above that you may change.",
            _shipped(f),
        ),
        Section("Rules and dates", "Defaults that suit most experiments.", _rules(f), "rules"),
    ]


def _identity(f: _FieldOf, types: Iterable[str], new: bool) -> list[Field]:
    """What it is called and what is tested."""
    found = [
        f("name", "Title", required=True, placeholder="Friendlier first message"),
        f(
            "key",
            "Key",
            help="Lower-case letters, digits, dot, dash and underscore. Empty: made from the title. Fixed once saved.",
        )
        if new
        else None,
        f(
            "experiment_type",
            "What is tested",
            "select",
            choices=_options(types),
        ),
        f("description", "Description", "textarea", rows=2, span="wide"),
        f("tags", "Tags", help="Separated by commas."),
    ]
    return [field for field in found if field]


def _prd(f: _FieldOf) -> list[Field]:
    """Why it is worth trying."""
    return [
        f(
            "hypothesis",
            "Hypothesis",
            "textarea",
            rows=2,
            span="wide",
            placeholder="Because … we believe that … will …",
        ),
        f("expected_effect", "Expected effect", placeholder="+4 % bookings within 7 days"),
        f("prd_url", "Link to the PRD", "url", placeholder="https://…"),
        f("prd_text", "…or the PRD itself", "textarea", rows=7, span="wide"),
    ]


def _audience(f: _FieldOf, new: bool) -> list[Field]:
    """Whom it reaches, under which policy."""
    found = [
        f(
            "policy",
            "Policy",
            "select",
            choices=policy_choices(),
            help="What this risk class demands before launch.",
        ),
        f("flag", "Flag", "select", choices=flag_choices(), help="The key your code asks for."),
        f("flag_type", "Type of a new flag", "select", choices=_options(FlagType)) if new else None,
        f("client_visible", "A new flag may be read by client keys", "checkbox") if new else None,
        f("unit_type", "Who is randomised", help="user, session, tenant, visitor, …"),
        f(
            "traffic",
            "Share of all units, in per cent",
            "text",
            help="100 = everybody; one decimal at most.",
        ),
        f("ramp", "Ramp", "textarea", rows=3, placeholder=PLACEHOLDER, help=HELP),
        f(
            "dark_mode",
            "Dark launch",
            "select",
            choices=[
                (DarkMode.SHADOW, "shadow: users see control, the treatment runs unseen"),
                (DarkMode.VISIBLE, "visible: 1 % of units see the treatment"),
            ],
        ),
        f(
            "targeting",
            "Targeting",
            "json",
            rows=2,
            span="wide",
            placeholder='[{"attribute": "country", "op": "in", "value": ["DE"]}]',
            help="Conditions that must all hold. Empty: everybody.",
        ),
    ]
    return [field for field in found if field]


def _shipped(f: _FieldOf) -> list[Field]:
    """One box for each guardrail that ships; what is planned already is not planned twice."""
    return [
        f(f"guard-{preset.key}", preset.name, "checkbox", help=preset.sentence)
        for preset in PRESETS
    ]


def _rules(f: _FieldOf) -> list[Field]:
    """What it must clear, and when."""
    return [
        f(
            "offline_thresholds",
            "Offline thresholds",
            "textarea",
            rows=2,
            span="wide",
            placeholder="ndcg@10 >= 0.50",
            help="One a line: metric, ≥ or ≤, value. AI policies wait for evaluations that clear them.",
        ),
        f("confidence_level", "Confidence level"),
        f("power", "Power"),
        f(
            "min_sample_size",
            "Floor per arm",
            help="Units; beside the planned size, never instead of it.",
        ),
        f(
            "breakdowns",
            "Breakdowns",
            "textarea",
            rows=2,
            span="wide",
            placeholder="language: de, en, fr",
            help="One a line: a covariate known at first exposure, and the values to compare. Declared now, since a segment "
            "chosen after looking is no finding; they decide nothing.",
        ),
        f(
            "budget",
            "Budget cap, USD",
            placeholder="none",
            help="Reached by what its units have cost, everything stops.",
        ),
        f(
            "size_class",
            "Size class",
            "select",
            choices=_options(("small", "medium", "large"), empty="none"),
        ),
        f("time_zone", "Time zone", help="Days and the promotion window are counted in it."),
        f(
            "arrival_grace_seconds",
            "Arrival grace, seconds",
            help="For exposures that clients send without a time: rows so shortly before their arrival do not count as the unit's past.",
        ),
        f("arrival_grace_counts", "Count rows within the arrival grace as outcome", "checkbox"),
        f("planned_start", "Planned start (UTC)", "datetime-local"),
        f("planned_end", "Planned end (UTC)", "datetime-local"),
        f("auto_promote", "Promote the winner by itself when every condition is met", "checkbox"),
    ]


def amendable(data: Mapping[str, str]) -> Section:
    """What may still change after launch: nothing that is judged."""
    fields = [
        Field("name", "Title", value=data.get("name", ""), required=True),
        Field("description", "Description", "textarea", data.get("description", ""), rows=2),
        Field("tags", "Tags", value=data.get("tags", ""), help="Separated by commas."),
        Field("notes", "Notes", "textarea", data.get("notes", "")),
        Field("planned_end", "Planned end (UTC)", "datetime-local", data.get("planned_end", "")),
        Field(
            "reason",
            "Reason",
            "textarea",
            rows=2,
            required=True,
            help="Amendments are badged and kept in the history.",
        ),
    ]
    return Section(
        "What may still change",
        "The design is frozen since the launch; a different design is a new iteration.",
        fields,
    )


def variant_lines(data: Mapping[str, str], schema: Schema) -> list[FormRow]:
    """A line per variant."""
    return [_variant_line(data, str(i), schema) for i in range(line_count(data, "v"))]


def metric_lines(data: Mapping[str, str], choices: list[tuple[str, str]]) -> list[FormRow]:
    """A line per planned metric."""
    return [_metric_line(data, str(i), choices) for i in range(line_count(data, "m"))]


def empty_lines(choices: list[tuple[str, str]], schema: Schema) -> tuple[FormRow, FormRow]:
    """The templates of further lines."""
    guard = {
        "m-__i__-role": MetricRole.GUARDRAIL,
        "m-__i__-margin_kind": MarginKind.RELATIVE,
        "m-__i__-rule": GuardrailRule.SAFE,
        "m-__i__-action": GuardrailAction.STOP,
    }
    return _variant_line({"v-__i__-config": "{}"}, "__i__", schema), _metric_line(
        guard, "__i__", choices
    )


def _variant_line(data: Mapping[str, str], i: str, schema: Schema) -> FormRow:
    def f(name: str, label: str, kind: str = "text", **more: Any) -> Field:
        return Field(f"v-{i}-{name}", label, kind, data.get(f"v-{i}-{name}", ""), **more)

    return FormRow(
        i,
        (
            f("name", "Name", span="s2"),
            f("key", "Key (optional)", span="s2"),
            f("weight", "Share, %", span="s1"),
            *(
                config_fields(schema, data, i)
                if schema.properties
                else [f("config", "Config (JSON)", "json", rows=2, span="s3")]
            ),
            f("value", "Value, if not the config", "json", rows=2, span="s2"),
            f("model_hash", "Model hash", span="s2"),
            f("description", "Description", "hidden"),
        ),
    )


def _metric_line(data: Mapping[str, str], i: str, choices: list[tuple[str, str]]) -> FormRow:
    def f(name: str, label: str, kind: str = "text", **more: Any) -> Field:
        return Field(f"m-{i}-{name}", label, kind, data.get(f"m-{i}-{name}", ""), **more)

    return FormRow(
        i,
        (
            f("metric", "Metric", "select", choices=choices, span="s4"),
            f("role", "Used as", "select", choices=_options(MetricRole), span="s2"),
            f("baseline", "Baseline today", span="s2"),
            f("baseline_sd", "Standard deviation", span="s2"),
            f(
                "action",
                "Guardrail breached",
                "select",
                choices=_options(GuardrailAction, empty="–"),
                span="s2",
            ),
            f("mde", "Effect worth finding", span="s2", placeholder="0.05"),
            f(
                "mde_kind",
                "…meant as",
                "select",
                choices=_options(("relative", "absolute")),
                span="s2",
            ),
            f("required_improvement", "Least gain wanted", span="s2"),
            f("margin", "Guardrail margin", span="s2", placeholder="0.10"),
            f(
                "margin_kind",
                "…meant as",
                "select",
                choices=_options(MarginKind, empty="–"),
                span="s2",
            ),
            f(
                "rule",
                "Promotion needs",
                "select",
                choices=_options(GuardrailRule, empty="policy's rule"),
                span="s2",
            ),
            f(
                "adjusted",
                "Looks decide by",
                "select",
                choices=[("", "raw values"), ("yes", "CUPED")],
                span="s4",
                help="CUPED takes out what was known of each unit before its first exposure; both are shown.",
            ),
            f(
                "covariate",
                "CUPED's covariate",
                span="s4",
                placeholder="own past",
                help="A number known of the unit at its first exposure. Empty: its own past of this metric.",
            ),
            f(
                "worth",
                "One outcome is worth, USD",
                span="s4",
                placeholder="nothing pays for cost",
                help="Of the primary metric. Only with it may a gain pay for a cost beyond its margin.",
            ),
        ),
    )
