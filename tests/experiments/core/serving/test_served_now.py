"""What users get right now: one line for everybody, which agrees with the explanation of every
single unit.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from experiments.core.serving.assignment import AssignmentRequest
from experiments.core.serving.catalogue import Catalogue
from experiments.core.serving.explaining import explain
from experiments.core.serving.served_now import served_now
from tests.experiments.core.serving.catalogues import (
    LATER,
    arm_stopped,
    catalogue,
    dark_experiment,
    experiment,
    flag,
    override,
    rollout,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
UNITS = 3000
HELD = {"unit_type": "user", "seed": "otherseed", "buckets": list(range(100)), "until": None}
WORLDS = {
    "off": catalogue(flag(enabled=False, experiment=experiment())),
    "idle": catalogue(flag()),
    "running": catalogue(flag(experiment=experiment(traffic=400))),
    "stopped arm": catalogue(flag(experiment=arm_stopped(experiment(weights=[400, 300, 300])))),
    "shadow": catalogue(flag(experiment=dark_experiment("shadow"))),
    "visible": catalogue(flag(experiment=dark_experiment("visible"))),
    "rollout": catalogue(flag(rollout=rollout())),
    "held back": catalogue(flag(rollout=rollout(holdback=list(range(50)), holdback_until=LATER))),
    "part of a rollout": catalogue(
        flag(
            rollout=rollout(
                audience={
                    "unit_type": "user",
                    "targeting": [],
                    "seed": "5eed00c0ffee",
                    "buckets": list(range(300)),
                }
            )
        )
    ),
}


def _explained(book: Catalogue) -> Counter[str]:
    """What single units get, by the name of their variant; ``default`` without one."""
    found = Counter[str]()
    for number in range(UNITS):
        why = explain(book, AssignmentRequest(units={"user": f"u{number}"}, flag="rank"), NOW)
        found[(why.variant or "default").title()] += 1
    return found


def _said(book: Catalogue) -> Counter[str]:
    """The shares of the line, by the name that stands first in quotes."""
    found = Counter[str]()
    for share in served_now(book, "rank", NOW).shares:
        named = re.match(r"“([^”]+)”", share.gets)
        found[named.group(1) if named else "Default"] += share.thousandths
    found["Default"] += 1000 - sum(found.values())
    return found


@pytest.mark.parametrize("name", WORLDS)
def test_line__every_way_of_serving__agrees_with_the_explanation_of_single_units(name: str) -> None:
    explained, said = _explained(WORLDS[name]), _said(WORLDS[name])
    for variant in {*explained, *said}:
        assert explained[variant] / UNITS == pytest.approx(said[variant] / 1000, abs=0.03), (
            name,
            variant,
        )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("off", "The flag is switched off: everybody gets its default."),
        ("idle", "Everybody gets the flag's default: the flag has no experiment and no rollout."),
        (
            "running",
            "Of the users, 20 % get “Control”, 20 % get “Treatment” and 60 % get the flag's default.",
        ),
        ("stopped arm", "no variant because “Treatment” is switched off"),
        ("shadow", "1 % get “Control” (“Treatment” runs in shadow)"),
        ("held back", "5 % get “Loser”, held back until 01 Jun 2026, 00:00 UTC"),
    ],
)
def test_line__says_it_in_plain_words(name: str, words: str) -> None:
    assert words in served_now(WORLDS[name], "rank", NOW).sentence


def test_line__testers_holdout_and_unknown_flags__are_said() -> None:
    book = catalogue(flag(experiment=experiment(), overrides=[override()]), holdout=HELD)
    said = served_now(book, "rank", NOW).sentence
    assert "1 tester sees a fixed variant." in said
    assert "10 % of all users are held out of everything and get the flag's default." in said
    assert served_now(book, "nothing", NOW).sentence == "The flag is not served yet."
    assert not served_now(book, "nothing", NOW).serving
