"""What the add and edit form sends, read into a specification; judging it is the service's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from experiments.admin.config_form import read_config
from experiments.admin.fields import (
    read_choice,
    read_json,
    read_moment,
    read_number,
    read_thousandths,
    read_usd,
    read_whole,
)
from experiments.admin.gathering import all_at_once, gathered
from experiments.admin.ramp_form import read_ramp
from experiments.core.design.specs import ExperimentSpec, MetricPlan, VariantSpec
from experiments.core.errors import InvalidInput
from experiments.core.library.presets import PRESETS, plans_of
from experiments.core.types import DarkMode, FlagType, MetricRole

MAX_LINES = 40
_THRESHOLD = re.compile(
    r"(?P<metric>[^<>≥≤]++)(?P<op>>=|<=|≥|≤|>|<)\s*+(?P<value>\S++)(?:\s*+(?P<per>%))?\Z"
)


def line_count(data: Mapping[str, str], prefix: str) -> int:
    """How many lines of variants (v) or metrics (m) were sent; capped."""
    text = data.get(f"{prefix}-count", "")
    return min(int(text), MAX_LINES) if text.isascii() and text.isdigit() else 0


def read_variants(data: Mapping[str, str]) -> tuple[VariantSpec, ...]:
    """The variants that were filled in; lines without a name and key are left out."""
    control = data.get("v-control", "")
    filled_in = [
        i
        for i in range(line_count(data, "v"))
        if data.get(f"v-{i}-name", "").strip() or data.get(f"v-{i}-key", "").strip()
    ]
    return tuple(_variant(data, i, is_control=control == str(i)) for i in filled_in)


def _variant(data: Mapping[str, str], i: int, *, is_control: bool) -> VariantSpec:
    def text(name: str) -> str:
        return data.get(f"v-{i}-{name}", "").strip()

    label = f"variant {text('name') or text('key')}"
    return VariantSpec(
        name=text("name") or text("key"),
        key=text("key"),
        description=text("description"),
        weight=read_thousandths(text("weight"), f"v-{i}-weight", f"{label}: share") or 0,
        is_control=is_control,
        config=read_config(data, str(i), label),
        value=read_json(text("value"), f"v-{i}-value", f"{label}: value"),
        model_hash=text("model_hash"),
    )


def read_metrics(data: Mapping[str, str]) -> tuple[MetricPlan, ...]:
    """The planned metrics that were chosen, and the guardrails that ship and were ticked; lines
    without a metric are left out.
    """
    planned = tuple(
        _metric(data, i) for i in range(line_count(data, "m")) if data.get(f"m-{i}-metric", "")
    )
    return (
        *planned,
        *plans_of([preset.key for preset in PRESETS if data.get(f"guard-{preset.key}")], planned),
    )


def _metric(data: Mapping[str, str], i: int) -> MetricPlan:
    def text(name: str) -> str:
        return data.get(f"m-{i}-{name}", "").strip()

    def number(name: str, label: str) -> float | None:
        return read_number(text(name), f"m-{i}-{name}", f"{text('metric')}: {label}")

    guards = text("role") == MetricRole.GUARDRAIL
    return MetricPlan(
        metric=text("metric"),
        role=text("role"),
        baseline=number("baseline", "baseline"),
        baseline_sd=number("baseline_sd", "standard deviation"),
        mde=number("mde", "effect worth finding"),
        mde_kind=text("mde_kind") or "relative",
        required_improvement=number("required_improvement", "least gain wanted") or 0.0,
        margin=number("margin", "margin") if guards else None,
        margin_kind=text("margin_kind") if guards else "",
        rule=text("rule") if guards else "",
        action=text("action") if guards else "",
        covariate=text("covariate"),
        adjusted=text("adjusted") == "yes",
        worth_micro=read_usd(text("worth"), f"m-{i}-worth", f"{text('metric')}: worth"),
    )


@gathered
def read_thresholds(text: str) -> list[dict[str, Any]]:
    """``ndcg@10 >= 0.50`` a line, as the thresholds that the checklist reads."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _THRESHOLD.match(line)
        if match is None:
            raise InvalidInput(
                f"Offline thresholds: “{line}” does not read as metric, ≥ or ≤, value (ndcg@10 >= 0.50).",
                "offline_thresholds",
            )
        value = read_number(
            match["value"].rstrip("%"),
            "offline_thresholds",
            f"Threshold of {match['metric'].strip()}",
        )
        per_cent = match["per"] or match["value"].endswith("%")
        found.append(
            {
                "metric": match["metric"].strip(),
                "op": match["op"].replace("≥", ">=").replace("≤", "<="),
                "value": (value or 0.0) / (100 if per_cent else 1),
            }
        )
    return found


def written_thresholds(thresholds: Any) -> str:
    """Thresholds as the lines that ``read_thresholds`` reads."""
    return "\n".join(f"{t.get('metric')} {t.get('op')} {t.get('value')}" for t in thresholds or [])


def read_breakdowns(text: str) -> list[dict[str, Any]]:
    """``language: de, en`` a line, as breakdowns; whether they are whole the design's rules say."""
    lines = [line.partition(":") for line in filter(None, map(str.strip, text.splitlines()))]
    return [{"name": name.strip(), "values": list(read_tags(values))} for name, _, values in lines]


def written_breakdowns(breakdowns: Any) -> str:
    """Breakdowns as the lines that ``read_breakdowns`` reads."""
    return "\n".join(
        f"{one.get('name')}: {', '.join(one.get('values', []))}" for one in breakdowns or []
    )


def read_common(data: Mapping[str, str]) -> dict[str, Any]:
    """The fields that creating and editing share, by their names on the experiment."""

    def text(name: str) -> str:
        return data.get(name, "").strip()

    return {
        "name": text("name"),
        "description": text("description"),
        "experiment_type": text("experiment_type") or "feature",
        "tags": read_tags(text("tags")),
        "hypothesis": text("hypothesis"),
        "expected_effect": text("expected_effect"),
        "prd_url": text("prd_url"),
        "prd_text": text("prd_text"),
        "unit_type": text("unit_type") or "user",
        "traffic": read_thousandths(text("traffic"), "traffic", "Share of all units") or 0,
        "ramp": read_ramp(text("ramp")),
        "targeting": read_json(text("targeting"), "targeting", "Targeting", empty=[]),
        "dark_mode": text("dark_mode") or DarkMode.SHADOW.value,
        "offline_thresholds": read_thresholds(text("offline_thresholds")),
        "confidence_level": text("confidence_level") or "0.95",
        "power": text("power") or "0.8",
        "min_sample_size": read_whole(text("min_sample_size"), "min_sample_size", "Floor per arm")
        or 0,
        "breakdowns": read_breakdowns(text("breakdowns")),
        "budget_micro": read_usd(text("budget"), "budget", "Budget cap"),
        "size_class": text("size_class"),
        "time_zone": text("time_zone") or "UTC",
        "arrival_grace_seconds": read_whole(
            text("arrival_grace_seconds") or "10", "arrival_grace_seconds", "Arrival grace"
        )
        or 0,
        "arrival_grace_counts": bool(text("arrival_grace_counts")),
        "auto_promote": bool(text("auto_promote")),
        "planned_start": read_moment(text("planned_start"), "planned_start", "Planned start"),
        "planned_end": read_moment(text("planned_end"), "planned_end", "Planned end"),
    }


def read_tags(text: str) -> tuple[str, ...]:
    """Words between commas."""
    return tuple(filter(None, (word.strip() for word in text.split(","))))


def read_spec(data: Mapping[str, str]) -> ExperimentSpec:
    """The whole form as the specification of a new experiment."""
    with all_at_once():
        return ExperimentSpec(
            **read_common(data),
            key=data.get("key", "").strip(),
            flag_key=data.get("flag", "").strip(),
            flag_type=read_choice(
                FlagType,
                data.get("flag_type") or FlagType.OBJECT,
                "flag_type",
                "Type of a new flag",
            ),
            client_visible=bool(data.get("client_visible")),
            policy_key=data.get("policy", ""),
            variants=read_variants(data),
            metrics=read_metrics(data),
        )
