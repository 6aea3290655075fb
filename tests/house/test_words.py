"""A public class name means one thing. Names that still mean several are listed; the list may only
shrink.
"""

from __future__ import annotations

import ast
from collections import Counter

from tests.house.product import ROOT, modules

A_TABLE = "the table of what the core class says, or the core class of what the table keeps"
SEVERAL = {
    "Assignment": A_TABLE,
    "Decision": A_TABLE,
    "ExclusionList": A_TABLE,
    "Experiment": "the table, and the definition in an application that uses the SDK",
    "Look": A_TABLE,
    "Override": A_TABLE,
    "Segment": A_TABLE,
    "Variant": "the table, and the definition in an application that uses the SDK",
    "VariantAnswer": "one answer, as the API sends it and as the SDK reads it",
}
"""Public class names that several modules define, and why each is the right word in all of them. Django
wants every command's class to be ``Command``.
"""
MOST = 20


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
    several = {name for name, count in _defined().items() if count > 1 and name != "Command"}
    assert several == set(SEVERAL)
    assert len(SEVERAL) <= MOST
