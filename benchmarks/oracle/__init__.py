"""Answers to other people's test cases: one module per family, collected by ``__main__``.

``ADAPTERS`` of a module turn a case's inputs into a dict of the shape of its expected answer, with
every field that we compute; ``LEFT_OUT`` names the fields (dotted, or ``*`` for the whole method)
that we do not compute, and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Case = dict[str, Any]
"""A case's inputs, or (part of) its expected answer; JSON, hence Any."""
Adapter = Callable[[Case], Case]
