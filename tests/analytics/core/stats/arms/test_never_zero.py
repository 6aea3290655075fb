"""No p is 0, however far the evidence goes: neither as a number nor in words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from analytics.core.ground.encoding import plain, restored
from analytics.core.ground.totals import Totals
from analytics.core.results import AlwaysValid, always_valid
from analytics.core.stats.arms.batch import ManyTotals, many_means, many_rates
from analytics.core.stats.arms.comparison import Comparison, Interval
from analytics.core.stats.arms.cuped import Covaried, compare_adjusted
from analytics.core.stats.arms.mean import compare_means
from analytics.core.stats.arms.proportion import compare_proportions
from analytics.core.stats.exploring.interactions import Pair, interaction
from analytics.core.stats.exploring.omnibus import compare_all
from analytics.core.stats.exploring.segments import heterogeneity
from analytics.core.stats.intervals import anytime
from analytics.core.stats.multiplicity import benjamini_hochberg, holm
from analytics.core.stats.srm import check_shares
from experiments.core.figures import SMALLEST_P, p_is, p_is_short, p_said, p_short, p_value
from tests.places import ROOT

RNG = np.random.default_rng(1)
FEW, MANY = Totals.of_rate(100, 1_000_000), Totals.of_rate(900_000, 1_000_000)
LOW, HIGH = (
    Totals.of_values(level + RNG.standard_normal(5000), RNG.standard_normal(5000))
    for level in (0, 500)
)


def every_p() -> dict[str, float | None]:
    compared = compare_means(LOW, HIGH)
    cells = {(a, b): HIGH if a == b == "t" else LOW for a in "ct" for b in "ct"}
    return {
        "mean": compared.p,
        "rate": compare_proportions(FEW, MANY).p,
        "score": compare_proportions(FEW, MANY).score_p,
        "CUPED": compare_adjusted(Covaried(LOW), Covaried(HIGH)).p,
        "all arms": compare_all([FEW, MANY, FEW]).p,
        "shares": check_shares([900_000, 100], [1, 1]).p,
        "always": anytime.p_value(500.0, 0.02, 10_000, 0.05, 5000),
        "always, one-sided": anytime.upper_p_value(500.0, 0.02, 10_000, 0.05, 5000),
        "interaction": interaction(Pair("a", "b", ("c", "c"), cells)).p,
        "segments": heterogeneity([0.0, 500.0], [1e-4, 1e-4]).p,
        "bulk means": float(many_means(ManyTotals.of([LOW]), ManyTotals.of([HIGH])).p[0]),
        "bulk rates": float(many_rates(ManyTotals.of([FEW]), ManyTotals.of([MANY])).p[0]),
        "Holm": holm([compared.p, 0.5])[0],
        "Benjamini–Hochberg": benjamini_hochberg([compared.p, 0.5])[0],
    }


@pytest.mark.parametrize("name", every_p())
def test_p__of_a_huge_difference__is_the_smallest_number_and_not_0(name: str) -> None:
    p = every_p()[name]
    assert p is not None and SMALLEST_P <= p < 1e-200


def test_p__stored_as_0_by_an_older_version__is_read_as_the_smallest_number() -> None:
    old = plain(Comparison("Welch", 10, 10)) | {"p": 0.0, "score_p": 0.0}
    assert restored(old, Comparison).p == restored(old, Comparison).score_p == SMALLEST_P
    before = restored({"interval": {"low": 0.0, "high": 1.0, "level": 0.95}, "p": 0.0}, AlwaysValid)
    now = always_valid(
        compare_means(LOW, HIGH), 0.05, 5000, AlwaysValid(Interval(0.0, 1.0, 0.95), 0.0)
    )
    assert before.p == SMALLEST_P and now is not None and now.p == SMALLEST_P


def test_p__in_words__is_never_0() -> None:
    assert (p_is(SMALLEST_P), p_is(0.0), p_is(0.0123)) == ("p < 1e-300", "p < 1e-300", "p = 0.012")
    assert (p_short(0.0), p_is_short(0.0), p_is_short(0.0123)) == (
        "< 1e-300",
        "p < 1e-300",
        "p = .012",
    )
    assert (p_value(0.0), p_said(0.0), p_said(0.0123)) == ("< 0.0001", "p < 0.0001", "p = 0.0123")


def test_p__is_written_by_one_module_alone() -> None:
    places = [*ROOT.glob("analytics/**/*.py"), *ROOT.glob("experiments/**/*.py")]
    spelled = re.compile(r"\bp = \{")
    written = [
        path.name
        for path in places
        if spelled.search(path.read_text()) and path.name != "figures.py"
    ]
    templates = [
        path.name for path in ROOT.glob("templates/**/*.html") if spelled.search(path.read_text())
    ]
    assert written + templates == []
