"""A real Prometheus scrapes a real server: it answers what the sources and the dashboards ask, and
its alerts fire.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.live import Live, live  # noqa: F401  (a fixture)
from tests.stories.monitoring import DEPLOY, ask, panels, says, scraping

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
NAME, LOPSIDED = "prompt_story", "lopsided_story"
ARMS = ("thirty_minutes", "five_minutes")
"""The first is the control, and is not called so."""
UNITS = 300
MINE = f'{{experiment="{NAME}"}}'
QUERIES = {
    "latency": f"avg by (variant) (rate(request_latency_seconds_sum{MINE}[1m]) / rate(request_latency_seconds_count{MINE}[1m]))",
    "cost": f"sum by (variant) (rate(llm_cost_dollars_total{MINE}[1m])) * 3600",
    "errors": f"sum by (variant) (rate(http_errors_total{MINE}[1m])) / "
    f"sum by (variant) (rate(request_latency_seconds_count{MINE}[1m])) * 100",
    "satisfaction": f'sum by (variant) (rate(user_feedback_total{{sentiment="positive",experiment="{NAME}"}}[1m])) / '
    f"sum by (variant) (rate(user_feedback_total{MINE}[1m])) * 100",
    "assigned": f"sum by (variant) (experiment_variant_assigned_total{MINE})",
    "size": f"experiment_sample_size{MINE}",
    "rate": f"experiment_conversion_rate{MINE}",
    "outcomes over units": f'experiment_outcome_total{{experiment="{NAME}",outcome="booked"}} / '
    f"ignoring(outcome) experiment_sample_size{MINE}",
}
"""001's four, and 002's four series."""
INSTEAD = "unless on (experiment) experiment_conversion_rate"
"""What a query has that answers only where the primary metric is no share of units."""
EXPECTED = {"latency": 1.5, "errors": 50.0, "satisfaction": 100.0}
RATE = f'experiment_conversion_rate{{experiment="{NAME}",variant="%s"}}'
LIFT = f"{RATE % ARMS[1]} - ignoring(variant) {RATE % ARMS[0]}"
SIGNIFICANT = f"(experiment_sample_size{MINE} > 100) and on(experiment) (abs({LIFT}) > 0.05)"
"""002's two further queries, as docs/sources.md corrects them."""

PRICE = "INSERT INTO ai_model_prices (model, valid_from, price_in, price_out, set_at) VALUES ('story-model', '2020-01-01', 2, 2, now())"


@pytest.fixture
def prometheus(live: Live, tmp_path: Path) -> Iterator[str]:
    with scraping(live, tmp_path) as url:
        yield url


def by_variant(url: str, query: str) -> dict[str, float]:
    return {series["metric"]["variant"]: float(series["value"][1]) for series in ask(url, query)}


def firing(url: str) -> set[tuple[str, str]]:
    with urllib.request.urlopen(f"{url}/api/v1/alerts", timeout=5) as answer:
        alerts = json.load(answer)["data"]["alerts"]
    return {
        (a["labels"]["alertname"], a["labels"].get("experiment", ""))
        for a in alerts
        if a["state"] == "firing"
    }


def launch(live: Live, name: str) -> None:
    arms = [
        {"name": arm, "traffic_allocation": 50, "is_control": not place}
        for place, arm in enumerate(ARMS)
    ]
    live.experiment(name, variants=arms, primary_metric="booked")


def assigned(live: Live, name: str, exposure: str) -> dict[str, list[str]]:
    """Units by the variant that they get; ``exposure`` as the door takes it."""
    units = [f"{name}-{n}" for n in range(UNITS)]
    answer = live.post(
        "/api/v1/assignments",
        {"batch": [{"unit": u} for u in units], "experiments": [name], "exposure": exposure},
    ).json()
    found: dict[str, list[str]] = {arm: [] for arm in ARMS}
    for items in answer["results"]:
        for item in items:
            found[item["variant"]].append(item["unit"])
    return found


def traffic(live: Live, tick: int, units: dict[str, list[str]]) -> None:
    """Each variant answers twice in a second and a half, one of them a failure, metered in tokens;
    everybody is content; some book.
    """
    events, feedback, costs = [], [], []
    for variant, many in zip(ARMS, (1, 3), strict=True):
        stamp = {"experiment": NAME, "variant": variant}
        event: dict[str, Any] = {"latency_ms": 1500, "user_id": f"{variant}-{tick}", **stamp}
        for kind in ("ai_request", "http_5xx"):
            name = f"{NAME}-{variant}-{tick}-{kind}"
            events.append({"event_id": name, "event_type": kind, "request_id": name, **event})
            costs.append(
                {
                    "event_id": f"{name}-c",
                    "request_id": name,
                    "model": "story-model",
                    "tokens_in": 5000,
                    "tokens_out": 0,
                }
            )
        feedback.append(
            {
                "event_id": f"{NAME}-{variant}-{tick}-f",
                "label": "useful",
                "user_id": f"{variant}-{tick}",
                **stamp,
            }
        )
        booking = units[variant][many * tick : many * (tick + 1)]
        events += [
            {"event_id": f"{unit}-booked", "event_type": "booked", "user_id": unit, **stamp}
            for unit in booking
        ]
    assert live.post("/api/v1/events", {"events": events}).status < 300
    assert live.post("/api/v1/costs", {"costs": costs}).status < 300
    assert live.post("/api/v1/feedback", {"feedback": feedback}).status < 300


def until_stored(live: Live, name: str, units: int) -> None:
    """Wait for the drainer: an analysis counts what is stored."""
    end = time.monotonic() + 60
    query = "SELECT count(*) FROM experiment_assignments a JOIN experiments e USING (experiment_id) WHERE e.key = %s"
    while (stored := live.sql(query, name)[0][0]) < units:
        assert time.monotonic() < end, f"{stored} of {units} exposures are stored"
        time.sleep(0.2)


def analyse(live: Live) -> None:
    live.python(
        "import django; django.setup()\n"
        "from analytics.services.analysis.analysis import analyse\n"
        "from experiments.core.clock import utc_now\n"
        "from experiments.models import Experiment\n"
        f"for one in Experiment.objects.filter(key__in={[NAME, LOPSIDED]!r}): analyse(one.pk, now=utc_now())"
    )


def test_queries_of_the_sources_and_of_every_panel__return_data__and_an_arm_without_units_fires(
    live: Live,
    prometheus: str,
) -> None:
    # Given an experiment with traffic whose control is not called control, and one whose second arm
    # reports no exposure
    live.sql(
        "INSERT INTO ai_model_prices (model, valid_from, price_in, price_out, set_at) VALUES ('story-model', '2020-01-01', 2, 2, now())"
    )
    launch(live, NAME)
    launch(live, LOPSIDED)
    live.settle()
    units = assigned(live, NAME, "queued")
    exposures = [
        {"event_id": f"x-{unit}", "experiment": LOPSIDED, "user_id": unit}
        for unit in assigned(live, LOPSIDED, "none")[ARMS[0]]
    ]
    assert live.post("/api/v1/exposures", {"exposures": exposures}).json()["accepted"] == len(
        exposures
    )
    until_stored(live, NAME, UNITS)
    # When it is scraped for a while
    missing: set[str] = {"everything"}
    end = time.monotonic() + 120
    for tick in range(1000):
        traffic(live, tick, units)
        if tick == 10:
            analyse(live)
        try:
            found = {name: by_variant(prometheus, query) for name, query in QUERIES.items()}
            missing = {name for name, answer in found.items() if set(answer) != set(ARMS)}
            missing |= {
                panel.title
                for panel in panels()
                for query in panel.of(NAME)
                if INSTEAD not in query and not says(prometheus, [query])
            }
            missing |= {query for query in (LIFT, SIGNIFICANT) if not says(prometheus, [query])}
            missing |= (
                {"the alert"}
                if ("AssayExperimentOneArm", LOPSIDED) not in firing(prometheus)
                else set()
            )
        except urllib.error.URLError:
            continue  # it is still starting
        if not missing and tick > 10:
            break
        assert time.monotonic() < end, missing
        time.sleep(0.5)
    assert not missing
    # Then every query has its answer, and the three series agree
    for name, expected in EXPECTED.items():
        assert found[name] == pytest.approx(dict.fromkeys(ARMS, expected), rel=0.2), name
    assert min(found["cost"].values()) > 0, "metered in tokens, priced by the table"
    assert found["outcomes over units"] == pytest.approx(found["rate"])
    assert sum(found["size"].values()) == UNITS
    assert [alert for alert, experiment in firing(prometheus) if experiment == NAME] == []
    [health] = [
        query
        for panel in panels()
        if panel.title.endswith("Health findings")
        for query in panel.of(LOPSIDED)
    ]
    weights = {series["metric"].get("weight", "") for series in ask(prometheus, health)}
    assert "red" in weights and "" not in weights, "no 0 beside what was found"


ALERTS: dict[str, tuple[str, str]] = {
    "AssayDown": ('up{job="assay-serve", instance="a"}', "0x20"),
    "AssayCatalogueStale": ('assay_catalogue_stale{instance="a", process="web"}', "1x20"),
    "AssayExposuresDropped": ('assay_exposures_dropped_total{instance="a"}', "0+1x20"),
    "AssaySpoolWaits": ('assay_spool_oldest_seconds{instance="a"}', "400x20"),
    "AssayExposuresRejected": ('assay_exposures_rejected_total{instance="a"}', "0+1x20"),
    "AssayBeatLate": ('assay_beat_lag_seconds{task="t", instance="a"}', "2000x20"),
    "AssayProgramRests": ('assay_program_resting{program="beat", instance="a"}', "1x20"),
    "AssayProgramKeepsEnding": (
        'assay_program_ended_total{program="beat", instance="a"}',
        "0+1x20",
    ),
    "AssayDeadLetters": ('assay_dead_letters{instance="a"}', "1x20"),
    "AssayStoredTotalsUnread": ('assay_stored_totals_up{instance="a"}', "0x20"),
    **{
        f"AssayExperiment{name}": (
            f'experiment_health_finding{{experiment="e", code="{code}", weight="red", masks="true"}}',
            "1x20",
        )
        for name, code in {
            "SharesOff": "srm",
            "Crossovers": "crossover",
            "OneArm": "one_arm",
            "NoEvents": "no_events",
            "LateData": "late_data",
            "Drift": "drift",
            "UnpricedCalls": "unpriced",
        }.items()
    },
}
"""What makes each alert fire, a value a minute."""


def test_alerts__each_fires_on_its_own_trouble_and_on_nothing_else(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    rules = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert set(rules) == set(ALERTS)
    queries = {
        name: f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)'
        for name in rules
    }

    def expected(fires: str) -> list[dict[str, object]]:
        samples = {name: [{"labels": "{}", "value": int(name == fires)}] for name in rules}
        return [
            {"expr": query, "eval_time": "15m", "exp_samples": samples[name]}
            for name, query in queries.items()
        ]

    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": series, "values": values}],
            "promql_expr_test": expected(name),
        }
        for name, (series, values) in ALERTS.items()
    ]
    file = tmp_path / "tests.yml"
    file.write_text(
        json.dumps(
            {
                "rule_files": [str(DEPLOY / "prometheus" / "rules.yml")],
                "evaluation_interval": "1m",
                "tests": tests,
            }
        )
    )
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
