"""A report of facts and a template: the document, and its verdict as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.ground.nets import Net
from analytics.core.report import results, sections
from analytics.core.report.blocks import Block, Heading, Words
from analytics.core.report.facts import ReportFacts, hidden
from analytics.core.report.figures import words
from analytics.core.report.template import TemplateFault, faults, fill
from analytics.core.report.verdict import Winner, verdict, winner
from experiments.core.figures import moment

BLOCKS: Mapping[str, Callable[[ReportFacts], Sequence[Block]]] = {
    "verdict": verdict,
    "summary": sections.summary,
    "hypothesis": sections.hypothesis,
    "plan": sections.plan,
    "amendments": sections.amendments,
    "results": results.results,
    "guardrails": results.guardrails,
    "health": sections.health,
    "cost": sections.cost,
    "decisions": sections.decisions,
    "notes": sections.notes,
    "methods": sections.methods,
    "versions": sections.versions,
}
"""Places that stand for tables and paragraphs."""
INLINE: Mapping[str, Callable[[ReportFacts], str]] = {
    "title": lambda facts: facts.name,
    "experiment": lambda facts: facts.key,
    "owner": lambda facts: facts.owner,
    "outcome": lambda facts: words(facts.outcome) or "none yet",
    "iteration": lambda facts: f"{facts.iteration}",
    "as_of": lambda facts: moment(facts.as_of),
}
"""Places inside a sentence."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report: its facts, its document, and the winner's numbers (None: nothing was promoted at
    a look).

    ``errors`` are those of sections that could not be written.
    """

    facts: ReportFacts
    template_version: int
    document: tuple[Block, ...]
    winner: Winner | None
    errors: tuple[Exception, ...] = ()

    @property
    def title(self) -> str:
        """The first heading, else the experiment's name."""
        return next(
            (block.text for block in self.document if isinstance(block, Heading)), self.facts.name
        )


def template_faults(text: str) -> tuple[TemplateFault, ...]:
    """What keeps a text from being a report's template; nothing when it is one."""
    return faults(text, tuple(INLINE), tuple(BLOCKS))


def build(facts: ReportFacts, template: str, template_version: int) -> Report:
    """The report. The same facts, template and version give the same report; refuses a text that is
    no template.

    Masking happens here, so that no body can forget it.
    """
    wrong = template_faults(template)
    if wrong:
        raise ImpossiblePlan(
            f"report template, version {template_version}: {'; '.join(map(str, wrong))}"
        )
    facts, net = hidden(facts), Net()
    inline = {
        name: net.hold(name, "word", partial(say, facts), _missing_word)
        for name, say in INLINE.items()
    }
    blocks = {
        name: net.hold(name, "section", partial(make, facts), partial(_missing, name))
        for name, make in BLOCKS.items()
    }
    won = net.hold("winner", "numbers", partial(winner, facts), lambda _: None)
    return Report(facts, template_version, fill(template, inline, blocks), won, tuple(net.errors))


def _missing(name: str, why: str) -> Sequence[Block]:
    """A section that fails says so; the others are written."""
    return (Words(f"This section ({name}) cannot be shown: {why}", "bad"),)


def _missing_word(why: str) -> str:
    return "(cannot be said)"
