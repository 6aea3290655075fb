"""What the sources' own applications do: a CRM for leads under three experiments, and the assistant
guide's import path.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from examples.leads.app import DEFAULTS, ENRICHMENT, THRESHOLD, TIMING, crm
from experiments.sdk import EXPERIMENTS, platforms
from experiments.sdk.local import LocalPlatform
from experiments.sdk.tenants import get_variant_config
from tests.places import ROOT

TENANTS = [f"tenant-{number}" for number in range(60)]
LIKELY = {"gpt-3.5-turbo": 0.6, "gpt-4": 0.8}
"""How probably each model thinks that a lead books."""

READ = {ENRICHMENT: "model", TIMING: "delay_seconds", THRESHOLD: "threshold"}


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    made = LocalPlatform()
    platforms.use(made)
    yield made
    platforms.use(None)
    for name in (ENRICHMENT, TIMING, THRESHOLD):
        EXPERIMENTS[name]._platform = None


def post(app: Any, path: str, body: dict[str, Any]) -> Any:
    sent = json.dumps(body).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": io.BytesIO(sent),
    }
    return json.loads(b"".join(app(environ, lambda line, headers: None)))


def test_leads__without_an_experiment__are_read_with_the_defaults(platform: LocalPlatform) -> None:
    app = crm(lambda model, message: LIKELY[model])
    answer = post(app, "/leads", {"tenant": "acme", "message": "call me"})
    assert (answer["model"], answer["follow_up_after"]) == (
        DEFAULTS["model"],
        DEFAULTS["delay_seconds"],
    )
    assert post(app, "/bookings", {"lead": answer["lead"]})["told"] == {}


def test_leads__under_three_experiments__follow_each_tenants_configs_and_tell_bookings_by_variant(
    platform: LocalPlatform,
) -> None:
    for name in (ENRICHMENT, TIMING, THRESHOLD):
        EXPERIMENTS[name].enabled = True
    app = crm(lambda model, message: LIKELY[model])
    seen = set()
    for tenant in TENANTS:
        model, delay, threshold = (
            get_variant_config(tenant, name)[key]
            for name, key in (
                (ENRICHMENT, "model"),
                (TIMING, "delay_seconds"),
                (THRESHOLD, "threshold"),
            )
        )
        answer = post(app, "/leads", {"tenant": tenant, "message": "call me"})
        assert answer["model"] == model
        assert answer["follow_up_after"] == (delay if LIKELY[model] >= threshold else None)
        seen.add((model, delay, threshold))
        told = post(app, "/bookings", {"lead": answer["lead"]})["told"]
        assert set(told) == {ENRICHMENT, TIMING, THRESHOLD}
    assert len(seen) == 8, "all combinations of three independent experiments"
    booked = [
        item
        for kind, item in platform.told.items
        if kind == "events" and item["event_type"] == "booked"
    ]
    assert len(booked) == 3 * len(TENANTS)


PRINTED = """
from ab_testing.experiment_service import ExperimentService

service = ExperimentService(None)
variant = service.get_variant_for_user(experiment_name="Lead Qualification Prompt Test", user_id=123, session_id=None)
print(variant)
"""


def test_assistants_import_path__as_printed__gives_our_service() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'examples'}{os.pathsep}{ROOT}"}
    environment.pop("ASSAY_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", PRINTED],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "None"), done.stderr
