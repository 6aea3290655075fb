"""What is known of an import's file and says how far its results can be believed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analytics.core.scans.attrition import Attrition
from analytics.core.scans.findings import Finding

UNTOLD = (
    "; no --weight was given, so equal shares were expected: if the split was planned otherwise,"
    " import the file again under another --key with --weight NAME=W for every variant"
)


@dataclass(frozen=True, slots=True)
class ImportFacts:
    """Kept with the imported iteration. ``shares_told``: a person said which shares were planned;
    ``gaps`` name metrics by key.
    """

    shares_told: bool = True
    gaps: tuple[Attrition, ...] = ()

    @property
    def with_gaps(self) -> frozenset[str]:
        """Keys of metrics that some rows have no value of."""
        return frozenset(gap.metric for gap in self.gaps)

    def of_shares(self, finding: Finding | None) -> Finding | None:
        """A finding about shares, which names --weight where nobody said what was planned."""
        if finding is None or self.shares_told:
            return finding
        return replace(finding, sentence=finding.sentence + UNTOLD)

    def findings(self) -> list[Finding]:
        """Whose values are missing, metric by metric."""
        return [gap.finding() for gap in self.gaps]


NOT_IMPORTED = ImportFacts()
