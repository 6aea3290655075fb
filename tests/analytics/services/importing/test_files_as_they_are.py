"""Moments, separators, spellings, gaps and repeated rows of imported files."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError

from analytics.models import Assignment, MetricObservation
from analytics.selectors.significance import latest_run
from analytics.services.analysis.analysis import analyse
from experiments.core.clock import utc_now
from experiments.models import Experiment
from tests.analytics.services.importing.conftest import analysed

pytestmark = pytest.mark.django_db
SPENT = ("--metric", "spent=spent:mean")


def table(rows: list[str], header: str = "id,arm,at,spent") -> str:
    return "\n".join([header, *rows]) + "\n"


def moments() -> list[datetime]:
    return list(Assignment.objects.order_by("user_id").values_list("exposure_ts", flat=True))


def findings(key: str = "trial") -> dict[str, str]:
    experiment = Experiment.objects.get(key=key)
    analyse(experiment.pk, now=utc_now())
    return {one["code"]: one["sentence"] for one in latest_run(experiment).health["findings"]}


NAIVE = table(
    [
        "1,A,2026-01-05 09:30:00,1",
        "2,B,2026-07-05 09:30:00,2",
        "3,A,2026-01-06,3",
        "4,B,2026-01-06T00:00Z,4",
    ]
)


def test_moments_without_a_zone__are_one_fault_that_names_the_option(bring) -> None:
    rows = [f"{k},{'AB'[k % 2]},2026-01-05 09:30:00,1" for k in range(50)]
    with pytest.raises(CommandError, match="50 faults") as refused:
        bring(table(rows), "--unit", "id", "--timestamp", "at", *SPENT)
    lines = str(refused.value).splitlines()
    assert len(lines) == 2 and "50 rows: column 'at'" in lines[1] and "--time-zone" in lines[1]
    assert lines[1].count("'2026-01-05 09:30:00'") == 3


def test_time_zone__places_moments_and_dates_that_have_none(bring) -> None:
    bring(NAIVE, "--unit", "id", "--timestamp", "at", "--time-zone", "Europe/Berlin", *SPENT)
    assert moments() == [
        datetime(2026, 1, 5, 8, 30, tzinfo=UTC),
        datetime(2026, 7, 5, 7, 30, tzinfo=UTC),
        datetime(2026, 1, 5, 23, 0, tzinfo=UTC),
        datetime(2026, 1, 6, 0, 0, tzinfo=UTC),
    ]


def test_time_zone__of_an_hour_that_never_was__is_a_fault(bring) -> None:
    text = table(["1,A,2026-03-29 02:30:00,1", "2,B,2026-03-29 03:30:00,2"])
    with pytest.raises(
        CommandError, match=r"line 2: .*clocks in Europe/Berlin never showed this time"
    ):
        bring(text, "--unit", "id", "--timestamp", "at", "--time-zone", "Europe/Berlin", *SPENT)


@pytest.mark.parametrize(
    ("form", "cells"),
    [
        ("%d.%m.%Y %H:%M", ("05.01.2026 09:30", "06.01.2026 10:00")),
        ("unix", ("1767601800", "1767690000")),
        ("unix-ms", ("1767601800000", "1767690000000")),
    ],
)
def test_date_format__reads_what_is_not_iso(bring, form, cells) -> None:
    text = table([f"1,A,{cells[0]},1", f"2,B,{cells[1]},2"])
    bring(
        text,
        "--unit",
        "id",
        "--timestamp",
        "at",
        "--date-format",
        form,
        "--time-zone",
        "Europe/Berlin",
        *SPENT,
    )
    minutes = (30, 0)
    hours = (8, 9)
    assert moments() == [datetime(2026, 1, 5 + k, hours[k], minutes[k], tzinfo=UTC) for k in (0, 1)]


def test_dates_in_another_form__name_the_option(bring) -> None:
    with pytest.raises(
        CommandError, match=r"--date-format names another form.*line 2 \('05\.01\.2026'\)"
    ):
        bring(
            table(["1,A,05.01.2026,1", "2,B,06.01.2026,2"]),
            "--unit",
            "id",
            "--timestamp",
            "at",
            *SPENT,
        )


@pytest.mark.parametrize(
    "words",
    [
        ("--date-format", "%H:%M"),
        ("--date-format", "%Q"),
        ("--time-zone", "Berlin"),
        ("--time-zone", "../x"),
    ],
)
def test_words_that_nobody_knows__are_refused_by_name(bring, words) -> None:
    with pytest.raises(CommandError, match=words[0]):
        bring(NAIVE, "--unit", "id", "--timestamp", "at", *words, *SPENT)


@pytest.mark.parametrize("first", ["sep=;\n", "\ufeffsep=;\r\n", '"sep=;"\n', "SEP=;\n"])
def test_a_first_line_that_says_the_separator__is_known_and_lines_keep_their_numbers(
    bring, first
) -> None:
    text = first + "id;arm;spent\n1;A;2,5\n2;B;x\n"
    with pytest.raises(
        CommandError,
        match=r"line 4: column 'spent': expected a finite number up to 1e\+100 \('x'\)",
    ):
        bring(text, "--unit", "id", *SPENT)
    bring(text.replace("x", "3"), "--unit", "id", *SPENT)
    assert MetricObservation.objects.get(user_id="1").value == 2.5


def test_arms_that_differ_in_case_and_white_space__are_one_arm_with_a_notice(bring) -> None:
    names = ["control", "Control ", "CONTROL", "Treatment", "treatment\u00a0", " treatment"]
    rows = [f"{k},{name},1" for k, name in enumerate(names)]
    printed = bring(
        table(rows, "id,arm,spent"),
        "--unit",
        "id",
        "--weight",
        "Control=50",
        "Treatment=50",
        *SPENT,
    )
    assert set(Experiment.objects.get().variants.values_list("name", "is_control")) == {
        ("Control", True),
        ("Treatment", False),
    }
    assert (
        "notice: 'Control' is also written 'control' (1 row), 'Control ' (1 row), 'CONTROL' (1 row)"
        in printed
    )
    assert "'treatment\\xa0' (1 row)" in printed


def test_control__is_found_in_any_spelling(bring) -> None:
    bring(
        table(["1,Old mail,1", "2,New mail,2"], "id,arm,spent"),
        "--unit",
        "id",
        "--control",
        "NEW  mail",
        *SPENT,
    )
    assert Experiment.objects.get().variants.get(is_control=True).name == "New mail"


GAPS = [f"{k},{'AB'[k % 2]},{k % 5},{k % 2}" for k in range(400)]


def test_an_empty_cell__is_refused_with_the_option_that_leaves_it_out(bring) -> None:
    rows = [*GAPS, "400,A,,1", "401,B,NA,1", "402,A,null,0", "403,B, ,0"]
    with pytest.raises(
        CommandError,
        match=r"4 rows: column 'spent' has no value; --skip-empty.*line 402 \(''\), line 403 \('NA'\)",
    ):
        bring(table(rows, "id,arm,spent,won"), "--unit", "id", *SPENT)


def test_skip_empty__leaves_units_without_a_value_out_of_that_metric_alone(bring) -> None:
    rows = [*GAPS, "400,A,,1", "401,B,3,NA"]
    metrics = (
        "--metric",
        "spent=spent:mean",
        "--metric",
        "won=won:proportion",
        "--metric",
        "n=spent:count",
    )
    printed = bring(table(rows, "id,arm,spent,won"), "--unit", "id", "--skip-empty", *metrics)
    assert Assignment.objects.count() == 402
    shown = analysed()
    assert "A                       n       200" in shown.split("spent (")[1]  # of 201 units
    assert "B                       n       200" in shown.split("won (")[1]
    assert "spent: 1 of 402 rows without a value (0.5% in A, 0.0% in B; p = 1)" in printed
    assert findings()["answers_missing"]


def test_skip_empty__tests_whether_arms_differ_in_who_has_a_value(bring) -> None:
    rows = [f"{k},{'AB'[k % 2]},{'' if k % 2 and k % 3 else k % 7},{k % 3}" for k in range(600)]
    metrics = (
        "--metric",
        "spent=spent:mean",
        "--metric",
        "per=spent/d:ratio",
        "--metric",
        "mid=spent:quantile:.5",
    )
    printed = bring(table(rows, "id,arm,spent,d"), "--unit", "id", "--skip-empty", *metrics)
    for name in ("spent", "per", "mid"):
        assert (
            f"warning: {name}: 200 of 600 rows without a value (0.0% in A, 66.7% in B; p = "
            in printed
        )
    assert "results compare only those who have one" in findings()["answers_differ"]


def test_skip_empty__leaves_an_unknown_covariate_out(bring) -> None:
    rows = [f"{k},{'AB'[k % 2]},{k % 9},{'' if k == 7 else k % 5}" for k in range(80)]
    with pytest.raises(CommandError, match=r"line 9: covariate 'age' has no value; --skip-empty"):
        bring(table(rows, "id,arm,spent,age"), "--unit", "id", "--covariate", "age", *SPENT)
    bring(
        table(rows, "id,arm,spent,age"),
        "--unit",
        "id",
        "--covariate",
        "age",
        "--skip-empty",
        *SPENT,
    )
    assert Assignment.objects.get(user_id="7").covariates is None
    assert "of the variance taken out" in analysed()


TWICE = [f"{k},{'AB'[k % 2]},2026-01-0{1 + k % 5},{k % 5}" for k in range(300)]


def test_repeated_units__are_one_fault_that_names_the_option(bring) -> None:
    rows = [*TWICE, *(f"{k},A,2026-01-09,1" for k in range(0, 100, 2))]
    with pytest.raises(
        CommandError,
        match=r"50 rows: a unit is on several lines; .*--duplicates first.*unit '0' was already on line 2",
    ):
        bring(table(rows), "--unit", "id", "--timestamp", "at", *SPENT)


def test_duplicates_first__keeps_the_earliest_row_and_counts_units_in_two_arms_as_crossovers(
    bring,
) -> None:
    rows = [*TWICE, "1,B,2025-12-31,99", "3,A,2026-01-09,77", "5,B,2026-01-09,77"]
    printed = bring(
        table(rows), "--unit", "id", "--timestamp", "at", "--duplicates", "first", *SPENT
    )
    assert (
        "notice: 3 rows left out, of 3 units with an earlier row, which counts; 1 unit among them with rows in several variants"
        in printed
    )
    assert MetricObservation.objects.count() == Assignment.objects.count() == 300
    assert MetricObservation.objects.get(user_id="1").value == 99
    crossed = Assignment.objects.get(crossover=True)
    assert (crossed.user_id, crossed.variant.name, crossed.exposure_count) == ("3", "B", 2)
    assert "met more than one variant" in findings()["crossover"]


def test_an_uneven_split_without_weights__is_masked_and_names_the_option(bring) -> None:
    rows = [f"{k},{'B' if k % 10 == 9 else 'A'},{k % 5}" for k in range(1000)]
    printed = bring(table(rows, "id,arm,spent"), "--unit", "id", *SPENT)
    assert (
        "warning: the arms did not get their planned shares (900 / 100" in printed
        and "--weight NAME=W" in printed
    )
    assert "--weight NAME=W" in findings()["srm"]
    assert "--weight NAME=W" in analysed().split("Results are masked")[1]
    told = bring(
        table(rows, "id,arm,spent"), "--unit", "id", "--weight", "A=90", "B=10", *SPENT, key="told"
    )
    assert "warning" not in told and "srm" not in findings("told")


def test_an_uneven_split_against_told_weights__says_nothing_of_the_option(bring) -> None:
    rows = [f"{k},{'B' if k % 10 == 9 else 'A'},{k % 5}" for k in range(1000)]
    bring(table(rows, "id,arm,spent"), "--unit", "id", "--weight", "A=50", "B=50", *SPENT)
    assert "planned shares" in findings()["srm"] and "--weight" not in findings()["srm"]


def test_faults_of_many_kinds__are_grouped_with_the_commonest_first(bring) -> None:
    rows = [*(f"{k},A,x,1" for k in range(5)), *(f"9{k},,1,1" for k in range(7)), "8,B,1"]
    with pytest.raises(CommandError) as refused:
        bring(table(rows, "id,arm,spent,won"), "--unit", "id", *SPENT)
    first, *kinds = str(refused.value).splitlines()
    assert "14 faults in the rows; nothing was imported" in first
    assert [kind.strip().partition(":")[0] for kind in kinds] == [
        "7 rows",
        "5 rows",
        "line 14",
        "line 2",
    ]


def test_ids_stay_as_they_are__white_space_is_refused_and_unicode_twins_are_named(bring) -> None:
    with pytest.raises(
        CommandError,
        match=r"2 rows: column 'id' has ids that cannot be used.*begins with white space \(U\+00A0",
    ):
        bring(table(["\u00a0a,A,1", "b ,B,1", "c,A,1"], "id,arm,spent"), "--unit", "id", *SPENT)
    printed = bring(
        table(["Zo\u00e9,A,1", "Zoe\u0301,B,2", "Ana,A,1"], "id,arm,spent"), "--unit", "id", *SPENT
    )
    assert "notice: 1 unit with the letters of another unit in other code points" in printed
    assert set(Assignment.objects.values_list("user_id", flat=True)) == {
        "Zo\u00e9",
        "Zoe\u0301",
        "Ana",
    }
