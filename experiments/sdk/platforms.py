"""Where experiments that code defines live: on a server, or in this process alone.

``default_platform()`` takes it from the environment: ``ASSAY_URL`` with ``ASSAY_KEY`` (a server
key) and, for creating, starting and reading results, ``ASSAY_MANAGEMENT_KEY``; ``ASSAY_FOLDER``
keeps the last catalogue. Without ``ASSAY_URL`` everything stays in this process: for tests,
notebooks, and trying things out.
"""

from __future__ import annotations

import os
from typing import Protocol

from experiments.core.errors import InvalidInput
from experiments.sdk.client import AssayClient
from experiments.sdk.definitions import Experiment, ExperimentStatus
from experiments.sdk.local import LocalPlatform
from experiments.sdk.server import ServerPlatform


class Platform(Protocol):
    """What the call styles need of a platform. Changes are refused with an ``AssayError`` that
    lists the reasons.
    """

    @property
    def client(self) -> AssayClient:
        """Decides and tells."""

    def register(self, experiment: Experiment) -> None:
        """Make the experiment known, as a draft; one of this name that is known already stays as it
        is.
        """

    def start(self, name: str) -> None:
        """Serve it, also after a pause."""

    def pause(self, name: str) -> None:
        """Serve it to nobody for now."""

    def complete(self, name: str) -> None:
        """Conclude it."""

    def status(self, name: str) -> ExperimentStatus:
        """Where it stands."""

    def find(self, name: str) -> Experiment | None:
        """An experiment that others registered."""

    def metrics(self, name: str, duration: str = "") -> dict[str, object]:
        """What came in by variant, as ``GET …/metrics`` answers; of units first exposed within
        ``duration``, where it is named.
        """

    def analysis(self, ref: str | int) -> dict[str, object]:
        """The analysis of the primary metric, as ``GET …/analyze`` answers."""


_default: Platform | None = None


def default_platform() -> Platform:
    """The platform of this process, made when it is first asked for."""
    global _default
    if _default is None:
        _default = from_environment()
    return _default


def use(platform: Platform | None) -> None:
    """Make this the platform of the process; ``None``: the environment's again."""
    global _default
    _default = platform


def from_environment() -> Platform:
    """The platform that the environment names."""
    url = os.environ.get("ASSAY_URL", "")
    if not url:
        return LocalPlatform()
    key = os.environ.get("ASSAY_KEY", "")
    if not key:
        raise InvalidInput(
            "ASSAY_URL is set and ASSAY_KEY is not: set it to a server key", "ASSAY_KEY"
        )
    client = AssayClient(url, key, folder=os.environ.get("ASSAY_FOLDER") or None)
    return ServerPlatform(client, url, os.environ.get("ASSAY_MANAGEMENT_KEY", ""))
