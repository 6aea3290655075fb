"""requirements.lock holds what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.places import ROOT

LOCKED = {
    canonicalize_name(name): version
    for name, version in re.findall(
        r"^([\w.-]+)==([^\s;\\]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
}


def unmet(asked: list[str]) -> list[str]:
    """What the lock does not hold, or holds in another version."""
    wanted = [Requirement(one) for one in asked]
    return [
        str(one)
        for one in wanted
        if LOCKED.get(canonicalize_name(one.name), "") not in one.specifier
    ]


def test_lock__holds_what_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert unmet([*project["dependencies"], *extras["local"], *extras["dev"]]) == []


def test_lock__of_another_version__is_noticed() -> None:
    assert unmet(["django>=99", "no-such-package>=1"]) == ["django>=99", "no-such-package>=1"]
