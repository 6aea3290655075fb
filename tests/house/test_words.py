"""A public class name means one thing. Names that still mean several are listed; the list may only
shrink.
"""

from __future__ import annotations

import ast
from collections import Counter

from tests.house.product import ROOT, modules

SEVERAL = {
    "Answer": 2,
    "Answered": 2,
    "Arm": 3,
    "Asked": 5,
    "Assignment": 2,
    "Bar": 2,
    "Batch": 2,
    "Beside": 2,
    "Breakdown": 2,
    "Change": 2,
    "Compared": 2,
    "Condition": 2,
    "Day": 2,
    "Decision": 2,
    "Door": 2,
    "Effect": 2,
    "Estimate": 4,
    "ExclusionList": 2,
    "Experiment": 2,
    "Facts": 3,
    "Fault": 2,
    "Kind": 3,
    "Line": 4,
    "Look": 2,
    "Measured": 2,
    "MetricRow": 2,
    "NullReplay": 2,
    "Override": 2,
    "Pair": 2,
    "Pause": 2,
    "Piece": 2,
    "Plan": 2,
    "Planned": 2,
    "Point": 2,
    "Ramp": 2,
    "Reading": 5,
    "Reason": 2,
    "Report": 2,
    "Role": 2,
    "RolledOut": 2,
    "Row": 2,
    "SampleSize": 2,
    "Scope": 2,
    "Seen": 2,
    "Segment": 4,
    "Serving": 2,
    "Share": 2,
    "Span": 2,
    "Spending": 2,
    "Standing": 4,
    "State": 2,
    "Step": 4,
    "Stop": 3,
    "Subject": 2,
    "Told": 2,
    "Totals": 2,
    "Variant": 2,
    "VariantAnswer": 2,
    "Waiting": 3,
    "Watched": 3,
    "Written": 2,
}
"""Public class names that two or more modules define, and in how many. Django wants every command's
class to be ``Command``.
"""


def _defined() -> Counter[str]:
    """In how many modules each public class name is defined."""
    found: Counter[str] = Counter()
    for path in modules():
        names = {
            node.name
            for node in ast.parse((ROOT / path).read_text()).body
            if isinstance(node, ast.ClassDef)
        }
        found.update(name for name in names if not name.startswith("_"))
    return found


def test_class_names__that_mean_several_things__are_exactly_those_listed() -> None:
    """Whoever gives a new class a name that is taken finds another one; whoever renames one
    shortens the list.
    """
    several = {name: count for name, count in _defined().items() if count > 1 and name != "Command"}
    assert several == SEVERAL
