"""A platform behind HTTP: what code defines becomes an experiment there, with all its gates, and is
decided here.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote

from experiments.core.clock import utc_now
from experiments.core.errors import (
    AssayError,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    Problem,
    Refused,
)
from experiments.sdk.client import AssayClient
from experiments.sdk.definitions import Experiment, ExperimentStatus, Variant
from experiments.sdk.transport import Answer, Transport

log = logging.getLogger("assay")

_ERRORS: Mapping[int, type[AssayError]] = {
    400: InvalidInput,
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    409: Refused,
}
_SETTLING = 5.0
"""Seconds within which every server serves what one of them has started."""


class ServerPlatform:
    """``client`` decides with its server key; changes and results need ``management_key`` and raise
    what the server refuses.
    """

    def __init__(
        self, client: AssayClient, url: str, management_key: str = "", timeout: float = 10.0
    ) -> None:
        self.client = client
        self._manage = Transport(url, management_key, timeout) if management_key else None

    def register(self, experiment: Experiment) -> None:
        if self._knows(experiment.name):
            return
        try:
            _warn(self._ask("POST", "/api/v1/experiments", _body(experiment, utc_now())))
        except AssayError:
            if not self._knows(experiment.name):  # else another process was first
                raise

    def start(self, name: str) -> None:
        status = self.status(name)
        if status is not ExperimentStatus.RUNNING:
            _warn(
                self._ask(
                    "POST",
                    f"{_path(name)}/{'resume' if status is ExperimentStatus.PAUSED else 'start'}",
                    {},
                )
            )
        self._settle(name, serving=True)

    def pause(self, name: str) -> None:
        self._ask("POST", f"{_path(name)}/pause", {"reason": "paused by code"})
        self._settle(name, serving=False)

    def complete(self, name: str) -> None:
        self._ask("POST", f"{_path(name)}/stop", {"reason": "completed by code"})
        self._settle(name, serving=False)

    def status(self, name: str) -> ExperimentStatus:
        return ExperimentStatus(str(self._ask("GET", _path(name))["status"]).upper())

    def find(self, name: str) -> Experiment | None:
        try:
            found = self._ask("GET", _path(name))
        except NotFound:
            return None
        experiment = Experiment(
            str(found["name"]),
            str(found["description"]),
            _variants(found),
            unit_type=str(found["unit_type"]),
        )
        experiment.bind(self, experiment.unit_type)
        return experiment

    def metrics(self, name: str, duration: str = "") -> dict[str, object]:
        return self._ask(
            "GET", f"{_path(name)}/metrics" + (f"?duration={quote(duration)}" if duration else "")
        )

    def analysis(self, ref: str | int) -> dict[str, object]:
        return self._ask("GET", f"{_path(str(ref))}/analyze")

    def _knows(self, name: str) -> bool:
        try:
            self._ask("GET", _path(name))
        except NotFound:
            return False
        return True

    def _settle(self, name: str, *, serving: bool) -> None:
        """Have the change in this process at once, not with the next poll."""
        end = time.monotonic() + _SETTLING
        while (
            self.client.refresh()
            and self.client.serves(name) is not serving
            and time.monotonic() < end
        ):
            time.sleep(0.2)

    def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        if self._manage is None:
            raise Forbidden(f"{method} {path} needs a management key: set ASSAY_MANAGEMENT_KEY")
        answer = self._manage.send(
            method, path, None if body is None else json.dumps(body).encode()
        )
        if answer.status >= 300:
            raise _refusal(answer)
        said = answer.json()
        return said if isinstance(said, dict) else {}


def _warn(answer: Mapping[str, object]) -> None:
    """Pass on what the server says against an experiment that it accepted."""
    said = answer.get("warnings")
    for one in said if isinstance(said, list) else ():
        log.warning("%s", one)


def _path(name: str) -> str:
    return f"/api/v1/experiments/{quote(name, safe='')}"


def _body(experiment: Experiment, now: datetime) -> dict[str, object]:
    """The experiment as the server is asked to create it; a start that has passed is left out, and
    so is what was not said.
    """
    said: dict[str, object] = {
        "name": experiment.name,
        "description": experiment.description,
        "experiment_type": experiment.experiment_type,
        "unit_type": experiment.unit_type,
        "variants": [_arm(variant) for variant in experiment.variants],
        "primary_metric": experiment.primary_metric,
        "secondary_metrics": list(experiment.secondary_metrics),
        "min_sample_size": experiment.min_sample_size,
        "auto_promote": experiment.auto_promote,
    }
    later = experiment.start_date is not None and experiment.start_date > now
    moments = {
        "planned_start": experiment.start_date if later else None,
        "planned_end": experiment.end_date,
    }
    return said | {name: at.isoformat() for name, at in moments.items() if at is not None}


def _arm(variant: Variant) -> dict[str, object]:
    arm: dict[str, object] = {
        "name": variant.name,
        "config": variant.config,
        "is_control": variant.is_control,
    }
    return arm if variant.weight is None else arm | {"weight": variant.weight}


def _variants(found: Mapping[str, object]) -> list[Variant]:
    arms = found["variants"]
    if not isinstance(arms, list):
        return []
    return [
        Variant(arm["name"], arm["weight"], arm["config"], is_control=arm["is_control"])
        for arm in arms
    ]


def _refusal(answer: Answer) -> AssayError:
    """What the server refused, with its reasons."""
    said = answer.json()
    error = said.get("error", {}) if isinstance(said, dict) else {}
    problems = tuple(
        Problem(str(p.get("code")), str(p.get("message")), str(p.get("field")))
        for p in error.get("problems", ())
    )
    kind = _ERRORS.get(answer.status, AssayError)
    return kind(
        str(error.get("message", f"the server answered {answer.status}")),
        str(error.get("field", "")),
        problems,
    )
