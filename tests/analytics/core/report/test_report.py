"""The report: the same facts give the same bytes, a win is told with its cautions, what is masked
has no numbers.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from analytics.core.deciding.look_state import HypothesisLook, LookState
from analytics.core.deciding.looks import Look, Observation
from analytics.core.deciding.verdicts import GuardrailResult
from analytics.core.ground.encoding import plain, restored
from analytics.core.ground.errors import ImpossiblePlan
from analytics.core.report.blocks import Heading, IntervalChart, Items, LooksChart, Table, Words
from analytics.core.report.build import BLOCKS, INLINE, build, template_faults
from analytics.core.report.facts import (
    Amendment,
    ArmCost,
    DecisionMade,
    PlannedFacts,
    ReportedArm,
    ReportedMetric,
    ReportFacts,
    TrailLine,
)
from analytics.core.report.template import REQUIRED, fill
from analytics.core.report.verdict import CAUTION, winner
from analytics.core.report.writing import as_json, as_markdown
from analytics.core.results import AlwaysValid, ArmComparison, ArmSummary, MetricArm, MetricResult
from analytics.core.scans.findings import Finding
from analytics.core.stats.arms.comparison import Comparison, Interval
from analytics.core.stats.arms.cuped import METHOD as CUPED
from tests.places import ROOT

SHIPPED = (ROOT / "templates" / "reports" / "report.md").read_text()
START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def comparison(difference=0.02, se=0.005, **changes):
    ci = Interval(difference - 1.96 * se, difference + 1.96 * se, 0.95)
    base = Comparison(
        "score",
        1000,
        1000,
        0.10,
        0.10 + difference,
        difference,
        ci,
        difference / 0.10,
        None,
        None,
        0.00012,
        difference / se,
        se,
    )
    return replace(base, **changes)


def look(**changes):
    base = Look(
        number=3, day=date(2026, 3, 16), t=0.8, z=4.0, estimate=0.02, se=0.005, n_control=1000, n_treatment=1000, boundary=2.3,
        alpha_spent=0.03, interval=Interval(0.0085, 0.0315, 0.95), p=0.0004, side="up", crossed="better", last=False,
    )  # fmt: skip
    return replace(base, **changes)


def state(of=None):
    seen = Observation(1000, 1000, 0.02, 0.005, 4.0)
    return LookState(date(2026, 3, 16), 500.0, (HypothesisLook("b", seen, of or look()),))


METRIC = MetricResult(
    "apply", 1, "Apply rate", "primary", "proportion", "increase", "share", 48,
    arms=(MetricArm("a", 1000, 1010, 0.10, 100.0, 100.0), MetricArm("b", 1000, 1005, 0.12, 120.0, 120.0)),
    comparisons=(
        ArmComparison("b", comparison(), 0.00012, "Holm", comparison(0.019, 0.004, method=CUPED),
                      AlwaysValid(Interval(0.001, 0.041, 0.95), 0.003)),
    ),
)  # fmt: skip
GUARDED = MetricResult(
    "errors", 1, "Error rate", "guardrail", "proportion", "decrease", "share", 48,
    arms=(MetricArm("a", 1000, 1010, 0.01, 10.0, 10.0), MetricArm("b", 1000, 1005, 0.012, 12.0, 12.0)),
    comparisons=(ArmComparison("b", comparison(0.002, 0.004, control_mean=0.01, treatment_mean=0.012)),),
)  # fmt: skip
SAFE = GuardrailResult(
    "errors",
    "b",
    "safe",
    False,
    True,
    0.01,
    1.0,
    -0.018,
    -0.03,
    -0.005,
    False,
    "harm is below the margin",
)
PLANNED = PlannedFacts(
    hypothesis="Friendly words\nmake people *answer*", expected_effect="+10 %", prd_url="https://docs.example.org/prd", flag="greeting",
    unit_type="user", traffic=200, confidence_level=0.95, power=0.8, min_sample_size=100, weeks=2, policy="ai-low", policy_version=1,
    auto_promote=True, time_zone="UTC", start=None, end=START + 28 * DAY, control_units=900, test_units=900,
    arms=(ReportedArm("a", "Plain", True, 500, "v1"), ReportedArm("b", "Friendly", False, 500, '{"prompt": "v2"}')),
    metrics=(
        ReportedMetric("apply", 1, "Apply rate", "primary", "proportion", "increase", 48, 0.1, mde=0.1),
        ReportedMetric("errors", 1, "Error rate", "guardrail", "proportion", "decrease", 48, 0.01, margin=0.02, margin_kind="points",
                       rule="safe", action="stop"),
    ),
)  # fmt: skip
DECIDED = DecisionMade(
    7,
    START + 15 * DAY,
    "promote",
    "promoted",
    "b",
    "b: the boundary was crossed for the better",
    3,
    True,
    "",
)
WON = ReportFacts(
    key="greeting_v2", name="Friendly greeting", experiment_type="prompt", owner="olivia", origin="live", status="completed",
    outcome="promoted", standing="Promoted: “Friendly”.", iteration=1, final=True, run=12, as_of=START + 15 * DAY + timedelta(minutes=5),
    data_cut=START + 15 * DAY, began=START - DAY, dark_started=START - DAY, started=START, ended=START + 15 * DAY, traffic=200,
    planned=PLANNED, clock="complete: 14 full days", masked=False, masked_why="",
    arms=(ArmSummary("a", "Plain", True, 1010, 1200, 1, 0.5), ArmSummary("b", "Friendly", False, 1005, 1190, 0, 0.5)),
    srm=None, findings=(Finding("late_data", "yellow", "20 of 1,000 events (2.0%) came too late to count"),), rule="", winner="b",
    holdback=50, metrics=(METRIC, GUARDED), guardrails=(SAFE,), looks=(state(),),
    costs=(ArmCost("a", 100, 1000, 2000, 5_000_000, 20),),
    amendments=(Amendment(START + DAY, "olivia", "planned_end", "2026-03-30", "2026-04-10", "a holiday"),), decisions=(DECIDED,),
    trail=(TrailLine(START, "olivia", "start", "go"),), versions={"Engine": "2"},
)  # fmt: skip


def text_of(facts):
    return as_markdown(build(facts, SHIPPED, 1))


def test_build__shipped_template__has_no_faults_and_uses_every_block():
    assert template_faults(SHIPPED) == ()
    assert all(f"{{{{{name}}}}}" in SHIPPED for name in BLOCKS)


def test_build__facts_stored_and_read_back__give_the_same_bytes():
    again = restored(json.loads(json.dumps(plain(WON))), ReportFacts)
    assert again == WON
    for body in (as_markdown, as_json):
        assert body(build(again, SHIPPED, 1)) == body(build(WON, SHIPPED, 1))


def test_winner__shrinks_by_the_prior_on_the_lift():
    """By hand: lift .2 ± .05, prior sd .3: trust .09/(.09 + .0025) = .97297; .2 × .97297 = .194595,
    in points .0194595.
    """
    found = winner(WON)
    assert found is not None
    assert found.lift == pytest.approx(0.2)
    assert found.shrunken_lift == pytest.approx(0.2 * 0.09 / 0.0925)
    assert found.shrunken == pytest.approx(0.02 * 0.09 / 0.0925)
    assert found.shrunken_interval is not None
    assert found.shrunken_interval.low == pytest.approx(
        0.0194595 - 1.959964 * 0.005 * (0.09 / 0.0925) ** 0.5, abs=1e-6
    )


def test_verdict__after_a_win__gives_repeated_interval_caution_shrunken_estimate_and_holdback():
    text = text_of(WON)
    assert "repeated 95 % interval +0.85 pp to +3.15 pp" in text
    assert CAUTION in text
    assert "expect +1.95 pp (lift +19.46 %)" in text
    assert "5 % of the tested users are held back" in text
    assert (
        "Decision 7, carried out by the platform: Friendly: the boundary was crossed for the better."
        in text
    )


def test_verdict__nothing_promoted__says_nothing_of_winners():
    text = text_of(
        replace(WON, outcome="no_effect", standing="Ended: no effect.", winner="", holdback=0)
    )
    assert CAUTION not in text
    assert "repeated 95 % interval" not in text
    assert json.loads(as_json(build(replace(WON, winner=""), SHIPPED, 1)))["winner"] is None


def test_verdict__promoted_by_hand_without_a_look__says_that_there_is_no_interval():
    assert "promoted without a look" in text_of(replace(WON, looks=()))


def test_verdict__control_at_zero__gives_no_lift_and_says_why():
    nothing = replace(
        METRIC, comparisons=(ArmComparison("b", comparison(control_mean=0.0, lift=None)),)
    )
    text = text_of(replace(WON, metrics=(nothing,)))
    assert "A shrunken estimate cannot be given: control's value is not known or zero" in text
    assert CAUTION in text


def test_report__masked__has_no_result_in_any_body():
    hidden = replace(WON, masked=True, masked_why="the arms did not get their planned shares")
    report = build(hidden, SHIPPED, 1)
    text = as_markdown(report)
    assert "Results are masked" in text
    assert "1,005 units" in text
    assert report.winner is None
    for number in ("+2.00 pp", "12.00 %", "+1.95 pp", "0.0004", "5,000,000"):
        assert number not in text
    facts = json.loads(as_json(report))["facts"]
    assert not any(
        facts[name] for name in ("metrics", "guardrails", "readiness", "looks", "costs", "geo")
    )
    assert not any(isinstance(block, IntervalChart | LooksChart) for block in report.document)


def test_report__running__says_that_it_is_not_final():
    text = text_of(
        replace(
            WON,
            final=False,
            status="running",
            outcome="",
            winner="",
            rule="keep running; not yet met: clock",
        )
    )
    assert "Not final" in text
    assert "What the rules say now: Keep running; not yet met: clock." in text


def test_results__three_readings_side_by_side_with_drawings():
    document = build(WON, SHIPPED, 1).document
    tables = [block for block in document if isinstance(block, Table) and "Read" in block.columns]
    assert [row[1] for row in tables[0].rows] == ["control", "raw", "sequential", "CUPED"]
    assert tables[0].rows[1][4:6] == ("+2.00 pp", "+1.02 pp to +2.98 pp")
    chart = next(block for block in document if isinstance(block, IntervalChart))
    assert [estimate.label for estimate in chart.estimates] == ["Friendly", "sequential", "CUPED"]
    margins = [block.margin for block in document if isinstance(block, IntervalChart)]
    assert margins == [None, 0.02]
    assert any(isinstance(block, LooksChart) for block in document)


def test_plan__beside_what_happened__and_its_amendments():
    text = text_of(WON)
    assert "| End | 30 Mar 2026, 00:00 UTC | 17 Mar 2026, 00:00 UTC |" in text
    assert (
        "| Units: Friendly | 900 units | 1,005 units; 50.0 % of them planned, 49.9 % met |" in text
    )
    assert (
        "| 03 Mar 2026, 00:00 UTC | olivia | planned end | 2026-03-30 | 2026-04-10 | a holiday |"
        in text
    )
    assert "+2 pp" in text  # the margin


def test_markdown__peoples_words__stay_words():
    evil = replace(
        PLANNED,
        hypothesis="# Big\n<script>alert(1)</script> | [x](javascript:1)\n1. no list",
        expected_effect="**!**",
    )
    text = text_of(replace(WON, planned=evil, name="a | b <i>"))
    assert (
        "> \\# Big\n> \\<script>alert(1)\\</script> \\| \\[x\\](javascript:1)\n> 1\\. no list"
        in text
    )
    assert text.startswith("# a \\| b \\<i>\n")
    assert "\n# Big" not in text
    assert "greeting_v2" in text  # nothing inside a word is escaped


def test_json__names_verdict_winner_and_facts_and_holds_no_infinity():
    document = json.loads(as_json(build(WON, SHIPPED, 4)), parse_constant=pytest.fail)
    assert document["template_version"] == 4
    assert document["winner"]["arm"] == "b"
    assert document["facts"]["key"] == "greeting_v2"
    assert document["verdict"][0] == "Promoted: “Friendly”."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            SHIPPED + "\n{{secret}}\n",
            "{{secret}} is no place of a report; there are amendments, as_of,",
        ),
        (SHIPPED.replace("{{health}}", ""), "{{health}} is missing"),
        (SHIPPED + "\nSee {{plan}} above.\n", "must be alone on its line"),
        (SHIPPED + "\n# {{verdict}}\n", "must be alone on its line"),
        (SHIPPED + "\n{{ title|safe }}\n", "without its other half"),
        (SHIPPED + "\n{% load x %} {{title}\n", "without its other half"),
        (SHIPPED + "x" * 70_000, "at most 64,000 characters"),
    ],
)
def test_template__with_a_fault__is_refused_with_the_place(text, says):
    assert says in "; ".join(map(str, template_faults(text)))
    with pytest.raises(ImpossiblePlan, match="report template, version 2"):
        build(WON, text, 2)


def test_template__of_an_organisation__orders_and_words_the_report_its_own_way():
    own = (
        "# {{ title }} of {{owner}}\n\nFirst line\nsecond line.\n- one {{outcome}}\n- two\n"
        + "\n".join(f"{{{{{name}}}}}" for name in REQUIRED)
    )
    document = build(WON, own, 3).document
    assert document[0] == Heading(1, "Friendly greeting of olivia")
    assert document[1] == Words("First line second line.")
    assert document[2] == Items(("one promoted", "two"))


def test_fill__places_inside_words_come_from_facts_and_are_not_filled_again():
    assert fill("{{title}} ok", {"title": "{{verdict}}"}, {"verdict": (Words("no"),)}) == (
        Words("{{verdict}} ok"),
    )


def test_inline_places__all_say_something():
    assert all(say(WON) for say in INLINE.values())
