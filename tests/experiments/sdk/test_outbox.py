"""What applications tell: sent once each, repeated until it arrived, bounded, and never in the
application's way.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from config.processes.embedded.place import PROJECT
from experiments.sdk import journal, outbox
from experiments.sdk.outbox import Counts
from tests.experiments.sdk.platform import KEY, StandIn

DOWN = (503, {"Retry-After": "0"}, b"{}")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(outbox, "_PAUSE", 0.01)


def test_items__are_sent_in_batches_with_ids_and_moments(connect, platform):
    client = connect()
    with client.outbox._sending:  # all is put before anything is sent, however slow the machine
        for n in range(1_234):
            assert client.track("clicked", f"u{n}", value=n)
        client.observe("csat", 4.5, units={"user": "u7", "tenant": "acme"}, experiment="ranker")
    assert client.flush()
    events = platform.told["events"]
    assert len(set(platform.ids("events"))) == 1_234
    assert {tuple(sorted(event)) for event in events} == {
        ("event_id", "event_type", "timestamp", "units", "value")
    }
    (seen,) = platform.told["observations"]
    assert (seen["metric"], seen["value"], seen["units"], seen["experiment"]) == (
        "csat",
        4.5,
        {"user": "u7", "tenant": "acme"},
        "ranker",
    )
    assert client.counts == Counts(waiting=0, sent=1_235)
    assert len([path for method, path, _ in platform.asked if path == "/api/v1/events"]) == 3


def test_items__are_sent_in_the_background_by_themselves(connect, platform):
    client = connect(send_seconds=0.05)
    client.track("clicked", "u")
    end = time.monotonic() + 5
    while not platform.told.get("events") and time.monotonic() < end:
        time.sleep(0.01)
    assert len(platform.told["events"]) == 1


@pytest.mark.parametrize(
    "answer",
    [DOWN, (500, {}, b""), (429, {}, b""), (401, {}, b""), (302, {}, b""), (200, {}, b"<html>")],
)
def test_failed__waits_and_is_sent_again_under_the_same_id(connect, platform, answer):
    client = connect()
    assert client.refresh()
    client.track("clicked", "u")
    platform.failing.append(answer)
    assert not client.flush(0)
    assert client.counts.waiting == 1
    assert client.flush()
    assert len(platform.ids("events")) == 1
    assert client.counts == Counts(sent=1)


def test_retry_after__is_respected(connect, platform):
    client = connect()
    assert client.refresh()
    platform.failing.append((503, {"Retry-After": "1"}, b""))
    client.track("clicked", "u")
    began = time.monotonic()
    assert client.flush()
    assert time.monotonic() - began >= 1


def test_one_that_no_parser_takes__does_not_cost_its_neighbours(connect, platform):
    client = connect()
    assert client.refresh()
    platform.refuse = lambda item: item["event_type"] == "bad"
    for n in range(100):
        client.track("bad" if n == 37 else "good", f"u{n}")
    assert client.flush()
    assert len(platform.ids("events")) == len(set(platform.ids("events"))) == 99
    assert client.counts == Counts(sent=99, rejected=1)


def test_refused_items__are_counted_and_named_in_the_log(connect, platform, caplog):
    client = connect()
    assert client.refresh()
    said = b'{"accepted": 1, "errors": [{"index": 1, "code": "unknown_experiment"}]}'
    platform.failing.append((200, {}, said))
    client.track("a", "u")
    client.track("b", "u")
    assert client.flush()
    assert client.counts == Counts(sent=1, rejected=1)
    assert "unknown_experiment" in caplog.text


def test_one_door_that_is_closed__does_not_hold_up_the_others(connect, platform):
    client = connect()
    assert client.refresh()
    platform.failing.append((403, {}, b""))
    client.variant("ranker", "u")
    client.track("clicked", "u")
    assert not client.flush(0)
    assert len(platform.ids("events")) == 1
    assert client.counts.waiting == 1


def test_what_is_no_json__is_rejected_at_once(connect):
    client = connect()
    assert not client.track("clicked", "u", value=float("nan"))
    assert not client.track("clicked", "u", value=object())
    assert not client.track("clicked", "u", payload={"a": "x" * 300_000})
    assert client.counts == Counts(rejected=3)


def test_memory__is_bounded_and_what_is_lost_is_counted(connect, platform, caplog):
    platform.stop()
    client = connect(capacity=50)
    taken = [client.track("clicked", f"u{n}") for n in range(80)]
    assert taken == [True] * 50 + [False] * 30
    assert (client.counts.waiting, client.counts.dropped) == (50, 30)
    assert "dropped" in caplog.text


def test_server_down__telling_takes_no_time(connect, platform):
    platform.stop()
    client = connect(timeout=20.0)
    began = time.perf_counter()
    for n in range(1_000):
        client.track("clicked", f"u{n}")
    assert time.perf_counter() - began < 20


def test_server_back__everything_arrives_once(connect, platform):
    client = connect(send_seconds=0.02)
    assert client.refresh()
    port = platform.port
    platform.stop()
    for n in range(700):
        client.track("clicked", f"u{n}")
    assert not client.flush(0.1)
    back = StandIn(platform.catalogue, port=port)
    try:
        assert client.flush(5)
        assert len(back.ids("events")) == len(set(back.ids("events"))) == 700
    finally:
        back.stop()


def test_close__sends_what_waits_and_takes_no_more(connect, platform):
    client = connect()
    client.track("clicked", "u")
    client.close()
    client.close()
    assert len(platform.ids("events")) == 1
    assert not client.track("late", "u")
    assert client.get_integer("whole", 1, "u") in (1, 7)


def test_close__without_the_server__leaves_it_for_the_next_process(connect, platform, tmp_path):
    client = connect(folder=tmp_path)
    assert client.refresh()
    port = platform.port
    platform.stop()
    for n in range(3):
        client.track("clicked", f"u{n}")
    client.close()
    assert client.counts == Counts()
    (left,) = tmp_path.glob("unsent-*.jsonl")
    assert left.stat().st_mode & 0o077 == 0
    back = StandIn(platform.catalogue, port=port)
    try:
        connect(folder=tmp_path, url=back.url, send_seconds=0.01)
        end = time.monotonic() + 5
        while len(back.ids("events")) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        assert len(set(back.ids("events"))) == 3
        while list(tmp_path.glob("unsent-*")) and time.monotonic() < end + 5:
            time.sleep(0.01)
        assert not list(tmp_path.glob("unsent-*"))
    finally:
        back.stop()


def test_close__disk_full_and_server_away__counts_what_is_lost(
    connect, platform, tmp_path, monkeypatch, caplog
):
    def full(_segment, _line):
        raise OSError(28, "No space left on device")

    client = connect(folder=tmp_path)
    platform.stop()
    monkeypatch.setattr(journal, "_append", full)
    client.track("clicked", "u")
    client.close()
    assert client.counts == Counts(dropped=1)
    assert "lost" in caplog.text


@pytest.mark.parametrize("torn", [b"events {", b"\xff\xfe\x00", b"secrets {}\n", b""])
def test_leftovers__that_are_torn__harm_nobody(connect, platform, tmp_path, torn):
    client = connect(folder=tmp_path)
    platform.stop()
    client.track("clicked", "u")
    client.close()
    (left,) = tmp_path.glob("unsent-*.jsonl")
    left.write_bytes(torn)
    following = connect(folder=tmp_path, send_seconds=0.01)
    following.flush(0)
    assert following.track("clicked", "u")


PROGRAM = """
import multiprocessing, sys
from experiments.sdk import AssayClient

def work(name):
    client.track(name, "u")

client = AssayClient(sys.argv[1], sys.argv[2], send_seconds=3600)
if __name__ == "__main__":
    {what}
"""


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("work('one')", ["one"]),
        ("work('one'); raise SystemExit(3)", ["one"]),
        (
            "p = multiprocessing.get_context('fork').Process(target=work, args=['child']); p.start(); p.join(); work('parent')",
            ["child", "parent"],
        ),
    ],
    ids=["end", "exit", "worker"],
)
def test_exit__of_a_process__sends_what_waits(platform, tmp_path, what, told):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM).format(what=what))
    subprocess.run(
        [sys.executable, str(path), platform.url, KEY],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        check=False,
        timeout=30,
    )
    assert sorted(item["event_type"] for item in platform.told["events"]) == told


IMPORTED_LATE = """
import sys
from experiments.sdk import AssayClient

before = set(sys.modules)
client = AssayClient(sys.argv[1], sys.argv[2], send_seconds=3600, folder=sys.argv[3])
client.refresh(), client.track("one", "u"), client.flush(5), client.close()
print(*sorted(set(sys.modules) - before))
"""


def test_requests__import_nothing__so_a_fork_never_inherits_a_held_import_lock(platform, tmp_path):
    program = [sys.executable, "-c", IMPORTED_LATE, platform.url, KEY, str(tmp_path)]
    ran = subprocess.run(
        program, cwd=PROJECT, check=True, timeout=60, capture_output=True, text=True
    )
    assert (ran.stdout.strip(), len(platform.told["events"])) == ("", 1)
