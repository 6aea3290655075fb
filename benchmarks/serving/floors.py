"""A measured number beside what it must reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Floor:
    """``least``: the number must be at least ``wanted``, else at most; ``form`` writes both."""

    what: str
    found: float
    wanted: float
    least: bool = True
    form: str = "{:.2f}"
    note: str = ""

    @property
    def met(self) -> bool:
        return self.found >= self.wanted if self.least else self.found <= self.wanted

    def __str__(self) -> str:
        found, wanted = (
            self.form.format(self.found),
            ("≥ " if self.least else "≤ ") + self.form.format(self.wanted),
        )
        return f"{self.what:<66}{found:>12}  {wanted:>12}  {'ok' if self.met else 'BELOW':<6} {self.note}".rstrip()


def table(floors: Iterable[Floor]) -> str:
    """One line a floor, under a head."""
    return "\n".join([f"{'measure':<66}{'found':>12}  {'floor':>12}", *map(str, floors)])
