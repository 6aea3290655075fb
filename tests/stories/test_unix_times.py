"""An import whose values are Unix times is compared like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command
from scipy import stats

from analytics.selectors.significance import latest_run
from experiments.models import Experiment

pytestmark = pytest.mark.django_db


def test_import__values_are_unix_times__has_the_p_of_the_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    arms = {
        "A": 1_770_000_000 + 90 * rng.standard_normal(60),
        "B": 1_770_000_080 + 90 * rng.standard_normal(60),
    }
    lines = [
        f"{arm}{i},{arm},{v!r}"
        for arm, values in arms.items()
        for i, v in enumerate(values.tolist())
    ]
    path = tmp_path / "trial.csv"
    path.write_text("\n".join(["id,group,done_at", *lines]))
    words = [
        "--key",
        "trial",
        "--unit",
        "id",
        "--variant",
        "group",
        "--metric",
        "done_at=done_at:mean",
    ]
    call_command("import_experiment", str(path), *words)
    call_command("analyze", "trial")
    run = latest_run(Experiment.objects.get(key="trial"))
    assert run is not None
    found = run.results["metrics"][0]["comparisons"][0]
    expected = stats.ttest_ind(arms["B"], arms["A"], equal_var=False)
    assert found["comparison"]["p"] == pytest.approx(expected.pvalue, rel=1e-5)
    assert found["always"]["interval"]["low"] < found["comparison"]["ci"]["low"]
