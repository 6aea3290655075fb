"""What an application told arrives, however its process ends: recycled Celery workers, SIGTERM,
SIGKILL, ``os._exit``.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from config.processes.embedded.place import PROJECT
from experiments.sdk import journal
from experiments.sdk.outbox import Counts
from tests.experiments.sdk.platform import KEY

pytestmark = pytest.mark.slow
CELERY = """
import os, sys
from celery import Celery
from experiments.sdk import AssayClient

app = Celery("ends", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control", "polling_interval": 0.1},
    worker_max_tasks_per_child=int(os.environ["TASKS_PER_CHILD"]), worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False, task_ignore_result=True,
)
client = AssayClient(os.environ["PLATFORM"], os.environ["KEY"], folder=os.environ["FOLDER"] or None, send_seconds=3600)

@app.task
def serve(number):
    client.variant("ranker", f"u{number}")
    client.track("booked", f"u{number}", value=1.0)

if __name__ == "__main__":
    for number in range(20):
        serve.delay(number)
"""


def _until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def _environment(platform, folder, **more):
    said = {
        "PYTHONPATH": str(PROJECT),
        "PLATFORM": platform.url,
        "KEY": KEY,
        "FOLDER": str(folder or ""),
    }
    return os.environ | said | more


@pytest.mark.parametrize("per_child", [1, 5])
@pytest.mark.parametrize("kept", [True, False], ids=["folder", "memory"])
def test_celery_prefork__recycled_workers__lose_nothing(platform, tmp_path, per_child, kept):
    (tmp_path / "ends.py").write_text(CELERY)
    for name in ("queue", "control", "folder"):
        (tmp_path / name).mkdir()
    environment = _environment(
        platform, tmp_path / "folder" if kept else None, TASKS_PER_CHILD=str(per_child)
    )
    options = {"cwd": tmp_path, "env": environment}
    subprocess.run([sys.executable, "ends.py"], check=True, timeout=60, **options)
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "ends",
        "worker",
        "--pool",
        "prefork",
        "-c",
        "4",
        "-l",
        "ERROR",
    ]
    worker = subprocess.Popen(
        [*command, "--without-gossip", "--without-mingle", "--without-heartbeat"], **options
    )
    try:
        _until(lambda: not list((tmp_path / "queue").iterdir()), 60)
        _until(
            lambda: min(len(set(platform.ids(kind))) for kind in ("exposures", "events")) == 20,
            10 if per_child == 1 else 3,
        )
    finally:
        worker.terminate()
        worker.wait(60)
    assert {kind: len(set(platform.ids(kind))) for kind in ("exposures", "events")} == {
        "exposures": 20,
        "events": 20,
    }


PROGRAM = """
import os, signal, sys
from experiments.sdk import AssayClient

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored
{before}
client = AssayClient(os.environ["PLATFORM"], os.environ["KEY"], folder=os.environ["FOLDER"] or None, send_seconds=3600)
{after}
for number in range(50):
    client.variant("ranker", f"u{{number}}")
    client.track("booked", f"u{{number}}")
{end}
signal.pause()
"""
OWN_HANDLER = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"
CHAINED = """
earlier = signal.getsignal(signal.SIGTERM)
def mine(number, frame):
    earlier(number, frame)
    os._exit(9)
signal.signal(signal.SIGTERM, mine)
"""


def _run(platform, folder, *, end, before="", after=""):
    text = PROGRAM.format(before=before, after=after, end=end)
    command, said = [sys.executable, "-c", text], _environment(platform, folder)
    ran = subprocess.run(
        command, cwd=PROJECT, env=said, check=False, timeout=60, capture_output=True, text=True
    )
    return ran.returncode, ran.stderr


def _arrived(platform):
    return {kind: len(set(platform.ids(kind))) for kind in ("exposures", "events")}


ALL_FIFTY = {"exposures": 50, "events": 50}
TERMINATED = "os.kill(os.getpid(), signal.SIGTERM)"


@pytest.mark.parametrize(
    ("before", "after", "end", "code"),
    [
        ("", "", TERMINATED, -signal.SIGTERM),
        ("", "", "os.kill(os.getpid(), signal.SIGHUP)", -signal.SIGHUP),
        (OWN_HANDLER, "", TERMINATED, 7),
        ("", OWN_HANDLER, TERMINATED, 7),
        ("", CHAINED, TERMINATED, 9),
    ],
    ids=["sigterm", "sighup", "own_handler_before", "own_handler_after", "chained_handler"],
)
def test_signal__sends_what_waits_and_ends_the_process_as_it_would_have(
    platform, before, after, end, code
):
    assert _run(platform, None, before=before, after=after, end=end)[0] == code
    assert _arrived(platform) == ALL_FIFTY


@pytest.mark.parametrize(
    "end",
    ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)", "os.execv('/bin/true', ['true'])"],
)
def test_end_without_a_last_chance__with_a_folder__the_next_process_sends_all(
    platform, connect, tmp_path, end
):
    _run(platform, tmp_path, end=end)
    assert _arrived(platform) != ALL_FIFTY  # on a slow machine the sender may have begun
    connect(folder=tmp_path, send_seconds=0.01)
    _until(lambda: _arrived(platform) == ALL_FIFTY, 10)
    assert _arrived(platform) == ALL_FIFTY
    _until(lambda: not list(tmp_path.glob("unsent-*")), 10)
    assert not list(tmp_path.glob("unsent-*"))


def test_sigterm__server_away_and_no_folder__says_what_is_lost(platform):
    ready = "client.wait_ready()"
    code, said = _run(
        platform,
        None,
        after=ready,
        end="client.outbox._transport.url = 'http://127.0.0.1:1'; " + TERMINATED,
    )
    assert code == -signal.SIGTERM
    assert "100 items could not be sent before the end and are lost" in said


def test_sigterm__server_away_with_a_folder__loses_nothing(platform, connect, tmp_path):
    code, said = _run(
        platform, tmp_path, end="client.outbox._transport.url = 'http://127.0.0.1:1'; " + TERMINATED
    )
    assert (code, "lost" in said) == (-signal.SIGTERM, False)
    connect(folder=tmp_path, send_seconds=0.01)
    _until(lambda: _arrived(platform) == ALL_FIFTY, 10)
    assert _arrived(platform) == ALL_FIFTY


def test_sigterm__in_a_forked_child__sends_the_childs_own_and_leaves_the_parents_to_it(platform):
    end = """
child = os.fork()
if not child:
    client.track("child", "u")
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
os.waitpid(child, 0)
client.track("parent", "u")
sys.exit(0)
"""
    assert _run(platform, None, end=end)[0] == 0
    told = [item["event_type"] for item in platform.told["events"]]
    assert sorted(told) == ["booked"] * 50 + ["child", "parent"]
    assert len(set(platform.ids("events"))) == 52


def test_file_of_a_living_process__is_not_taken_over(platform, connect, tmp_path):
    first, second = connect(folder=tmp_path), connect(folder=tmp_path, send_seconds=0.01)
    first.track("clicked", "u")
    assert not second.outbox._adopt()
    assert first.counts == Counts(waiting=1)
    assert first.flush()
    assert (first.counts, len(platform.ids("events"))) == (Counts(sent=1), 1)


def test_folder__too_many_bytes_wait__keeps_items_in_memory_and_says_so(
    platform, connect, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(journal, "_MOST_BYTES", 100)
    platform.stop()
    first, second = connect(folder=tmp_path), connect(folder=tmp_path)
    for _ in range(3):
        assert first.track("clicked", "u")
    assert second.track("clicked", "u")
    assert "in memory only" in caplog.text
    first.close()
    second.close()
    assert (first.counts.dropped, second.counts.dropped) == (0, 1)


def test_files__are_removed_as_their_items_arrive(platform, connect, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "_FULL", 1_000)
    client = connect(folder=tmp_path)
    with client.outbox._sending:
        for number in range(40):
            client.track("clicked", f"u{number}")
        assert len(list(tmp_path.glob("unsent-*"))) > 5
    assert client.flush()
    assert sum(path.stat().st_size for path in tmp_path.glob("unsent-*")) < 1_000
    client.close()
    assert not list(tmp_path.glob("unsent-*"))
    assert len(set(platform.ids("events"))) == 40


def test_first_question_of_a_fresh_process__waits_for_the_first_catalogue(platform, connect):
    assert connect().variant("ranker", "u") is not None


def test_first_question__server_away__waits_for_its_first_attempt_and_no_longer(platform, connect):
    platform.stop()
    client = connect(start_seconds=30.0)
    began = time.monotonic()
    assert client.variant("ranker", "u") is None
    assert time.monotonic() - began < 10


def test_first_question__silent_server__waits_once_and_only_up_to_the_bound(platform, connect):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(
            url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=60.0, start_seconds=0.3
        )
        began = time.monotonic()
        assert client.variant("ranker", "u") is None
        first = time.monotonic() - began
        assert client.variant("ranker", "u") is None
        assert 0.25 < first < 5
        assert time.monotonic() - began - first < first


def test_exposure_that_was_not_taken__is_told_at_the_next_meeting(platform, connect):
    client = connect(capacity=1)
    client.track("clicked", "u")
    client.variant("ranker", "u")
    assert client.counts.dropped == 1
    assert client.flush()
    client.variant("ranker", "u")
    assert client.flush()
    assert len(platform.ids("exposures")) == 1
