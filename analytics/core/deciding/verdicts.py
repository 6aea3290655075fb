"""What was found, as it is stored: the words of a boundary and of a guardrail.

Whoever reads stored runs and decisions needs these values, but none of the statistics that found
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Crossing = Literal["better", "worse"]
Verdict = Literal["breach", "safe", "unknown"]


@dataclass(frozen=True, slots=True)
class GuardrailResult:
    """The verdict, and the numbers behind it.

    ``breach_p`` is Holm-adjusted over guardrails × test arms and held against .05. ``lower`` and
    ``upper`` bound harm beyond the margin (BREACH when lower > 0 in a family of one; SAFE when
    upper < 0 at a look). ``worsening``: proven worse than control, beyond the margin not yet; holds
    a ramp. ``compensated``: the gain pays for the cost (None: cannot say, or not about cost);
    ``proven``: the SPRT's message once it has proven harm.
    """

    key: str
    arm: str
    verdict: Verdict
    breach: bool
    safe_at_look: bool
    safe_p: float | None
    breach_p: float | None
    beyond: float | None
    lower: float | None
    upper: float | None
    worsening: bool
    reason: str
    compensated: bool | None = None
    proven: str = ""
