"""What the spool keeps when processes die, databases go away, disks fill up and drainers meet."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import psycopg
import pytest
from django.db import OperationalError, connection

from analytics.models import Assignment, IngestTally
from analytics.services.ingest import drain
from analytics.services.ingest.ingest import record_or_refuse
from experiments.core.errors import AssayError, Conflict
from experiments.core.serving.exposure import QueuedExposure, from_line, to_line
from experiments.metrics import EXPOSURES_DROPPED
from experiments.models import Iteration
from experiments.services.serving import spool, spool_progress
from tests.places import ROOT
from tests.serving_cast import NOW, launched

WRITER = """
import os, sys, django
from datetime import datetime, UTC
django.setup()
from experiments.core.serving.exposure import QueuedExposure
from experiments.services.serving import spool, spool_progress
experiment, iteration, variant = map(int, sys.argv[1:4])
for n in range(10**9):
    at = datetime(2026, 3, 10, 12, tzinfo=UTC)
    spool.append(QueuedExposure(f"{os.getpid()}-{n}", experiment, iteration, variant, "user", f"u{n}", at))
    print(n, flush=True)
"""


@pytest.fixture(autouse=True)
def spool_folder(tmp_path, settings):
    spool.release()  # what another test of this process has begun would be written on
    settings.SPOOL = tmp_path / "spool"
    yield settings.SPOOL
    spool.release()


@pytest.fixture
def where(db):
    made = launched()
    return made.id, Iteration.objects.get(experiment=made).id, made.variants.get(key="control").id


@pytest.fixture
def where_committed(transactional_db):
    made = launched()
    return made.id, Iteration.objects.get(experiment=made).id, made.variants.get(key="control").id


def met(where, event_id, unit=None, **named):
    return QueuedExposure(event_id, *where, "user", unit or event_id, NOW, **named)


def writer(where, folder):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *map(str, where)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "ASSAY_SPOOL": str(folder)},
    )


def files(folder):
    return sorted(path.name for path in folder.glob("*.jsonl"))


def test_line__comes_back_as_written():
    written = met(
        (1, 2, 3),
        "x1",
        "пользователь-1",
        bucket=7,
        covariates={"visits": 3},
        context={"page": "search"},
    )
    assert from_line(to_line(written)) == written


def test_append__is_one_line_in_a_file_of_this_process(spool_folder):
    assert spool.append(met((1, 2, 3), "x1")) and spool.append(met((1, 2, 3), "x2"))
    (path,) = spool.waiting()
    assert [json.loads(line)["id"] for line in path.read_bytes().splitlines()] == ["x1", "x2"]
    assert oct(spool_folder.stat().st_mode & 0o777) == "0o700"


def test_drain__takes_what_was_appended_and_removes_the_file(where, spool_folder):
    for n in range(2500):
        spool.append(met(where, f"x{n}", f"u{n % 2000}"))
    assert drain.drain_once(NOW) == drain.Drained(files=1, stored=2500)
    assert Assignment.objects.count() == 2000
    assert files(spool_folder) == []


def test_drain__torn_and_foreign_lines__cost_only_themselves(where, spool_folder):
    spool.append(met(where, "x1"))
    spool.release()
    (path,) = spool.waiting()
    unknown = met((where[0], where[1] + 999, where[2]), "x3")
    path.write_bytes(
        path.read_bytes()
        + b"garbage\n"
        + to_line(unknown)
        + to_line(met(where, "x2"))
        + to_line(met(where, "x4"))[:-9]
    )
    done = drain.drain_once(NOW)
    assert (done.stored, done.rejected) == (2, 3)
    assert (spool_folder / drain.REJECTED).read_bytes().count(b"\n") == 3


def test_drain__a_line_the_database_refuses__costs_only_itself(where):
    spool.append(met(where, "x1"))
    spool.append(met(where, "x2", bucket=10**6))
    spool.append(met(where, "x3"))
    done = drain.drain_once(NOW)
    assert (done.stored, done.rejected) == (2, 1)


def test_drain__same_lines_twice__count_once(where):
    for _ in range(2):
        spool.append(met(where, "x1"))
        spool.append(met(where, "x2"))
        spool.release()
        drain.drain_once(NOW)
    assert Assignment.objects.filter(exposure_count=1).count() == 2
    assert IngestTally.objects.get(door="exposure", outcome="duplicate").count == 2


def test_drain__file_of_a_living_writer__is_left_alone(where, spool_folder):
    process = writer(where, spool_folder)
    try:
        assert process.stdout.readline() == "0\n"
        assert drain.drain_once(NOW).files == 0
        assert len(files(spool_folder)) == 1
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_writer_killed__everything_it_appended_is_adopted(where, spool_folder):
    process = writer(where, spool_folder)
    for _ in range(300):
        last = process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().splitlines()
    process.wait()
    process.stdout.close()
    acknowledged = int(rest[-1] if rest else last) + 1
    done = drain.drain_once(NOW)
    # The kill may fall between the append and its report.
    assert acknowledged <= done.stored <= acknowledged + 1
    assert Assignment.objects.count() == done.stored and done.rejected == 0
    assert files(spool_folder) == []


DRAINER = """
import os, sys, time, django
django.setup()
from experiments.core.clock import utc_now
from analytics.services.ingest import drain
def store(lines, now, since):
    print(len(lines), lines[0].decode().strip(), flush=True)
    if lines[0] == b"100\\n":
        time.sleep(60)  # amid its third batch
    return drain.Drained(stored=len(lines))
drain._drain_lines = store
drain.drain_once(utc_now())
"""


def drainer(folder):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ASSAY_SPOOL": str(folder),
    }
    return subprocess.Popen(
        [sys.executable, "-c", DRAINER],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_drainer_killed_amid_a_file__the_next_goes_on_behind_what_was_stored(
    spool_folder, monkeypatch
):
    spool.append_lines([b"%d\n" % n for n in range(230)])
    (path,) = spool.waiting()
    spool.release()
    with drainer(spool_folder) as process:
        begun = [process.stdout.readline().split() for _ in range(3)]
        process.kill()
    assert begun == [["50", "0"], ["50", "50"], ["50", "100"]]
    stored = []
    monkeypatch.setattr(
        drain,
        "_drain_lines",
        lambda lines, now, since: stored.extend(lines) or drain.Drained(stored=len(lines)),
    )
    assert drain._lines(path) == 130
    drain.drain_once(NOW)
    assert stored == [b"%d\n" % n for n in range(100, 230)]
    assert list(spool_folder.iterdir()) == []


@pytest.mark.parametrize("written", [b"", b"nonsense", b"-3", b"5", b"999999"])
def test_progress_that_cannot_be__counts_as_none(spool_folder, written):
    spool.append_lines([b"a line\n", b"another\n"])
    (path,) = spool.waiting()
    path.with_name(path.name + spool_progress.SUFFIX).write_bytes(written)
    assert spool_progress.stored_bytes(path) == 0


def test_database_down_then_up__nothing_is_lost_and_files_do_not_pile_up(
    where, spool_folder, monkeypatch
):
    def away(*_args, **_named):
        raise OperationalError("the database is away")

    with monkeypatch.context() as outage:
        outage.setattr(drain, "record_exposures", away)
        for n in range(50):
            spool.append(met(where, f"x{n}"))
            with pytest.raises(OperationalError):
                drain.drain_once(NOW)
    assert len(files(spool_folder)) == 2
    assert drain.drain_once(NOW).stored == 50
    assert Assignment.objects.count() == 50


def test_connection_cut_while_draining__the_thread_recovers_by_itself(where_committed, monkeypatch):
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(
        drain, "utc_now", lambda: NOW
    )  # the exposures are of that day, not of today's
    drain.start_draining()
    try:
        for n in range(200):
            spool.append(met(where_committed, f"x{n}"))
            if n % 50 == 0:
                with connection.cursor() as cursor:
                    others = "datname = current_database() AND pid <> pg_backend_pid()"
                    cursor.execute(
                        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
                    )
                time.sleep(0.06)
        deadline = time.monotonic() + 20
        while Assignment.objects.count() < 200 and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        drain.stop_draining()
    assert set(Assignment.objects.values_list("exposure_count", flat=True)) == {1}
    assert Assignment.objects.count() == 200


def test_handing_over__an_outage_of_the_drainer__leaves_one_file_and_lets_the_present_one_grow(
    where_committed, spool_folder, monkeypatch
):
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.02)
    drain.start_handing_over()
    try:
        for n in range(20):
            spool.append(met(where_committed, f"x{n}"))
            time.sleep(0.03)
        assert len(files(spool_folder)) == 2
        deadline = time.monotonic() + 10
        while Assignment.objects.count() < 20 and time.monotonic() < deadline:
            drain_left_files()
    finally:
        drain.stop_draining()
    assert Assignment.objects.count() == 20


def drain_left_files() -> None:
    """As a process beside this one does: only what was left to it."""
    for path in spool.waiting():
        drain._drain_path(path, NOW, 0, threading.Event())


def test_locked_experiment__only_its_exposures_wait_in_the_spool(
    where_committed, transactional_db, monkeypatch
):
    other = launched("other", seed="ba9876543210")
    also = (
        other.id,
        Iteration.objects.get(experiment=other).id,
        other.variants.get(key="control").id,
    )
    monkeypatch.setattr(drain, "HELD_BACK_SECONDS", 0.0)
    monkeypatch.setattr(drain, "_held_back", {})
    for n in range(20):
        spool.append(met(where_committed if n % 2 else also, f"x{n}"))
    assert spool.put_back([], time.time() - 90)  # as if the first of them had come so long ago
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 200")
    with psycopg.connect(**_parameters()) as stranger:
        stranger.execute(
            "SELECT 1 FROM experiments WHERE experiment_id = %s FOR UPDATE", [where_committed[0]]
        )
        assert drain.drain_once(NOW).stored == 10
        assert set(Assignment.objects.values_list("experiment_id", flat=True)) == {other.id}
        assert spool.lying().oldest_seconds == pytest.approx(90, abs=30)
        stranger.rollback()
    assert drain.drain_once(NOW).stored == 10
    assert Assignment.objects.count() == 20


def test_put_back__lines_keep_the_time_since_which_they_wait__and_new_ones_come_first(spool_folder):
    spool.append_lines([b"new\n"])
    spool.release()
    assert spool.put_back([b"locked\n"], time.time() - 90)
    assert spool.put_back([b"locked later\n"], time.time() - 40)
    assert spool.lying().oldest_seconds == pytest.approx(90, abs=5)
    assert [path.read_bytes() for path in spool.waiting()] == [b"new\n", b"locked\nlocked later\n"]
    assert max(map(spool.age, spool.waiting())) < 5  # no haste for what a lock holds back


def test_locked_table__the_whole_file_waits(where_committed, spool_folder):
    for n in range(3):
        spool.append(met(where_committed, f"x{n}"))
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 200")
    with psycopg.connect(**_parameters()) as stranger:
        stranger.execute("LOCK TABLE experiment_assignments")
        with pytest.raises(OperationalError):
            drain.drain_once(NOW)
        stranger.rollback()
    assert drain.drain_once(NOW).stored == 3


def _parameters():
    """Of another connection to the same database."""
    named = connection.get_connection_params()
    return {
        name: named[name]
        for name in ("host", "port", "dbname", "user", "password")
        if named.get(name)
    }


def test_many_drainers__never_count_twice(where_committed, spool_folder):
    for n in range(600):
        spool.append(met(where_committed, f"x{n}", f"u{n % 300}"))
        if n % 60 == 59:
            spool.release()
    done, problems = [], []

    def run():
        try:
            done.extend(drain.drain_once(NOW) for _ in range(5))
        except Exception as error:  # noqa: BLE001 (shown below)
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert problems == [] and files(spool_folder) == []
    assert sum(one.stored for one in done) == 600
    assert set(Assignment.objects.values_list("exposure_count", flat=True)) == {2}


def test_full_disk__the_answer_stands_the_drop_is_counted_and_no_line_is_torn(where, monkeypatch):
    spool.append(met(where, "x1"))
    dropped, write = EXPOSURES_DROPPED._value.get(), spool.write_at_once

    def short(fd, data):
        return write(fd, data[: len(data) // 2])

    def full(_fd, _data):
        raise OSError(errno.ENOSPC, "No space left on device")

    for failing in (short, full):
        monkeypatch.setattr(spool, "write_at_once", failing)
        assert spool.append(met(where, "lost")) is False
    monkeypatch.setattr(spool, "write_at_once", write)
    assert EXPOSURES_DROPPED._value.get() == dropped + 2
    assert spool.append(met(where, "x2")) is True
    assert drain.drain_once(NOW) == drain.Drained(files=1, stored=2)


def test_unwritable_folder__is_a_drop_and_not_an_error(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.SPOOL = tmp_path / "file" / "spool"
    assert spool.append(met((1, 2, 3), "x1")) is False


def test_grown_file__is_left_for_a_new_one(where, spool_folder, monkeypatch):
    monkeypatch.setattr(spool, "ROTATE_BYTES", 2000)
    for n in range(100):
        spool.append(met(where, f"x{n}"))
    assert len(files(spool_folder)) > 3
    assert drain.drain_once(NOW).stored == 100


def test_spool_at_its_limit__drops_the_new_keeps_the_old_and_takes_more_once_drained(
    where, spool_folder, settings, monkeypatch
):
    monkeypatch.setattr(spool, "ROTATE_BYTES", 2000)
    monkeypatch.setattr(spool, "_RECKON_SECONDS", 0.0)
    settings.SPOOL_MAX_BYTES = 6000
    kept = [n for n in range(200) if spool.append(met(where, f"x{n}"))]
    assert 20 < len(kept) < 60 and kept == list(range(len(kept)))
    assert 6000 <= spool.lying().bytes < 6000 + 2 * spool.ROTATE_BYTES
    assert drain.drain_once(NOW).stored == len(kept)
    assert spool.append(met(where, "later")) and drain.drain_once(NOW).stored == 1
    assert spool.lying() == spool.SpoolBacklog()


def test_durable__is_committed_on_return_and_says_so_when_nobody_wired_it(where):
    spool.set_durable_sink(None)
    with pytest.raises(AssayError):
        spool.record_durably([met(where, "x1")], NOW)
    spool.set_durable_sink(record_or_refuse)
    try:
        spool.record_durably([met(where, "x1")], NOW + timedelta(seconds=1))
        with pytest.raises(Conflict):
            spool.record_durably([met(where, "x1", "somebody else")], NOW)
    finally:
        spool.set_durable_sink(None)
    assert Assignment.objects.get().user_id == "x1"
