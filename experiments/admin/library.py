"""The metric catalogue: read a definition, write its next version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import URLPattern, path, reverse

from analytics.selectors.arriving.seen_events import SeenEvent, seen_events
from experiments.admin import metric_builder
from experiments.admin.base import WorkplaceAdmin, actor_of, may
from experiments.admin.doing import Confirm, confirmed, problems_of
from experiments.admin.fields import (
    Field,
    filled,
    read_choice,
    read_number,
    read_whole,
    reason_field,
    written,
)
from experiments.core.clock import utc_now
from experiments.core.design.metric_definitions import MetricDefinition, problems
from experiments.core.errors import InvalidInput, Problem
from experiments.core.figures import counted
from experiments.core.library.metric_versions import FieldChange, changes
from experiments.core.permissions import Action
from experiments.core.types import Direction, MetricKind
from experiments.models import ExperimentMetric, Metric
from experiments.selectors.metrics import definition_of
from experiments.services.library import metrics


class CurrentFilter(admin.SimpleListFilter):
    """Old versions stay for the iterations that froze them; the list shows the current ones."""

    title = "version"
    parameter_name = "version"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", "every version")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset if self.value() == "all" else queryset.filter(current=True)


@admin.register(Metric)
class MetricAdmin(WorkplaceAdmin):
    """What can be measured; a change makes a new version and never edits an old one."""

    add_right = Action.MANAGE_METRICS
    list_display = (
        "name",
        "key",
        "version",
        "kind",
        "direction",
        "scale",
        "cap",
        "owner",
        "used_by",
        "exploratory",
    )
    list_select_related = ("owner",)
    list_filter = (CurrentFilter, "kind", "exploratory", "shipped")
    search_fields = ("key", "name", "description")

    def get_queryset(self, request: HttpRequest) -> Any:
        uses = (
            ExperimentMetric.objects.filter(metric__key=OuterRef("key"))
            .order_by()
            .values("metric__key")
        )
        return (
            super()
            .get_queryset(request)
            .annotate(
                uses_of_key=Subquery(
                    uses.annotate(n=Count("experiment", distinct=True)).values("n")
                )
            )
        )

    @admin.display(description="used by", ordering="uses_of_key")
    def used_by(self, metric: Any) -> str:
        """How many experiments plan any version of it. Any: a row with the count annotated."""
        many = metric.uses_of_key or 0
        return counted(many, "experiment")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self.refuse_unless_may_add(request)
        return self._define(request, None)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        metric = _found(object_id)
        uses = ExperimentMetric.objects.filter(metric__key=metric.key).select_related(
            "experiment", "metric"
        )
        context = {
            "title": metric.name,
            "metric": metric,
            "uses": uses.order_by("-experiment__updated_at")[:30],
            "versions": _versions(metric.key),
            "may_define": may(request, Action.MANAGE_METRICS),
        }
        return self.page(request, "admin/assay/metric.html", context)

    def version_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A new version of a definition."""
        self.refuse_unless_may_add(request)
        return self._define(request, _found(str(pk)))

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "<int:pk>/version/",
                self.admin_site.admin_view(self.version_view),
                name="metric_version",
            ),
            *super().get_urls(),
        ]

    def _define(self, request: HttpRequest, metric: Metric | None) -> HttpResponse:
        back = (
            reverse("admin:experiments_metric_change", args=(metric.pk,))
            if metric
            else reverse("admin:experiments_metric_changelist")
        )
        question = f"A new version of {metric.name}" if metric else "A new metric"
        confirm = Confirm(
            question,
            "Save the version" if metric else "Save the metric",
            back,
            fields=_fields(metric, seen_events(utc_now())),
            consequence="nothing. Running experiments keep the version they were launched with.",
            look="Show the last 28 days",
        )
        if request.method == "POST" and request.POST.get("look"):
            return self._preview(request, metric, confirm)

        def work(data: QueryDict) -> str:
            made = metrics.define_metric(
                actor_of(request),
                utc_now(),
                definition=_read(data, metric),
                reason=data.get("reason", "").strip(),
            )
            return f"{made.name} is at version {made.version}."

        return confirmed(self, request, title=question, confirm=confirm, work=work)

    def _preview(
        self, request: HttpRequest, metric: Metric | None, confirm: Confirm
    ) -> HttpResponse:
        """What the definition would have measured of late; nothing is saved."""
        wrong: list[Problem] = []
        try:
            definition = _read(request.POST, metric)
            wrong = problems(definition)
        except InvalidInput as refusal:
            wrong = problems_of(refusal)
        shown = [] if wrong else metric_builder.preview(definition, utc_now())
        again = replace(
            confirm, fields=filled(confirm.fields, request.POST.dict(), wrong), shown=shown
        )
        context = {
            "title": confirm.question,
            "confirm": again,
            **({"problems": wrong, "refusal": "This cannot be measured."} if wrong else {}),
        }
        return self.page(request, "admin/assay/confirm.html", context, status=400 if wrong else 200)


def _found(object_id: str) -> Metric:
    metric = (
        Metric.objects.filter(pk=object_id).first()
        if object_id.isascii() and object_id.isdigit()
        else None
    )
    if metric is None:
        raise Http404("no such metric")
    return metric


def _versions(key: str) -> list[tuple[Metric, tuple[FieldChange, ...]]]:
    """Every version, the newest first, with what it changed of the one before."""
    rows = list(Metric.objects.filter(key=key).order_by("-version"))
    before = [definition_of(row) for row in rows[1:]]
    found = [changes(was, definition_of(row)) for row, was in zip(rows, before, strict=False)]
    return list(zip(rows, [*found, ()], strict=True))


def _options(values: Any) -> list[tuple[str, str]]:
    return [(str(v), str(v)) for v in values]


def _fields(metric: Metric | None, seen: Sequence[SeenEvent]) -> list[Field]:
    m = metric or Metric(
        kind="proportion",
        source="event",
        aggregation="any",
        direction="increase",
        value_field="value",
        lookback_days=14,
    )
    return [
        *(
            []
            if metric
            else [Field("key", "Key", required=True, help="Letters, digits, dash and underscore.")]
        ),
        Field("name", "Name", value=m.name, required=True),
        Field("description", "Description", "textarea", m.description, rows=2),
        Field("kind", "Kind", "select", m.kind, choices=metric_builder.kinds()),
        Field(
            "quantile",
            "Quantile",
            value=written(m.quantile),
            help="Of a quantile (empty: 0.95) or a duration (empty: 0.5).",
        ),
        Field(
            "source",
            "Read from",
            "select",
            m.source,
            choices=[("event", "events"), ("observation", "metric observations of this key")],
        ),
        Field(
            "event_types",
            "Event types",
            value=", ".join(m.event_types),
            help=metric_builder.seen_text(seen),
        ),
        Field(
            "denominator_event_types",
            "Event types below the line",
            value=", ".join(m.denominator_event_types),
            help="Of a ratio.",
        ),
        Field(
            "aggregation",
            "A unit's value is",
            "select",
            m.aggregation,
            choices=_options(("any", "count", "sum", "mean", "max", "last")),
        ),
        Field(
            "value_field", "Of the field", value=m.value_field, help="value, latency_ms, cost_micro"
        ),
        Field(
            "attribution",
            "Counts",
            "select",
            m.attribution or "unit",
            choices=[
                ("unit", "whatever the unit does"),
                ("stamped", "only events stamped with the experiment"),
            ],
        ),
        Field(
            "direction",
            "Better is",
            "select",
            m.direction,
            choices=[(Direction.INCREASE, "higher"), (Direction.DECREASE, "lower")],
        ),
        Field("scale", "Unit of the value", value=m.scale, help="share, 0-5, ms, USD micros, …"),
        Field(
            "cap",
            "Cap",
            value=written(m.cap),
            help="A unit's value above it counts as the cap. Empty: none.",
        ),
        Field(
            "winsorised",
            "Winsorise",
            "select",
            "yes" if m.winsorised else "",
            choices=[("", "no"), ("yes", "at the 99.9 % quantile that the first look finds")],
            help="So that a few huge values do not drown the rest. Means, counts and ratios without a cap; once found, it never moves.",
        ),
        Field(
            "window_hours",
            "Conversion window, hours",
            value=written(m.window_hours),
            help="From first exposure. Empty: until the data cut, and then there is one look, at the planned end.",
        ),
        Field(
            "lookback_days",
            "Look-back for CUPED, days",
            value=written(m.lookback_days),
            help="A unit's own value in the days before its first exposure. 0: its past is not looked at.",
        ),
        reason_field(required=False),
    ]


def _read(data: QueryDict, metric: Metric | None) -> MetricDefinition:
    """What was typed; whether it can be measured is the service's to judge."""
    text = {
        name: data.get(name, "").strip()
        for name in (
            "name",
            "description",
            "value_field",
            "attribution",
            "scale",
            "source",
            "aggregation",
        )
    }
    return MetricDefinition(
        key=metric.key if metric else data.get("key", "").strip(),
        kind=read_choice(MetricKind, data.get("kind", ""), "kind", "Kind"),
        direction=read_choice(Direction, data.get("direction", ""), "direction", "Better is"),
        cap=read_number(data.get("cap", ""), "cap", "Cap"),
        window_hours=read_whole(data.get("window_hours", ""), "window_hours", "Conversion window"),
        lookback_days=read_whole(data.get("lookback_days", ""), "lookback_days", "Look-back") or 0,
        winsorised=data.get("winsorised", "") == "yes",
        quantile=read_number(data.get("quantile", ""), "quantile", "Quantile"),
        event_types=_words(data.get("event_types", "")),
        denominator_event_types=_words(data.get("denominator_event_types", "")),
        **text,  # type: ignore[arg-type]  # literals that the service checks
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (word.strip() for word in text.split(","))))
