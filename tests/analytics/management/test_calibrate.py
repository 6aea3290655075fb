"""``manage.py calibrate`` as a person sees it."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from analytics.core.calibration import fixed
from analytics.core.stats.arms.comparison import Comparison


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def told(*arguments: str, stderr: StringIO | None = None) -> str:
    out = StringIO()
    call_command("calibrate", *arguments, stdout=out, stderr=stderr or StringIO())
    return out.getvalue()


@pytest.mark.slow
def test_calibrate__quick__finds_every_promise_kept() -> None:
    said = told("--quick")
    assert re.search(r"(\d+) of \1 in range \(seed 1, ", said)
    assert "OUT OF RANGE" not in said


def test_calibrate__says_target_range_result_and_verdict() -> None:
    head, line, last = (
        told("--only", "aa-rate", "--sims", "500", "--workers", "1").strip().splitlines()
    )
    assert head.split() == [
        "check",
        "target",
        "range",
        "got",
        "sims",
        "verdict",
        "what",
        "it",
        "shows",
    ]
    assert re.match(
        r"aa-rate +5 % +0\.\d{4} – 0\.\d{4} +0\.0\d+ +500  in range +identical rates", line
    )
    assert last.startswith("1 of 1 in range (seed 1, ")


def test_calibrate__something_out_of_range__names_it_and_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sure = Comparison("oracle", 1, 1, p=0.0)
    monkeypatch.setattr(fixed, "compare_proportions", lambda *a: sure)
    out = StringIO()
    with pytest.raises(SystemExit) as left:
        call_command(
            "calibrate", "--only", "aa-rate", "--sims", "500", "--workers", "1", stdout=out
        )
    assert left.value.code == 1
    assert "OUT OF RANGE" in out.getvalue() and "out of range: aa-rate" in out.getvalue()


def test_calibrate__unknown_check__is_refused_by_name() -> None:
    with pytest.raises(CommandError, match="no check is called nonsense"):
        told("--only", "nonsense")


def test_calibrate__on_a_terminal__shows_a_bar_and_clears_it() -> None:
    bar, silent = Terminal(), StringIO()
    told("--only", "aa-rate", "--sims", "500", "--workers", "1", stderr=bar)
    told("--only", "aa-rate", "--sims", "500", "--workers", "1", stderr=silent)
    assert bar.getvalue() == f"\r\033[K[{'#' * 30}] 100%  aa-rate\r\033[K"
    assert silent.getvalue() == ""
