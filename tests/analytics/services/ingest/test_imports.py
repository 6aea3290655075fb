"""An experiment from elsewhere: brought in whole, or not at all."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Avg, Count

from analytics.core.intake.ingest_items import ObservationItem
from analytics.models import Assignment, EventId, IngestTally, MetricObservation
from analytics.selectors.results import view_of
from analytics.selectors.significance import latest_run
from analytics.services.ingest.ingest import IngestIdentity, ingest_observations
from experiments.core.clock import utc_now
from experiments.core.types import Origin, Outcome, Status
from experiments.models import ChangeLogEntry, Experiment, Iteration, Metric
from experiments.services.ground.publishing import publish
from tests.places import ROOT

pytestmark = pytest.mark.django_db
DATA = ROOT.parent / "shared" / "data"
REAL = pytest.mark.skipif(
    not (DATA / "cookie_cats.csv").exists(),
    reason="the real experiments' files are not beside the project",
)

ROWS = """id,group,seen,bought,spent,age
1,A,2026-01-05,TRUE,2.5,30
2,B,2026-01-06,FALSE,0,41
3,A,2026-01-06,0,0,22
4,B,2026-01-07,1,7.25,35
"""
METRICS = ("bought=bought:proportion", "spent=spent:mean")


@pytest.fixture
def file(tmp_path):
    def write(text, name="trial.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def run(path, *, key="trial", unit="id", variant="group", metrics=METRICS, **named):
    """The command as typed: lists become repeated words, None leaves an option out."""
    options = {"key": key, "unit": unit, "variant": variant, "metric": list(metrics), **named}
    words = []
    for name, value in options.items():
        if value is not None:
            words += [
                f"--{name.replace('_', '-')}",
                *(value if isinstance(value, list) else [value]),
            ]
    call_command("import_experiment", str(path), *words)
    return Experiment.objects.get(key=key)


def nothing_stored():
    return not any(
        model.objects.exists()
        for model in (Experiment, Iteration, Assignment, MetricObservation, EventId, ChangeLogEntry)
    )


def values(metric):
    return dict(
        MetricObservation.objects.filter(metric_name=metric).values_list("user_id", "value")
    )


def test_import__a_good_file__is_a_completed_experiment_without_flag_layer_or_buckets(file):
    made = run(file(ROWS), timestamp="seen", covariate=["age"])
    iteration = made.iterations.get()
    assert (made.status, made.outcome, made.origin, made.flag_id) == (
        Status.COMPLETED,
        Outcome.NONE,
        Origin.IMPORT,
        None,
    )
    assert (iteration.layer_id, iteration.buckets.count(), iteration.number) == (None, 0, 1)
    assert iteration.started_at == datetime(
        2026, 1, 5, tzinfo=UTC
    ) and iteration.ended_at == datetime(2026, 1, 8, tzinfo=UTC)
    assert [v["key"] for v in iteration.design["variants"]] == ["A", "B"]
    assert (
        ChangeLogEntry.objects.filter(experiment=made, action="import", reason="trial.csv").count()
        == 1
    )


def test_import__units_and_values__arrive_as_in_the_file(file):
    made = run(file(ROWS), timestamp="seen", covariate=["age"])
    rows = Assignment.objects.filter(experiment=made)
    assert {(r.user_id, r.variant.name, r.origin, r.covariates["age"]) for r in rows} == {
        ("1", "A", "import", 30), ("2", "B", "import", 41), ("3", "A", "import", 22), ("4", "B", "import", 35),
    }  # fmt: skip
    assert values("bought") == {"1": 1, "2": 0, "3": 0, "4": 1}
    assert values("spent") == {"1": 2.5, "2": 0, "3": 0, "4": 7.25}
    assert set(MetricObservation.objects.values_list("experiment_id", "variant", "origin")) == {
        (made.id, "A", "import"),
        (made.id, "B", "import"),
    }


def test_import__metrics__are_defined_and_planned_first_one_primary(file):
    made = run(file(ROWS), timestamp="seen")
    plan = list(
        made.planned_metrics.order_by("role").values_list(
            "role", "metric__key", "metric__aggregation", "metric__attribution"
        )
    )
    assert plan == [
        ("primary", "bought", "any", "stamped"),
        ("secondary", "spent", "sum", "stamped"),
    ]
    assert not Metric.objects.get(key="bought", current=True).exploratory


def test_import__a_name_that_means_something_else_here__gets_the_experiments_in_front(file):
    shipped = Metric.objects.filter(shipped=True, current=True).first()
    made = run(file(ROWS), metrics=[f"{shipped.key}=bought:proportion"])
    assert made.planned_metrics.get().metric.key == f"trial_{shipped.key}"
    assert Metric.objects.get(key=shipped.key, current=True) == shipped


def test_import__twice_from_the_same_units__keeps_the_experiments_apart(file):
    first, second = run(file(ROWS)), run(file(ROWS), key="again")
    assert (
        Assignment.objects.filter(experiment=first).count()
        == Assignment.objects.filter(experiment=second).count()
        == 4
    )
    with pytest.raises(CommandError, match="taken"):
        run(file(ROWS))
    assert Experiment.objects.count() == 2


def test_import__byte_order_mark_semicolons_and_decimal_commas__are_understood(file):
    made = run(file(b"\xef\xbb\xbfid;group;bought;spent\r\n1;A;True;2,5\r\n2;B;false;0\r\n"))
    assert values("spent") == {"1": 2.5, "2": 0} and made.variants.count() == 2


def test_import__no_unit_column__names_units_by_row(file):
    run(file(ROWS), unit=None)
    assert set(Assignment.objects.values_list("user_id", flat=True)) == {
        "row-1",
        "row-2",
        "row-3",
        "row-4",
    }


def test_import__weights_and_control__are_kept(file):
    made = run(file(ROWS), weight=["B=0.25", "A=0.75"], control="B")
    assert list(made.variants.values_list("name", "weight", "is_control")) == [
        ("B", 250, True),
        ("A", 750, False),
    ]


def test_import__control_in_the_middle_of_the_file__is_the_first_of_the_arms_and_keeps_its_name(
    file, capsys
):
    made = run(file(ROWS.replace("1,A", "1,Z mail").replace("3,A", "3,Z mail")), control="B")
    assert list(made.variants.values_list("name", "is_control")) == [("B", True), ("Z mail", False)]
    call_command("analyze", "trial")
    assert "control vs Z mail: " in capsys.readouterr().out


def test_import__by_tenant__keeps_the_unit_type(file):
    run(file(ROWS), unit_type="tenant")
    assert set(Assignment.objects.values_list("unit_type", flat=True)) == {"tenant"}
    assert MetricObservation.objects.first().units.keys() == {"tenant"}


def test_import__old_data__is_never_late(file):
    run(file(ROWS), start="2019-05-01")
    assert not IngestTally.objects.filter(outcome="late").exists()
    assert Assignment.objects.first().exposure_ts == datetime(2019, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "named", "message"),
    [
        ("", {}, "empty"),
        ("id,group,bought,spent\n", {}, "no rows"),
        (b"\xff\xfe\x00", {}, "UTF-8"),
        (ROWS, {"unit": "customer"}, "no column 'customer'"),
        (ROWS, {"metrics": ["x=nowhere:mean"]}, "no column 'nowhere'"),
        (
            ROWS,
            {"weight": ["A=0.5", "C=0.5"]},
            "2 rows: column 'group' names a variant without a weight; there are A, C; for example line 3 \\('B'\\), line 5",
        ),
        (ROWS, {"weight": ["A=0.5", "B=0.4"]}, "sum to 0.9"),
        (ROWS, {"weight": ["A=half", "B=half"]}, "--weight"),
        (ROWS, {"control": "C"}, "control 'C' is no variant"),
        (
            ROWS,
            {"metrics": ["bought=spent:proportion"]},
            "column 'spent': expected true or false.*line 2",
        ),
        (ROWS, {"metrics": ["bought=bought:median"]}, "--metric"),
        (ROWS, {"start": "2026-01-05T12:00:00"}, "no zone: --time-zone"),
        (ROWS, {"key": "Not A Key"}, "(?i)key"),
        (ROWS.replace("7.25", "NaN"), {}, "line 5: column 'spent' has no value"),
        (ROWS.replace("7.25", "inf"), {}, "line 5: column 'spent': expected a finite number"),
        (
            ROWS.replace("7.25", "1e200"),
            {},
            "line 5: column 'spent': expected a finite number up to 1e",
        ),
        (ROWS.replace("7.25", ""), {}, "line 5: column 'spent' has no value"),
        (
            ROWS.replace("4,B", "1,B"),
            {},
            "line 5: a unit is on several lines.*--duplicates first.*unit '1' was already on line 2",
        ),
        (ROWS.replace("4,B", ",B"), {}, "line 5: column 'id'.*a unit's id is empty"),
        (ROWS.replace("4,B", "4,"), {}, "line 5: column 'group' is empty"),
        (ROWS.replace(",35\n", "\n"), {}, "line 5: 5 cells where the header has 6"),
        (
            ROWS.replace("2026-01-07", "2026-01-07 10:00"),
            {"timestamp": "seen"},
            "line 5: column 'seen'.*no zone",
        ),
        (ROWS.replace(",B,", ",A,"), {}, "at least two variants"),
    ],
)
def test_import__bad_input__says_where_and_stores_nothing(file, text, named, message):
    with pytest.raises(CommandError, match=message):
        run(file(text), **named)
    assert nothing_stored()


def test_import__unreadable_file__says_so(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        run(tmp_path / "absent.csv")


def test_import__fails_half_way__leaves_nothing(file, monkeypatch):
    from analytics.services.importing import imports

    monkeypatch.setattr(imports, "CHUNK", 2)
    store, calls = imports.ingest_observations, []

    def second_time_broken(*args, **named):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("the disk is gone")
        return store(*args, **named)

    monkeypatch.setattr(imports, "ingest_observations", second_time_broken)
    with pytest.raises(RuntimeError):
        run(file(ROWS))
    assert len(calls) == 2 and nothing_stored()


@pytest.mark.django_db(transaction=True)
def test_import__while_it_runs__lets_others_publish_ingest_and_make_days(file, monkeypatch):
    from analytics.management.commands import import_experiment as command

    others = []

    def look_around(_self, done, total):
        thread = threading.Thread(target=live_batch)
        thread.start()
        thread.join(10)

    def live_batch():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '3s'")
            item = ObservationItem(
                event_id="live", units={"user": "u1"}, metric="apply_rate", value=1.0
            )
            result = ingest_observations([item], now=utc_now(), identity=IngestIdentity())
            others.append((result.accepted, publish(utc_now(), reason="meanwhile").kind))
        finally:
            connection.close()

    monkeypatch.setattr(command.Command, "progress", look_around)
    run(file(ROWS))
    assert others == [(1, "catalogue")]


@REAL
@pytest.mark.slow
def test_import__cookie_cats__has_its_published_rates(capsys):
    metrics = (
        "retention_1=retention_1:proportion",
        "retention_7=retention_7:proportion",
        "rounds=sum_gamerounds:mean",
    )
    made = run(
        DATA / "cookie_cats.csv",
        key="cookie_cats",
        unit="userid",
        variant="version",
        metrics=metrics,
    )
    assert dict(
        Assignment.objects.filter(experiment=made)
        .values_list("variant__name")
        .annotate(Count("id"))
    ) == {
        "gate_30": 44700,
        "gate_40": 45489,
    }
    rates = (
        MetricObservation.objects.filter(metric_name="retention_7")
        .values_list("variant")
        .annotate(Avg("value"))
    )
    assert {variant: round(rate, 4) for variant, rate in rates} == {
        "gate_30": 0.1902,
        "gate_40": 0.1820,
    }
    assert "90,189 of 90,189" in capsys.readouterr().out


@REAL
@pytest.mark.slow
def test_import__hillstrom__has_its_three_arms():
    metrics = ("visit=visit:proportion", "conversion=conversion:proportion", "spend=spend:mean")
    options = {
        "unit": None,
        "variant": "segment",
        "metrics": metrics,
        "control": "No E-Mail",
        "covariate": ["history"],
    }
    made = run(DATA / "hillstrom.csv", key="hillstrom", **options)
    arms = dict(
        Assignment.objects.filter(experiment=made)
        .values_list("variant__name")
        .annotate(Count("id"))
    )
    assert arms == {"No E-Mail": 21306, "Womens E-Mail": 21387, "Mens E-Mail": 21307}
    spend = (
        MetricObservation.objects.filter(metric_name="spend")
        .values_list("variant")
        .annotate(Avg("value"))
    )
    assert {variant: round(mean, 3) for variant, mean in spend} == {
        "No_E-Mail": 0.653,
        "Womens_E-Mail": 1.077,
        "Mens_E-Mail": 1.423,
    }


GERMAN = (
    "group;spend\n"
    + "\n".join(f"{'AB'[k % 2]};{950 + k if k % 3 else '1.' + str(200 + k)}" for k in range(60))
    + "\n"
)


def test_import__numbers_that_can_be_read_in_two_ways__are_refused_with_both_readings_and_the_options(
    file,
):
    with pytest.raises(CommandError, match="can be read in two ways") as refused:
        run(file(GERMAN), unit=None, metrics=("spend=spend:mean",))
    assert "'1.200' on line 2 is 1.2" in str(refused.value)
    assert "or 1200" in str(refused.value)
    assert "--decimal" in str(refused.value)
    assert nothing_stored()


def test_import__decimal_comma_said__reads_points_as_thousands_and_shows_the_first_values(
    file, capsys
):
    run(file(GERMAN), unit=None, metrics=("spend=spend:mean",), decimal=",")
    assert (
        "numbers as read (decimal comma, a point between thousands): spend: 1200, 951, 952"
        in capsys.readouterr().out
    )
    assert MetricObservation.objects.aggregate(found=Avg("value"))["found"] > 950


def test_import__columns_with_different_decimal_marks__are_refused(file):
    with pytest.raises(CommandError, match="one file has one decimal mark"):
        run(
            file("group;spend;age\nA;1.5;30,5\nB;2.5;31,5\n"),
            unit=None,
            metrics=("spend=spend:mean",),
            covariate=["age"],
        )


@pytest.mark.parametrize("word", ["n", "no", "f", "y"])
def test_import__a_word_among_numbers__is_a_fault_with_its_line(file, word):
    with pytest.raises(
        CommandError, match=f"line 3: column 'spend': '{word}' beside numbers such as '86'"
    ):
        run(file(f"group,spend\nA,86\nB,{word}\nA,100\n"), unit=None, metrics=("spend=spend:mean",))


def test_import__a_column_of_one_pair_of_words__counts_as_1_and_0(file):
    run(
        file("group,bought\nA,yes\nB,no\nA,no\nB,yes\n"),
        unit=None,
        metrics=("bought=bought:count",),
    )
    assert MetricObservation.objects.aggregate(found=Avg("value"))["found"] == 0.5


def test_import__one_event_in_a_small_arm__is_unclear_in_every_place(file, capsys):
    """0 of 2,000 against 1 of 200: the exact test says p = .091, Newcombe's interval leaves 0
    out.
    """
    rows = "".join("a,0\n" for _ in range(2000)) + "b,1\n" + "".join("b,0\n" for _ in range(199))
    run(
        file("group,hit\n" + rows),
        unit=None,
        metrics=("hit=hit:proportion",),
        weight=["a=91", "b=9"],
    )
    call_command("analyze", "trial")
    printed = capsys.readouterr().out
    assert "p = .091: unclear" in printed
    assert "unclear: the interval excludes 0, but p = 0.091 is above its level of 0.05" in printed
    (row,) = view_of(latest_run(Experiment.objects.get())).metrics
    assert [one.verdict for one in row.comparisons] == ["unclear"]


def test_import__one_test_arm_and_two_exploratory_metrics__shows_adjusted_p_values(file, capsys):
    rows = "".join(f"{'ab'[k % 2]},{k % 7},{k % 5},{k % 3}\n" for k in range(60))
    run(file("group,x,y,z\n" + rows), unit=None, metrics=("x=x:mean", "y=y:mean", "z=z:mean"))
    call_command("analyze", "trial")
    assert capsys.readouterr().out.count(", BH ") == 2
