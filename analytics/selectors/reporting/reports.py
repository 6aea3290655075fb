"""Reports, read: what was written, or what would be written now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from analytics.core.report.blocks import Block, Heading, IntervalChart, LooksChart
from analytics.core.report.build import Report, build
from analytics.core.report.writing import as_json, as_markdown
from analytics.models import AnalysisRun, ExperimentReport, ReportTemplate
from analytics.selectors.reporting.finished import good_runs
from analytics.selectors.reporting.report_facts import facts_of, is_final
from experiments.core.errors import NotFound, NotInstalled
from experiments.drawing import geometry
from experiments.models import Experiment

SHIPPED = "reports/report.md"
FORMATS = ("html", "md", "json", "pdf")
PDF_WANTED = (
    "a PDF needs WeasyPrint, which is not installed here: "
    "install Assay with its extra “pdf”, or ask for html and print it from a browser"
)


@dataclass(frozen=True)
class TemplateText:
    """The text in force and its version; ``row`` None: it is the shipped one, and no report was
    written by it yet.
    """

    version: int
    text: str
    row: ReportTemplate | None


@dataclass(frozen=True)
class WrittenReport:
    """A report's bodies; ``stored``: these very bytes are kept, and asking again gives them
    again.
    """

    title: str
    html: str
    markdown: str
    json: str
    final: bool
    stored: bool

    @property
    def sha256(self) -> str:
        """Of the three bodies, each ended by a NUL."""
        whole = "".join(f"{body}\0" for body in (self.html, self.markdown, self.json))
        return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Part:
    """A block with what the page needs to draw it: its kind, and of a chart its geometry."""

    kind: str
    block: Block
    chart: Any = None


def shipped_text() -> str:
    """The template that comes with the platform."""
    return (Path(settings.PROJECT) / "templates" / SHIPPED).read_text(encoding="utf-8")


def template_in_force() -> TemplateText:
    """The newest version, unless it is a shipped one and a newer one has been shipped since."""
    newest = ReportTemplate.objects.order_by("-version").first()
    text = shipped_text()
    if newest is None:
        return TemplateText(1, text, None)
    if newest.shipped and newest.text != text:
        return TemplateText(newest.version + 1, text, None)
    return TemplateText(newest.version, newest.text, newest)


def written(report: Report, *, stored: bool = False) -> WrittenReport:
    """The bodies of a report."""
    return WrittenReport(
        report.title,
        as_html(report),
        as_markdown(report),
        as_json(report),
        report.facts.final,
        stored,
    )


def as_html(report: Report) -> str:
    """One page that needs nothing else: its own styles, drawings as SVG, no scripts."""
    parts = [Part(type(block).__name__, block, _geometry(block)) for block in report.document]
    contents = [
        (n, p.block.text)
        for n, p in enumerate(parts)
        if isinstance(p.block, Heading) and p.block.level == 2
    ]
    context = {"report": report, "facts": report.facts, "parts": parts, "contents": contents}
    lines = (line.strip() for line in render_to_string("reports/report.html", context).splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def _geometry(block: Block) -> Any:
    if isinstance(block, IntervalChart):
        shown = [
            geometry.DrawnEstimate(e.label, e.value, e.low, e.high, e.tone, block.margin)
            for e in block.estimates
        ]
        return geometry.intervals(shown, points=block.share)
    if isinstance(block, LooksChart):
        return geometry.looks(
            [(name, [(p.t, p.z, p.boundary) for p in path]) for name, path in block.paths]
        )
    return None


def latest_run(experiment: Experiment) -> AnalysisRun | None:
    """The newest good run of the newest iteration that has one."""
    return good_runs().filter(experiment=experiment).order_by("-iteration__number").first()


def report_of(experiment: Experiment) -> WrittenReport:
    """The stored report of the newest run; before it is written, what would be. Refuses where
    nothing was analysed yet.
    """
    run = latest_run(experiment)
    if run is None:
        raise NotFound(f"{experiment.key}: nothing was analysed yet, so there is nothing to report")
    row = stored_for(run) if is_final(run) else None
    return from_row(row) if row is not None else written(compose(run))


def compose(run: AnalysisRun) -> Report:
    """The report of a run by the template in force."""
    template = template_in_force()
    return build(facts_of(run), template.text, template.version)


def stored_for(run: AnalysisRun) -> ExperimentReport | None:
    """The newest report of a run: the one after its promotion's holdback, once there is one."""
    return ExperimentReport.objects.filter(run=run).order_by("-after", "-template__version").first()


def from_row(row: ExperimentReport) -> WrittenReport:
    """What was stored, as it was."""
    return WrittenReport(
        row.experiment.name, row.html, row.markdown, row.json, final=True, stored=True
    )


def body_of(report: WrittenReport, kind: str) -> str | bytes:
    """A report in one of ``FORMATS``."""
    if kind == "pdf":
        return as_pdf(report.html)
    return {"html": report.html, "md": report.markdown, "json": report.json}[kind]


def as_pdf(html: str) -> bytes:
    """The page as PDF, where the optional WeasyPrint is installed; it may fetch nothing."""
    if find_spec("weasyprint") is None:
        raise NotInstalled(PDF_WANTED, "format")
    pdf: bytes = import_module("weasyprint").HTML(string=html, url_fetcher=_nothing).write_pdf()
    return pdf


def _nothing(url: str, *args: object, **named: object) -> dict[str, object]:
    raise ValueError(f"a report needs nothing from elsewhere, and this asks for {url[:80]}")
