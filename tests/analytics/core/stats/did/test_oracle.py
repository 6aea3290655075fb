"""Agreement with clubSandwich, estimatr, statsmodels and wildboottest, to the last field of each
case.
"""

from __future__ import annotations

import pytest

from benchmarks.oracle import did
from benchmarks.oracle.checking import Families, check, read_cases
from tests.analytics.core.stats.did.panels import VECTORS

CASES = read_cases(VECTORS / "did_oracle.json")


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_did__case_with_known_answer__agrees(case) -> None:
    verdict = check(case, Families(did.ADAPTERS, did.LEFT_OUT))
    assert verdict.outcome == "passed", str(verdict)
