"""Holds a file of cases with known answers against the families' adapters, leaf by leaf.

A leaf is a number, a text, a truth value or null; "inf" and "-inf" stand for infinities. Every leaf
of a case's expected answer must be answered by the method's adapter or left out with a reason. What
an adapter answers beyond that is ignored.
"""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks import oracle
from benchmarks.oracle import Adapter, Case

Outcome = Literal["passed", "failed", "unsupported"]
TOLERANCE = {"rtol": 1e-9, "atol": 1e-12}
"""For a case that states none."""
MACHINERY = ("__main__", "checking")


class UnreadableCases(ValueError):
    """A file that is not of the cases' format."""


class AdapterClash(ValueError):
    """Two families answer or leave out the same field of one method."""


@dataclass(frozen=True, slots=True)
class Families:
    """All methods answered, and what of them is left out: method → {dotted field or "*":
    reason}.
    """

    adapters: Mapping[str, Adapter]
    left_out: Mapping[str, Mapping[str, str]]

    def reason(self, method: str, field: str = "*") -> str | None:
        """Why a field, or something it is part of, is left out; None when it is not."""
        reasons = self.left_out.get(method, {})
        parts = field.replace("[", ".[").split(".")
        names = [".".join(parts[: k + 1]).replace(".[", "[") for k in range(len(parts))]
        return next((reasons[name] for name in ["*", *names] if name in reasons), None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one case; ``details`` name each failing field, or the reason for not computing
    it at all.
    """

    id: str
    method: str
    outcome: Outcome
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.outcome.upper()} {self.id}: {'; '.join(self.details)}"


def families() -> Families:
    """The adapters of all family modules beside this one."""
    names = [
        found.name for found in pkgutil.iter_modules(oracle.__path__) if found.name not in MACHINERY
    ]
    modules = [importlib.import_module(f"{oracle.__name__}.{name}") for name in names]
    return collect(
        (name, getattr(m, "ADAPTERS", {}), getattr(m, "LEFT_OUT", {}))
        for name, m in zip(names, modules, strict=True)
    )


def collect(
    parts: Iterable[tuple[str, Mapping[str, Adapter], Mapping[str, Mapping[str, str]]]],
) -> Families:
    """Families' (name, adapters, left out) as one; refuses two answers to one method."""
    adapters: dict[str, Adapter] = {}
    left_out: dict[str, dict[str, str]] = {}
    for name, answered, omitted in parts:
        _add(adapters, answered, name)
        for method, reasons in omitted.items():
            _add(left_out.setdefault(method, {}), reasons, f"{name}, {method}")
    contradicted = sorted(
        method for method, reasons in left_out.items() if "*" in reasons and method in adapters
    )
    if contradicted:
        raise AdapterClash(f"both answered and left out altogether: {', '.join(contradicted)}")
    return Families(adapters, left_out)


def read_cases(path: Path) -> list[Case]:
    """The cases of a file; refuses what is not {"cases": [{id, method, inputs, expected, …}]}."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableCases(f"{path}: {error}") from error
    cases = document.get("cases") if isinstance(document, dict) else None
    if not isinstance(cases, list):
        raise UnreadableCases(
            f'{path}: wanted {{"cases": [...]}}, found {type(document).__name__} without a list of cases'
        )
    for number, case in enumerate(cases):
        missing = [
            key
            for key in ("id", "method", "inputs", "expected")
            if not isinstance(case, dict) or key not in case
        ]
        if (
            missing
            or not isinstance(case["expected"], dict)
            or not isinstance(case["inputs"], dict)
        ):
            raise UnreadableCases(
                f"{path}: case {number} wants id, method, inputs and expected (objects both), found {str(case)[:80]}"
            )
    return cases


def check(case: Case, known: Families) -> Verdict:
    """One case: passed, failed (with what was found and expected) or unsupported (with the
    reason).
    """
    name, method = str(case["id"]), str(case["method"])
    adapter = known.adapters.get(method)
    if adapter is None:
        return Verdict(
            name, method, "unsupported", (known.reason(method) or f"nobody answers {method}",)
        )
    try:
        found = adapter(case["inputs"])
    except Exception as error:  # noqa: BLE001 – whatever an adapter stumbles over is that case's failure, and is printed
        return Verdict(name, method, "failed", (f"{type(error).__name__}: {error}",))
    tolerance = {**TOLERANCE, **case.get("tolerance", {})}
    wrong, answered = [], 0
    for field, expected in leaves(case["expected"]):
        if known.reason(method, field) is not None:
            continue
        answered += 1
        problem = _problem(_at(found, field), expected, tolerance)
        if problem is not None:
            wrong.append(f"{field} {problem}")
    if wrong:
        return Verdict(name, method, "failed", tuple(wrong))
    if not answered:
        return Verdict(name, method, "unsupported", ("every field of it is left out",))
    return Verdict(name, method, "passed")


def leaves(expected: Any, field: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted field, value) of every leaf; items of lists are field[0], field[1] …, an empty list
    is a leaf.
    """
    if isinstance(expected, dict):
        for key, value in expected.items():
            yield from leaves(value, f"{field}.{key}" if field else str(key))
    elif isinstance(expected, list) and expected:
        yield f"{field}[]", len(expected)
        for k, value in enumerate(expected):
            yield from leaves(value, f"{field}[{k}]")
    else:
        yield field, expected


MISSING = object()
"""What an adapter has not answered."""


def _at(found: Any, field: str) -> Any:
    """The answer at a dotted field; a list's length at field[]."""
    for part in field.replace("[", ".[").split("."):
        if part == "[]":
            found = len(found) if isinstance(found, list | tuple) else MISSING
        elif part.startswith("["):
            k = int(part[1:-1])
            found = found[k] if isinstance(found, list | tuple) and k < len(found) else MISSING
        else:
            found = found[part] if isinstance(found, Mapping) and part in found else MISSING
    return found


def _problem(found: Any, expected: Any, tolerance: Mapping[str, float]) -> str | None:
    """What is wrong with a leaf, or None."""
    if found is MISSING:
        return f"not answered, expected {expected!r}"
    want, have = _number(expected), _number(found)
    if want is None or have is None:
        same = found == expected and (found is None) == (expected is None)
    elif math.isfinite(want) and math.isfinite(have):
        same = abs(have - want) <= tolerance["atol"] + tolerance["rtol"] * abs(want)
    else:
        same = have == want or (math.isnan(have) and math.isnan(want))
    return None if same else f"found {found!r}, expected {expected!r}"


def _number(value: Any) -> float | None:
    """A leaf as a number; "inf", "-inf" and "nan" are numbers, truth values and null are not."""
    if isinstance(value, str) and value.strip().lower() in (
        "inf",
        "-inf",
        "+inf",
        "infinity",
        "-infinity",
        "nan",
    ):
        return float(value)
    if value is None or isinstance(value, bool | str | list | tuple | dict):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _add(into: dict[str, Any], more: Mapping[str, Any], where: str) -> None:
    twice = sorted(set(into) & set(more))
    if twice:
        raise AdapterClash(f"{where}: already given by another family: {', '.join(twice)}")
    into.update(more)
