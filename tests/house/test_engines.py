"""Statsmodels is used where it computes better than we would; nothing that serves or shows pages
loads it.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.places import ROOT

LOADED = "import sys; print(sum(name.split('.')[0] == 'statsmodels' for name in sys.modules))"
SETUP = "import os; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings'); import django; django.setup(); "


def printed(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "code",
    [
        "import experiments.core.serving.assignment; ",
        (
            "import analytics.core.kinds, analytics.core.results, analytics.core.planner; "
            "import analytics.core.deciding.guardrails, analytics.core.scans.scans; "
        ),
        SETUP
        + "import config.urls, analytics.services.analysis.analysis, analytics.services.analysis.scanning; ",
    ],
    ids=["serving", "statistics of a run", "pages and jobs"],
)
def test_statsmodels__is_not_loaded_by(code: str) -> None:
    assert printed(code + LOADED) == "0"


@pytest.mark.parametrize(
    "call",
    [
        "from analytics.core.stats.multiplicity import hommel; hommel([.01, .02])",
        "from analytics.core.stats.reconciling.reconcile_rates import clopper_pearson; clopper_pearson(3, 10)",
        (
            "from analytics.core.stats.reconciling.robust import ancova_effect; "
            "ancova_effect([0, 1] * 6, range(12), [3, 1, 2, 5, 4, 6, 9, 8, 7, 1, 2, 3])"
        ),
    ],
)
def test_statsmodels__answers_when_it_is_asked(call: str) -> None:
    assert int(printed(call + "; " + LOADED)) > 0
