"""``manage.py sample_size``: the table a person reads, and one line for everything wrong."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from analytics.management.commands.sample_size import Command
from experiments.models import Evidence
from tests.factories import METRICS, draft

pytestmark = pytest.mark.django_db
RATE = ("--kind", "proportion", "--baseline", ".75", "--effect", ".05")
COMPLAINTS = "complaints:relative:.15:base=.003"


def printed(*args: str) -> str:
    out = StringIO()
    call_command("sample_size", *args, stdout=out)
    return out.getvalue()


def test_sample_size__75_to_80_percent__prints_1094_an_arm() -> None:
    text = printed(*RATE)
    assert text.startswith("1,094 units in control, 1,094 in the test arm; 2,188 in all")
    assert "find +5 p.p. (75 % → 80 %)" in text


@pytest.mark.parametrize(("lift", "per_arm"), [(".05", "25,583"), (".1", "6,510"), (".2", "1,683")])
def test_sample_size__20_percent_with_relative_lifts__prints_the_right_table(
    lift: str, per_arm: str
) -> None:
    assert printed("--baseline", ".2", "--effect", lift, "--relative").startswith(
        f"{per_arm} units in control, {per_arm} in the test arm"
    )


def test_sample_size__five_guardrails__prints_1240_beside_752_and_what_would_do() -> None:
    guardrails = [COMPLAINTS.replace("complaints", f"complaints_{k}") for k in range(5)]
    text = printed(*RATE, "--units-per-day", "1000", "--weeks", "2", "--guardrail", *guardrails)
    assert (
        "as rare events SAFE needs 1,240 in control; to detect +15 % against zero at power 0.8 takes 752"
        in text
    )
    assert text.count("OUT OF REACH") == 5
    assert "in 2 weeks you can prove a margin of +" in text


def test_sample_size__every_option__changes_the_plan_as_json() -> None:
    options = [
        "--arms",
        "3",
        "--shares",
        "50,30,20",
        "--alpha",
        ".1",
        "--power",
        ".9",
        "--correlation",
        ".5",
        "--design-effect",
        "1.5",
    ]
    options += [
        "--looks",
        "3",
        "--window-hours",
        "72",
        "--share",
        ".5",
        "--units-per-day",
        "1000",
        "--weeks",
        "6",
        "--clock-weeks",
        "2",
    ]
    guardrail = (
        "bill:relative:.2:base=3:sd=9:kind=ratio:better=decrease:window=72:correlation=.2:no_breach"
    )
    plan = json.loads(printed(*RATE, *options, "--guardrail", guardrail, "--json"))
    assert (len(plan["arms"]), plan["looks"], plan["horizon_weeks"], plan["clock_weeks"]) == (
        3,
        3,
        6,
        2,
    )
    assert [(row["key"], row["role"], row["kind"]) for row in plan["metrics"]] == [
        ("proportion", "primary", "proportion"),
        ("bill", "guardrail", "ratio"),
    ]
    assert plan["metrics"][0]["fixed"]["control"] < plan["metrics"][0]["size"]["control"]
    assert plan["metrics"][1]["size"] is None


def test_sample_size__falling_effect__is_planned_downwards() -> None:
    assert "find −5 p.p. (75 % → 70 %)" in printed("--baseline", ".75", "--effect=-.05")


def test_sample_size__of_an_experiment__answers_for_its_plan_and_stores_nothing() -> None:
    experiment = draft(metrics=METRICS)
    text = printed(experiment.key, "--units-per-day", "3000")
    assert "apply_conversion" in text
    assert "ai_error_units" in text
    assert "3,000 units a day" in text
    assert not Evidence.objects.exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "name an experiment, or say"),
        (["nothing_of_this_name"], "none of this id"),
        (["--baseline", "x", "--effect", ".1"], "--baseline: expected a number, found 'x'"),
        (["--baseline", "nan", "--effect", ".1"], "--baseline: expected a number"),
        (["--baseline", ".75"], "--effect: say the smallest"),
        (["--baseline", "75", "--effect", "5"], "rates lie between 0 and 1"),
        (["--baseline", ".75", "--effect", "0"], "rates lie between"),
        (["--kind", "mean", "--baseline", "3", "--effect", ".1"], "standard deviation"),
        (["--kind", "odds", "--baseline", "3", "--effect", ".1"], "metric kind 'odds'"),
        ([*RATE, "--arms", "1"], "--arms: 2 to 20"),
        ([*RATE, "--arms", "2.5"], "--arms: expected a whole number"),
        ([*RATE, "--arms", "3", "--shares", "50,50"], "2 shares for 3 arms"),
        ([*RATE, "--shares", "50,-50"], "every arm has a share"),
        ([*RATE, "--shares", "100"], "a control and at least one test arm"),
        ([*RATE, "--alpha", "2"], "alpha lies between"),
        ([*RATE, "--power", ".01"], "power lies between"),
        ([*RATE, "--correlation", "1"], "correlation"),
        ([*RATE, "--looks", "0"], "looks are 1 to"),
        ([*RATE, "--weeks", "0"], "1 to 520 weeks"),
        ([*RATE, "--direction", "up"], "direction is one of"),
        ([*RATE, "--unit-type", "No"], "unit_type"),
        ([*RATE, "--guardrail", "complaints"], "expected NAME:KIND:MARGIN"),
        ([*RATE, "--guardrail", "complaints:relative:x"], "margin: expected a number"),
        ([*RATE, "--guardrail", "complaints:percent:.1:base=.1"], "margin_kind is one of"),
        ([*RATE, "--guardrail", "complaints:relative:.1:rate=.1"], "'rate=.1' is none of"),
        ([*RATE, "--guardrail", "complaints:relative:.1"], "complaints .*baseline"),
        ([*RATE, "--guardrail", "complaints:ms:100:base=.1"], "takes a margin of points"),
        (["some_key", "--baseline", ".5"], "stands in the plan of some_key"),
    ],
)
def test_sample_size__wrong_input__is_one_clear_line(args: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said) as refusal:
        printed(*args)
    assert "\n" not in str(refusal.value)
    assert refusal.value.returncode == 1


def test_sample_size__incomplete_plan__names_everything_missing_in_one_line() -> None:
    experiment = draft(metrics=())
    with pytest.raises(CommandError, match="cannot be computed yet; choose a primary metric"):
        printed(experiment.key)


@pytest.mark.parametrize("args", [["--nonsense"], ["--baseline"], ["one", "two"]])
def test_sample_size__wrong_option_on_the_command_line__is_one_line_and_exit_1(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command()
    with pytest.raises(SystemExit) as left:
        command.run_from_argv(["manage.py", "sample_size", *args])
    assert left.value.code == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "asked",
    [("--baseline", ".75"), ("--kind", "mean", "--baseline", "-10", "--sd", "3", "--relative")],
)
def test_sample_size__fall_that_is_to_be_an_increase__is_refused(asked: tuple[str, ...]) -> None:
    with pytest.raises(
        CommandError, match=r"an effect of -0\.05 is a fall, but the direction is increase"
    ):
        printed(*asked, "--effect=-.05", "--direction", "increase")
    assert "find −5" in printed(*asked, "--effect=-.05", "--direction", "decrease")


def test_sample_size__fall__has_the_size_of_the_fall() -> None:
    assert printed("--baseline", ".75", "--effect=-.05").startswith("1,251 units in control")


@pytest.mark.parametrize(
    ("effect", "said"),
    [("--effect=.1", "find +10 % (-10 → -9)"), ("--effect=-.1", "find −10 % (-10 → -11)")],
)
def test_sample_size__negative_baseline__moves_the_way_that_it_says(effect: str, said: str) -> None:
    assert said in printed("--kind", "mean", "--baseline", "-10", "--sd", "3", effect, "--relative")
