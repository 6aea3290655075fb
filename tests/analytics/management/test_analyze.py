"""``manage.py analyze``: what a person at a terminal reads."""

from __future__ import annotations

import json
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from analytics.models import Look
from tests.analytics.selectors.test_results import NOW, analysed
from tests.analytics.stores.observed import START, crowd, plan, world

pytestmark = pytest.mark.django_db


def printed(*args: str) -> str:
    out = StringIO()
    with time_machine.travel(NOW, tick=False):
        call_command("analyze", *args, stdout=out)
    return out.getvalue()


def test_analyze__healthy__prints_rates_p_and_shares() -> None:
    text = printed(analysed().experiment.key)
    assert "18.00 % vs 24.00 %" in text
    assert "+6.00 p.p." in text
    assert "Shares (SRM): p = 1 (green)" in text
    assert "guardrail on treatment: " in text
    assert "the denominators of control add up to nothing" in text


def test_analyze__real_game_with_two_gates__matches_its_published_rates() -> None:
    """The Cookie Cats experiment: 44,700 and 45,489 players, retention after seven days."""
    w = world("cookie_cats", origin="import")
    plan(w, "primary", "apply_conversion")
    crowd(w, "control", 44700, START, events={"apply": 8502})
    crowd(w, "treatment", 45489, START, events={"apply": 8279})
    text = printed("cookie_cats")
    assert "19.02 % vs 18.20 %" in text
    assert "p = .0016" in text
    assert "p = .0086 (yellow)" in text
    assert not Look.objects.exists()


def test_analyze__rare_rates__are_printed_to_thousandths_of_a_percent() -> None:
    """Hillstrom's conversions: 122 of 21,306 and 189 of 21,387."""
    w = world("hillstrom", origin="import")
    plan(w, "primary", "apply_conversion")
    crowd(w, "control", 21306, START, events={"apply": 122})
    crowd(w, "treatment", 21387, START, events={"apply": 189})
    assert "0.573 % vs 0.884 %" in printed("hillstrom")


def test_analyze__three_arms__adjusts_each_by_holm() -> None:
    w = world(arms=("control", "mens", "womens"))
    plan(w, "primary", "apply_conversion")
    for arm, events in {"control": 100, "mens": 130, "womens": 120}.items():
        crowd(w, arm, 1000, START, events={"apply": events})
    assert printed(w.experiment.key).count(", Holm ") == 2


def test_analyze__as_json__is_the_whole_view() -> None:
    document = json.loads(printed(analysed().experiment.key, "--json"))
    assert document["metrics"][0]["comparisons"][0]["arm"] == "treatment"


@pytest.mark.parametrize("key", ["nothing_of_this_name", "never_launched"])
def test_analyze__nothing_to_analyse__fails_with_a_reason(key: str) -> None:
    w = world("never_launched")
    w.iteration.delete()
    with pytest.raises(CommandError, match=r"none of this|never launched"):
        printed(key)
