"""``manage.py import_geo`` and ``analyze``: from a file to what a person reads, on real pilots and
on hostile files.
"""

from __future__ import annotations

import csv
import io
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from analytics.models import AnalysisRun, GeoObservation, GeoPilot, Look
from experiments.models import ChangeLogEntry, Experiment
from tests.places import ROOT, VECTORS

pytestmark = pytest.mark.django_db
DATA = ROOT.parent / "shared" / "data"
REAL = pytest.mark.skipif(
    not (DATA / "njmin3.csv").exists(),
    reason="the real experiments' files are not beside the project",
)

ORGAN = (
    "--region",
    "State",
    "--period",
    "Quarter",
    "--value",
    "Rate",
    "--treated",
    "California",
    "--post",
    "Q32011,Q42011,Q12012",
)
WAGE = (
    "--pair-rows", "--treated-column", "nj", "--period", "d", "--post", "1", "--value", "fte", "--allow-missing", "--region-label", "store",
)  # fmt: skip

ROWS = """city,week,sales
Kazan,1,10
Kazan,2,11
Kazan,3,15
Perm,1,8
Perm,2,9
Perm,3,9.5
Omsk,1,7
Omsk,2,8
Omsk,3,8
"""
CITY = (
    "--region",
    "city",
    "--period",
    "week",
    "--value",
    "sales",
    "--treated",
    "Kazan",
    "--start-period",
    "3",
)


@pytest.fixture
def file(tmp_path):
    def write(text, name="pilot.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def imported(path, *words, key="pilot"):
    out = StringIO()
    call_command("import_geo", str(path), "--key", key, *words, stdout=out)
    return out.getvalue()


def printed(key="pilot", *words):
    out = StringIO()
    call_command("analyze", key, *words, stdout=out)
    return out.getvalue()


def organ_csv():
    known = json.loads((VECTORS / "organ_donations.json").read_text(encoding="utf-8"))
    out = io.StringIO()
    csv.writer(out).writerows(
        [("State", "Quarter", "Rate")]
        + [
            (state, period, v)
            for state, row in known["values"].items()
            for period, v in zip(known["periods"], row, strict=True)
        ]
    )
    return out.getvalue()


def wage_csv():
    """As the published file is written: semicolons, decimal commas, no store id, each group before
    and after in one order.
    """
    known = json.loads((VECTORS / "card_krueger.json").read_text(encoding="utf-8"))
    rows = ["nj;d;fte"]
    for nj, group in (("1", "treated"), ("0", "control")):
        for d, period in (("0", "before"), ("1", "after")):
            rows += [
                f"{nj};{d};{'' if v is None else str(v).replace('.', ',')}"
                for v in known[group][period]
            ]
    return "\n".join(rows)


def test_geo__one_treated_state_of_27__prints_the_effect_and_the_permutation_alone(file):
    said = imported(file(organ_csv()), *ORGAN)
    assert "27 regions, 1 treated and 26 control, 6 periods" in said
    assert "treated from Q32011 on" in said
    text = printed()
    assert "effect -0.0225" in text
    assert "p = .19, by permutation over 27 placements" in text
    assert "sequential (valid at any time): cannot say" in text
    assert "1 treated region of 27: clustered standard errors and the bootstrap do not hold" in text
    assert (
        "pre-trend: treated regions changed by +0.00147 more per period, p = .74 (permutation)"
        in text
    )
    assert "starts that never were: Q12011 +0.00609 (p = .48)" in text
    assert (
        "without one region: from -0.0243 (without New Hampshire) to -0.0177 (without Michigan)"
        in text
    )
    assert "without California: cannot say" in text
    assert "CR2" not in text


def test_geo__stores_paired_by_row__prints_the_published_effect_and_standard_error(file):
    assert "410 regions, 331 treated and 79 control, 2 periods, 26 cells not observed" in imported(
        file(wage_csv()), *WAGE
    )
    text = printed()
    assert "309 treated and 75 control regions, 2 periods" in text
    assert "effect +2.75 (standard error 1.34)" in text
    assert "fixed: [+0.0905, +5.41] at 95.0%, p = .043, by CR2 with Satterthwaite's t" in text
    assert "sequential (valid at any time): [-1.32, +6.82] at 95.0%, p = .46" in text
    assert "pre-trend: cannot say: one period before the start shows no trend" in text
    assert "left out, since not seen both before and after the start: nj=1 #8" in text


@REAL
def test_geo__real_organ_donations__give_the_same(file):
    imported(DATA / "organ_donations.csv", *ORGAN, key="organ")
    assert "effect -0.0225" in printed("organ")


@REAL
def test_geo__real_card_krueger__gives_the_same_and_the_pairing_holds(file):
    imported(
        DATA / "njmin3.csv",
        *WAGE,
        "--same",
        "bk,kfc,roys,wendys,CO_OWNED",
        "SOUTHJ,CENTRALJ,PA1,PA2",
        key="wage",
    )
    assert "effect +2.75 (standard error 1.34)" in printed("wage")


def test_geo__analyzed__is_a_run_and_one_line_in_the_changelog_but_no_look(file):
    imported(file(organ_csv()), *ORGAN)
    printed()
    printed()
    assert AnalysisRun.objects.count() == 1
    assert not Look.objects.exists()
    read = ChangeLogEntry.objects.get(action="geo_read")
    assert read.reason.startswith("difference-in-differences -0.0225, p = 0.19")


def test_geo__as_json__is_the_whole_view(file):
    imported(file(organ_csv()), *ORGAN)
    document = json.loads(printed("pilot", "--json"))
    assert document["result"]["estimate"] == pytest.approx(-0.022458974358974877)
    assert len(document["result"]["event_study"]) == 6
    assert document["treated"] == ["California"]


def test_geo__three_cities__is_the_difference_of_changes_and_says_what_is_out_of_reach(file):
    imported(file(ROWS), *CITY)
    text = printed()
    assert "effect +3.75" in text  # (15 − 10.5) − ((9.5 + 8)/2 − 8)
    assert "no p below 0.33" in text


def test_geo__status_column__finds_who_and_when(file):
    rows = ROWS.replace("sales", "sales,on").replace("\nKazan,3,15", "\nKazan,3,15,1")
    rows = "\n".join(
        line if line.count(",") == 3 else f"{line},0" for line in rows.strip().splitlines()
    )
    assert "1 treated and 2 control" in imported(file(rows), *CITY[:6], "--status-column", "on")
    assert GeoPilot.objects.get().start == 2


def test_geo__staggered_adoption__is_refused_with_the_reason(file):
    rows = "city,week,sales,on\n" + "".join(
        f"{city},{week},{week},{int(week >= start)}\n"
        for city, start in (("A", 2), ("B", 3), ("C", 9))
        for week in (1, 2, 3)
    )
    with pytest.raises(CommandError, match=r"A at 2; B at 3.*staggered adoption is refused"):
        imported(file(rows), *CITY[:6], "--status-column", "on")
    assert not Experiment.objects.exists()


def test_geo__periods_as_numbers_dates_and_words__are_ordered(file):
    text = ROWS.replace(",1,", ",9,").replace(",2,", ",10,").replace(",3,", ",11,")
    assert "periods in order: 9, 10, 11" in imported(file(text), *CITY[:-1], "11", key="numbers")
    text = "\n".join([*ROWS.strip().splitlines()[:1], *reversed(ROWS.strip().splitlines()[1:])])
    dates = (
        text.replace(",1,", ",2026-01-05,")
        .replace(",2,", ",2026-01-12,")
        .replace(",3,", ",2026-01-19,")
    )
    assert "periods in order: 2026-01-05, 2026-01-12, 2026-01-19" in imported(
        file(dates), *CITY[:-1], "2026-01-19", key="dates"
    )
    assert Experiment.objects.get(key="dates").start_ts.date().isoformat() == "2026-01-19"
    words = text.replace(",1,", ",w one,").replace(",2,", ",w two,").replace(",3,", ",w three,")
    assert "w one, w two, w three" in imported(
        file(words), *CITY[:-1], "w three", "--order", "w one,w two,w three", key="words"
    )


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("", CITY, "empty"),
        ("city,week,sales\n", CITY, "no rows"),
        (b"\xff\xfe\x00", CITY, "UTF-8"),
        (ROWS.replace("sales", "turnover"), CITY, "no column 'sales'"),
        (ROWS.replace("9.5", ""), CITY, "line 7: column 'sales' has no value; --allow-missing"),
        (ROWS.replace("9.5", "NaN"), CITY, "line 7: column 'sales' has no value"),
        (ROWS.replace("9.5", "inf"), CITY, "line 7: column 'sales': expected a finite number"),
        (ROWS.replace("9.5", "9,5"), CITY, "line 7: 4 cells where the header has 3"),
        (ROWS.replace("Perm,3", "Perm,2"), CITY, "line 7: a region is twice.*region 'Perm' in period '2' was already on line 6"),
        (ROWS.replace("Perm,3", ",3"), CITY, "line 7: column 'city' is empty"),
        (ROWS.replace("Perm,3", "Perm,"), CITY, "line 7: column 'week' is empty"),
        (ROWS.replace("Perm", "P" * 201), CITY, "longer than 200"),
        (ROWS, (*CITY[:-4], "--treated", "Kazan,Pskov", "--start-period", "3"), "treated region 'Pskov' is not in the panel"),
        (ROWS, (*CITY[:-1], "4"), "start period '4' is not in the file; it has 1, 2, 3"),
        (ROWS, (*CITY[:-1], "1"), "after are all"),
        (ROWS, (*CITY[:-2], "--post", "2"), "period '3' comes after '2' and is not treated"),
        (ROWS, (*CITY[:-2], "--post", "3,4"), "post period '4' is not in the panel"),
        (ROWS, (*CITY[:-4], "--treated", "Kazan", "Perm", "Omsk", "--start-period", "3"), "treated are all 3"),
        (ROWS, CITY[:-2], "does not say when treatment began"),
        (ROWS, (*CITY[:6], "--status-column", "week", "--post", "3"), "says itself when treatment began"),
        (ROWS, (*CITY[:6], "--status-column", "week"), "rows: column 'week': expected 1 or 0.* line 3"),
        (ROWS, ("--pair-rows", *CITY[2:]), "--treated-column has to say"),
        (ROWS, (*CITY, "--order", "1,2"), "the order names no period '3'"),
        (ROWS, (*CITY, "--same", "sales"), "column 'sales' differs within a unit.*line 3 .'Kazan': '11', and on line 2 '10'"),
        (ROWS, (*CITY, "--confidence", "1.5"), "(?i)confidence"),
        (ROWS, (*CITY, "--owner", "nobody"), "no user 'nobody'"),
    ],
)  # fmt: skip
def test_geo__bad_input__says_where_and_stores_nothing(file, text, words, message):
    with pytest.raises(CommandError, match=message):
        imported(file(text), *words)
    assert not any(
        model.objects.exists() for model in (Experiment, GeoPilot, GeoObservation, ChangeLogEntry)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("0;1;", "1;1;", 1),
            "rows cannot be paired: those with nj = 0 are 79 in period 0, 78 in period 1",
        ),
        (lambda text: text.replace("nj;d", "nj;when"), "no column 'd'"),
        (lambda text: text.replace("0;1;", "x;1;", 1), "column 'nj': expected 1 or 0"),
    ],
)
def test_geo__rows_that_cannot_be_paired__are_refused(file, change, message):
    with pytest.raises(CommandError, match=message):
        imported(file(change(wage_csv())), *WAGE)


def test_geo__region_treated_here_and_not_there__is_refused(file):
    rows = "city,week,sales,t\nA,1,1,1\nA,2,2,0\nB,1,1,0\nB,2,1,0\n"
    with pytest.raises(
        CommandError,
        match=r"line 3: column 't' differs within a region.*region 'A', otherwise on line 2",
    ):
        imported(file(rows), *CITY[:6], "--treated-column", "t", "--post", "2")


def test_geo__treatment_that_ends__is_refused(file):
    rows = "city,week,sales,on\nA,1,1,0\nA,2,2,1\nA,3,2,0\nB,1,1,0\nB,2,1,0\nB,3,1,0\n"
    with pytest.raises(
        CommandError, match="region 'A' is treated in '2' and not in '3': treatment stays"
    ):
        imported(file(rows), *CITY[:6], "--status-column", "on")


def test_geo__the_same_key_twice__is_refused(file):
    imported(file(ROWS), *CITY)
    with pytest.raises(CommandError, match="taken"):
        imported(file(ROWS), *CITY)
    assert GeoPilot.objects.count() == 1


def test_geo__unreadable_file__says_so(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        imported(tmp_path / "absent.csv", *CITY)


def test_import_geo__numbers_that_can_be_read_in_two_ways__are_refused_and_the_option_decides(file):
    text = ROWS.replace(",", ";").replace("9.5", "1.250").replace("15", "1.500")
    with pytest.raises(CommandError, match=r"'1\.500' on line 4 is 1\.5 .* or 1500 "):
        imported(file(text), *CITY)
    assert not GeoPilot.objects.exists()
    printed = imported(file(text), *CITY, "--decimal", ",")
    assert (
        "numbers as read (decimal comma, a point between thousands): sales: 10, 11, 1500" in printed
    )
    assert GeoObservation.objects.filter(value=1500).exists()


def test_import_geo__months_that_look_like_decimals__are_refused_until_their_order_is_said(file):
    months = [f"2019.{month}" for month in (6, 7, 8, 9, 10, 11, 12)]
    rows = [
        f"{city},{month},{10 + k + (5 if city == 'Kazan' and k > 4 else 0)}"
        for city in ("Kazan", "Perm", "Omsk")
        for k, month in enumerate(months)
    ]
    path = file("city,week,sales\n" + "\n".join(rows) + "\n")
    words = (
        "--region",
        "city",
        "--period",
        "week",
        "--value",
        "sales",
        "--treated",
        "Kazan",
        "--start-period",
        "2019.11",
    )
    with pytest.raises(
        CommandError, match=r"two ways: 2019\.10, 2019\.11, .* or 2019\.6, 2019\.7, .* --order"
    ):
        imported(path, *words)
    assert (
        "periods in order: 2019.6, 2019.7, 2019.8, 2019.9, 2019.10, 2019.11, 2019.12; treated from 2019.11 on"
        in imported(path, *words, "--order", ",".join(months))
    )


def test_import_geo__files_as_they_are__are_read(file):
    """A line for the separator, another date form, two spellings of a region, a row that is there
    twice.
    """
    rows = ["kazan ;02.2026;99"]
    for k, city in enumerate(("Kazan", "Perm", "Omsk")):
        rows += [
            f"{city};{month:02}.{year};{10 + k + month}"
            for year, month in ((2026, 2), (2026, 1), (2025, 12))
        ]
    path = file("sep=;\ncity;week;sales\n" + "\n".join(rows) + "\n")
    words = (
        "--region",
        "city",
        "--period",
        "week",
        "--value",
        "sales",
        "--treated",
        "KAZAN",
        "--start-period",
        "02.2026",
    )
    with pytest.raises(
        CommandError,
        match=r"line 4: a region is twice in a period.*--duplicates first.*already on line 3",
    ):
        imported(path, *words, "--date-format", "%m.%Y")
    printed = imported(path, *words, "--date-format", "%m.%Y", "--duplicates", "first")
    assert "periods in order: 12.2025, 01.2026, 02.2026; treated from 02.2026 on" in printed
    assert "'kazan' is also written 'Kazan' (3 rows), 'kazan ' (1 row)" in printed
    assert "1 row left out, of a region and period" in printed
    assert sorted(
        GeoObservation.objects.filter(region__name="kazan").values_list("value", flat=True)
    ) == [11, 22, 99]


def with_periods(*names):
    """The three cities, their three weeks under other names."""
    rows = ROWS
    for week, name in enumerate(names, 1):
        rows = rows.replace(f",{week},", f",{name},")
    return rows


def at(*names):
    return (*CITY[:-1], names[-1])


def order_printed(text):
    return text.partition("periods in order: ")[2].partition(";")[0].split(", ")


def test_import_geo__moments__are_ordered_as_moments(file):
    """01:30 in summer time comes before 01:30Z; as text, and in the file's order, it does not."""
    names = ("2026-07-05T01:30:00Z", "2026-07-05T02:30:00+03:00", "2026-07-05T02:30:00Z")
    printed = imported(file(with_periods(*names)), *at(*names))
    assert order_printed(printed) == [names[1], names[0], names[2]]


def test_import_geo__clock_times_beside_moments__are_placed_by_the_zone_that_is_said(file):
    names = ("2026-07-05T01:30:00", "2026-07-05T00:00:00Z", "2026-07-05T02:30:00Z")
    path = file(with_periods(*names))
    with pytest.raises(
        CommandError, match="'2026-07-05T01:30:00' has no zone, and others have: --time-zone says"
    ):
        imported(path, *at(*names))
    assert order_printed(
        imported(path, *at(*names), "--time-zone", "Europe/Berlin", key="berlin")
    ) == list(names)
    assert order_printed(imported(path, *at(*names), "--time-zone", "UTC", key="utc")) == [
        names[1],
        names[0],
        names[2],
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--time-zone", "Mars/Olympus"),
            "--time-zone 'Mars/Olympus': expected a name such as Europe/Berlin",
        ),
        (("--time-zone", "Europe/Berlin"), "period '1': expected a date or an ISO 8601 moment"),
        (
            ("--time-zone", "UTC", "--order", "1,2,3"),
            "--order says the order of the periods itself: leave out --time-zone",
        ),
        (("--cluster", "city"), "--cluster: the region is the cluster of a geo pilot"),
    ],
)
def test_import_geo__option_that_makes_no_sense_here__is_refused_with_a_sentence(
    words, message, file
):
    with pytest.raises(CommandError, match=message):
        imported(file(ROWS), *CITY, *words)
    assert not Experiment.objects.exists()


def test_import_geo__one_moment_in_two_ways__is_refused(file):
    names = ("2026-07-05T01:30:00Z", "2026-07-05T03:30:00+02:00", "2026-07-05T02:30:00Z")
    with pytest.raises(CommandError, match="are the same moment; write it in a single way"):
        imported(file(with_periods(*names)), *at(*names))
