"""Values far from 0 (Unix times, counter readings) keep their spread on the way from rows to
p-values.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from analytics.core.ground.observed import Observed
from analytics.core.kinds import kind_of
from analytics.stores.base import OWN_PAST
from experiments.core.design.metric_definitions import MetricDefinition
from experiments.core.types import Direction, MetricKind
from tests.analytics.stores.observed import START, World, world
from tests.analytics.stores.test_postgres_totals import STORE, people

pytestmark = pytest.mark.django_db

HOUR, UNIX = timedelta(hours=1), 1.77e9
SEEN = MetricDefinition(
    key="seen",
    name="Seen at",
    kind=MetricKind.MEAN,
    source="observation",
    aggregation="last",
    direction=Direction.INCREASE,
)
Arms = dict[str, np.ndarray]


def drawn(spread: float, level: float = UNIX, effect: float = 0.6, many: int = 40) -> Arms:
    rng = np.random.default_rng(7)
    return {
        "control": level + spread * rng.standard_normal(many),
        "treatment": level + spread * (effect + rng.standard_normal(many)),
    }


def fill(w: World, metric: str, arms: Arms, at: timedelta, expose: bool = True) -> None:
    for arm, values in arms.items():
        for i, value in enumerate(values):
            if expose:
                w.expose(f"{arm}{i}", arm, START)
            w.observe(f"{arm}{i}", metric, float(value), START + at)


def totals(w: World, metric: MetricDefinition, covariate: str | None = None) -> list[Observed]:
    found = STORE.totals(people(w), metric, covariate=covariate)
    return [found[w.arms[arm].pk].totals for arm in ("control", "treatment")]


@pytest.mark.parametrize("spread", [300.0, 2.0, 0.05])
@pytest.mark.parametrize("level", [UNIX, -UNIX, 3e-9 * UNIX])
def test_mean__of_values_far_from_zero__has_the_p_of_welchs_test_on_the_rows(
    spread: float, level: float
) -> None:
    w, arms = world(), drawn(spread, level)
    fill(w, "seen", arms, HOUR)
    found = kind_of("mean").compare(*totals(w, SEEN), 0.05)
    expected = stats.ttest_ind(arms["treatment"], arms["control"], equal_var=False)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-4)
    assert found.df == pytest.approx(expected.df, rel=1e-4)


def test_mean__of_equal_values__has_no_spread() -> None:
    w = world()
    fill(w, "seen", {"control": np.full(12, 9.99), "treatment": np.full(12, 9.99)}, HOUR)
    assert "no spread" in (kind_of("mean").compare(*totals(w, SEEN), 0.05).reason or "")


def test_covariate__far_from_zero__has_the_standard_error_of_the_regression_on_the_rows() -> None:
    w, now, rng = world(), drawn(2.0, many=60), np.random.default_rng(8)
    before = {
        arm: values - 86_400 + rng.standard_normal(len(values)) for arm, values in now.items()
    }
    fill(w, "seen", now, HOUR)
    fill(w, "seen", before, -HOUR, expose=False)
    found = kind_of("mean").adjusted(*totals(w, replace(SEEN, lookback_days=14), OWN_PAST), 0.05)
    x = np.concatenate(list(before.values())) - UNIX
    fits = [sm.OLS(now[a] - UNIX, sm.add_constant(before[a] - UNIX - x.mean())).fit() for a in now]
    slopes = fits[1].params[1] - fits[0].params[1]
    variance = sum(fit.bse[0] ** 2 for fit in fits) + slopes**2 * x.var(ddof=1) / len(x)
    assert found is not None and found.se == pytest.approx(np.sqrt(variance), rel=1e-4)
    assert found.difference == pytest.approx(fits[1].params[0] - fits[0].params[0], rel=1e-4)


def test_ratio__of_values_far_from_zero__has_the_spread_of_the_rows() -> None:
    w, arms = world(), drawn(2.0)
    fill(w, "seen", arms, HOUR)
    found = kind_of("ratio").compare(
        *totals(w, replace(SEEN, kind=MetricKind.RATIO, aggregation="sum")), 0.05
    )
    expected = stats.ttest_ind(arms["treatment"], arms["control"], equal_var=False)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-4)


def test_description__of_values_far_from_zero__has_their_extremes_and_their_spread() -> None:
    w, arms = world(), drawn(2.0)
    fill(w, "seen", arms, HOUR)
    found = STORE.describe(people(w), SEEN, matured=True)[w.arms["control"].pk]
    values = arms["control"]
    assert (found.least, found.most) == pytest.approx((values.min(), values.max()), rel=1e-15)
    assert found.units.variance == pytest.approx(values.var(ddof=1), rel=1e-6)
