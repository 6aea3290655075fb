"""Ratios, quantiles and clusters of imported files, held against the same in numpy and
statsmodels.
"""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
import statsmodels.api as sm
from django.core.management import CommandError

from analytics.models import Assignment
from analytics.selectors.results import ComparisonView, MetricRow, view_of
from analytics.selectors.significance import latest_run
from analytics.services.analysis.analysis import analyse
from experiments.core.clock import utc_now
from experiments.models import Experiment
from tests.places import ROOT

pytestmark = pytest.mark.django_db
DATA = ROOT.parent / "shared" / "data"
RNG = np.random.default_rng(20261130)


def metric(name: str) -> MetricRow:
    experiment = Experiment.objects.get(key="trial")
    analyse(experiment.pk, now=utc_now())
    return next(row for row in view_of(latest_run(experiment)).metrics if row.key == name)


def comparison(name: str) -> ComparisonView:
    return metric(name).comparisons[0]


def half_width(found: ComparisonView) -> float:
    assert found.low is not None and found.high is not None
    return (found.high - found.low) / 2


def test_ratio_of_two_columns__is_their_sums_with_the_delta_method(bring) -> None:
    arm = np.arange(600) % 2
    sales = RNG.gamma(2.0, 10.0, 600)
    profit = sales * (0.2 + 0.05 * arm) + RNG.normal(0, 1, 600)
    rows = [
        f"{'AB'[a]},{p!r},{s!r}"
        for a, p, s in zip(arm, profit.tolist(), sales.tolist(), strict=True)
    ]
    bring("arm,profit,sales\n" + "\n".join(rows), "--metric", "margin=profit/sales:ratio")
    found = comparison("margin")
    ratio = [profit[arm == a].sum() / sales[arm == a].sum() for a in (0, 1)]
    errors = [
        (profit[arm == a] - ratio[a] * sales[arm == a]).std(ddof=1)
        / sales[arm == a].mean()
        / math.sqrt(300)
        for a in (0, 1)
    ]
    assert found.control_mean == pytest.approx(ratio[0]) and found.mean == pytest.approx(ratio[1])
    assert half_width(found) == pytest.approx(1.96 * math.hypot(*errors), rel=0.01)


def test_quantile_of_a_column__is_the_columns_quantile_at_the_level_that_was_said(bring) -> None:
    seconds = np.round(RNG.lognormal(0, 1, 4000), 3)
    arm = np.arange(4000) % 2
    rows = [f"{'AB'[a]},{s}" for a, s in zip(arm, seconds.tolist(), strict=True)]
    bring("arm,seconds\n" + "\n".join(rows), "--metric", "p90=seconds:quantile:.9:decrease")
    row = metric("p90")
    assert (row.kind, row.quantile, row.direction) == ("quantile", 0.9, "decrease")
    for a, shown in enumerate(row.arms):
        assert shown.mean == pytest.approx(
            np.quantile(seconds[arm == a], 0.9, method="inverted_cdf")
        )
    assert row.comparisons[0].low < row.comparisons[0].difference < row.comparisons[0].high


@pytest.mark.parametrize(
    "words",
    [
        "x=a:ratio",
        "x=a/b/c:ratio",
        "x=a:quantile",
        "x=a:quantile:95",
        "x=a:quantile:no",
        "x=/b:ratio",
        "x=a:mean:.5",
    ],
)
def test_metrics_that_cannot_be_meant__are_refused_with_what_was_expected(bring, words) -> None:
    with pytest.raises(CommandError, match="--metric"):
        bring("arm,a,b\nA,1,1\nB,1,1\n", "--metric", words)


def clusters() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(shop, arm, value, yes): sixty shops, half of them in each arm, whose rows resemble each
    other.
    """
    sizes = RNG.integers(5, 40, 60)
    shop = np.repeat(np.arange(60), sizes)
    level = RNG.normal(0, 1, 60)
    value = 10 + level[shop] + RNG.normal(0, 1, len(shop))
    yes = (RNG.random(len(shop)) < 0.3 + 0.1 * (level[shop] > 0)).astype(int)
    return shop, shop % 2, value, yes


def test_cluster__gives_means_and_shares_with_the_cluster_robust_error_of_statsmodels(
    bring,
) -> None:
    shop, arm, value, yes = clusters()
    rows = [
        f"s{s},{'AB'[a]},{v!r},{y}"
        for s, a, v, y in zip(shop, arm, value.tolist(), yes, strict=True)
    ]
    printed = bring(
        "shop,arm,value,yes\n" + "\n".join(rows),
        *(
            "--cluster",
            "shop",
            "--unit-type",
            "shop",
            "--metric",
            "value=value:mean",
            "--metric",
            "yes=yes:proportion",
        ),
    )
    assert f"{len(shop):,} rows of 60 clusters" in printed
    assert Assignment.objects.count() == 60
    for name, outcome in (("value", value), ("yes", yes)):
        fit = sm.OLS(outcome, sm.add_constant(arm)).fit(
            cov_type="cluster", cov_kwds={"groups": shop, "use_correction": False}
        )
        found = comparison(name)
        assert found.difference == pytest.approx(fit.params[1])
        robust = fit.bse[1] * math.sqrt(30 / 29)  # each arm has its own 30 clusters and their n − 1
        assert half_width(found) == pytest.approx(2.0 * robust, rel=0.02)
    assert (
        half_width(comparison("value"))
        > 1.5 * 1.96 * sm.OLS(value, sm.add_constant(arm)).fit().bse[1]
    )


def test_cluster__in_two_arms__is_refused(bring) -> None:
    text = "shop,arm,v\ns1,A,1\ns1,B,2\ns2,B,1\n"
    with pytest.raises(
        CommandError,
        match=r"line 3: a cluster has rows of several variants.*'s1' is in 'A' on line 2 and in 'B'",
    ):
        bring(text, "--cluster", "shop", "--metric", "v=v:mean")


def test_cluster__tests_attrition_between_clusters_and_averages_covariates(bring) -> None:
    shop, arm, value, _ = clusters()
    gone = (arm == 1) & (np.arange(len(shop)) % 4 == 0)
    rows = [
        f"s{s},{'AB'[a]},{'' if g else repr(v)},{s % 7 + k % 2}"
        for k, (s, a, v, g) in enumerate(zip(shop, arm, value.tolist(), gone, strict=True))
    ]
    words = (
        "--cluster",
        "shop",
        "--skip-empty",
        "--covariate",
        "size",
        "--metric",
        "value=value:mean",
    )
    printed = bring("shop,arm,value,size\n" + "\n".join(rows), *words)
    assert (
        f"warning: value: {gone.sum()} of {len(shop):,} rows without a value (0.0% in A" in printed
    )
    assert "results compare only those who have one" in printed
    its = [s % 7 + k % 2 for k, s in enumerate(shop) if s == 3]
    assert Assignment.objects.get(user_id="s3").covariates == {"size": pytest.approx(np.mean(its))}
    assert comparison("value").cuped is not None


@pytest.mark.slow
@pytest.mark.skipif(
    not (DATA / "hillstrom.csv").exists(),
    reason="the real experiments' files are not beside the project",
)
def test_hillstrom__spend_of_a_visit__agrees_with_statsmodels(bring) -> None:
    """Spend of those who visited, as a ratio; 64,000 customers of a published e-mail test, mens
    against no e-mail.
    """
    with (DATA / "hillstrom.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["segment"] != "Womens E-Mail"]
    text = "\n".join(
        [
            "segment,spend,visit",
            *(f"{row['segment']},{row['spend']},{row['visit']}" for row in rows),
        ]
    )
    bring(
        text, "--control", "No E-Mail", "--metric", "per_visit=spend/visit:ratio", variant="segment"
    )
    found = comparison("per_visit")
    expected, errors = [], []
    for name in ("No E-Mail", "Mens E-Mail"):
        its = [(float(row["spend"]), float(row["visit"])) for row in rows if row["segment"] == name]
        spend, visit = (np.array(column) for column in zip(*its, strict=True))
        fit = sm.OLS(spend[visit == 1], np.ones(int(visit.sum()))).fit(cov_type="HC1")
        expected.append(fit.params[0])
        errors.append(fit.bse[0])
    assert (found.control_mean, found.mean) == (
        pytest.approx(expected[0]),
        pytest.approx(expected[1]),
    )
    assert half_width(found) == pytest.approx(1.96 * math.hypot(*errors), rel=0.01)
