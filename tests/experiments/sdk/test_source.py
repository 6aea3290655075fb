"""Where a client's catalogue comes from, and that the last good one is never lost to a worse
one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from config.processes.embedded.place import PROJECT
from experiments.sdk import transport
from experiments.sdk.files import Backup, Folder
from experiments.sdk.loops import backed_off
from tests.experiments.sdk.conftest import a_document
from tests.experiments.sdk.platform import KEY


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_catalogue__is_fetched_in_the_background_and_asked_for_by_its_tag(connect, platform):
    client = connect(poll_seconds=0.05)
    assert client.wait_ready()
    assert client.get_integer("whole", 0, "u") == 7
    until(lambda: len(platform.asked) >= 3)
    (_, path, first), *_, (_, _, last) = platform.asked
    assert path == "/api/v1/catalogue"
    assert first["Authorization"] == f"Bearer {KEY}"
    assert "If-None-Match" not in first
    assert last["If-None-Match"].startswith("W/")
    assert client.version == 3
    assert not client.stale


@pytest.mark.parametrize("kept", [False, True], ids=["new folder", "kept catalogue"])
def test_wait_ready__the_server_answered__is_not_stale(
    connect, platform, tmp_path, monkeypatch, kept
):
    if kept:
        assert connect(folder=tmp_path).refresh()
    written = Folder.keep
    monkeypatch.setattr(Folder, "keep", lambda *of: (time.sleep(0.3), written(*of)))
    client = connect(folder=tmp_path)
    assert client.wait_ready()
    assert not client.stale


def test_catalogue__changed__is_served_within_a_poll(connect, platform):
    client = connect(poll_seconds=0.05)
    assert client.wait_ready()
    changed = a_document(version=4)
    changed["flags"] = [
        entry | {"default": 8} if entry["key"] == "whole" else entry for entry in changed["flags"]
    ]
    platform.catalogue = changed
    until(lambda: client.version == 4)
    assert client.get_integer("whole", 0, "u") == 8


@pytest.mark.parametrize(
    "spoiled",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"schema": 99}',
        b"[" * 100_000,
        b'{"schema":1,"version":9,"flags":[{}]}',
    ],
)
def test_catalogue__corrupt__leaves_the_last_good_one(connect, platform, spoiled, caplog):
    client = connect()
    assert client.refresh()
    platform.catalogue = spoiled
    assert not client.refresh()
    assert client.get_integer("whole", 0, "u") == 7
    assert "catalogue" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b"no"),
        (401, {}, b"{}"),
        (302, {"Location": "http://127.0.0.1:1/"}, b""),
        (200, {}, b"hello"),
    ],
)
def test_catalogue__any_other_answer__leaves_the_last_good_one(connect, platform, answer):
    client = connect()
    assert client.refresh()
    platform.failing.append(answer)
    assert not client.refresh()
    assert client.version == 3


def test_catalogue__from_a_server_that_lost_its_database__does_not_take_us_back(connect, platform):
    client = connect()
    assert client.refresh()
    platform.catalogue, platform.stale = a_document(version=2), True
    client.refresh()
    assert client.version == 3
    platform.stale = False  # the platform itself has gone back, as after a restored backup
    client.refresh()
    assert client.version == 2


def test_server_down__keeps_serving_and_says_stale_in_time(connect, platform):
    client = connect(poll_seconds=0.02)
    assert client.wait_ready()
    platform.stop()
    until(lambda: client.stale)
    assert client.get_integer("whole", 0, "u") == 7
    assert client.why("ranker", "u")["metadata"]["stale"] is True


def test_cold_start__without_the_server__serves_what_the_disk_holds(connect, platform, tmp_path):
    assert connect(folder=tmp_path).refresh()
    platform.stop()
    cold = connect(folder=tmp_path)
    assert cold.get_integer("whole", 0, "u") == 7
    assert cold.stale
    (kept,) = tmp_path.glob("catalogue-*.json")
    assert kept.stat().st_mode & 0o077 == 0
    stranger = connect(folder=tmp_path, key="assay_server_ffffffffffff_" + "0" * 48)
    assert not stranger.wait_ready(0.1)


def test_cold_start__asks_with_the_tag_of_what_the_disk_holds(connect, platform, tmp_path):
    assert connect(folder=tmp_path).refresh()
    platform.asked.clear()
    cold = connect(folder=tmp_path)
    assert cold.refresh()
    assert platform.asked[-1][2]["If-None-Match"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:-40],
        lambda text: text.replace("hello", "hallo"),
        lambda text: "[]",
    ],
)
def test_cold_start__with_a_damaged_file__waits_for_the_server(connect, platform, tmp_path, spoil):
    assert connect(folder=tmp_path).refresh()
    (kept,) = tmp_path.glob("catalogue-*.json")
    kept.write_text(spoil(kept.read_text()))
    url = platform.url
    platform.stop()
    cold = connect(folder=tmp_path, url=url)
    assert cold.get_string("word", "mine", "u") == "mine"


def test_disk_full__catalogue_is_served_all_the_same(connect, tmp_path, monkeypatch, caplog):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    client = connect(folder=tmp_path)
    assert client.refresh()
    assert client.get_integer("whole", 0, "u") == 7
    assert "No space left" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_folder__that_cannot_be_made__is_no_hindrance(connect, tmp_path):
    (tmp_path / "file").write_text("in the way")
    client = connect(folder=tmp_path / "file" / "folder")
    assert client.refresh()
    assert client.get_integer("whole", 0, "u") == 7


def test_folder__replaced_atomically__is_never_seen_half_written(tmp_path):
    folder = Folder(tmp_path, "http://a", KEY)
    body = json.dumps(a_document())
    assert folder.keep(Backup("0", body))
    writer = threading.Thread(
        target=lambda: [folder.keep(Backup(str(number), body)) for number in range(200)]
    )
    writer.start()
    seen = set()
    while writer.is_alive():
        kept = folder.kept()
        assert kept is not None
        seen.add(kept.etag)
    assert len(seen) > 1


def test_backing_off__doubles_up_to_five_minutes_and_drifts_apart():
    assert [round(backed_off(10, n) / 10 / 2**n) for n in range(4)] == [1, 1, 1, 1]
    assert max(backed_off(10, 50) for _ in range(100)) <= 360
    assert len({backed_off(10, 1) for _ in range(10)}) == 10


def test_fork__child_goes_on_by_itself(platform, tmp_path):
    """A parent with running threads forks; the child fetches, decides and tells by threads of its
    own.
    """
    program = textwrap.dedent(
        """
        import os, sys, time
        from experiments.sdk import AssayClient
        client = AssayClient(sys.argv[1], sys.argv[2], poll_seconds=0.05, send_seconds=0.05)
        assert client.wait_ready()
        client.track("parent", "u")
        pid = os.fork()
        name = "child" if pid == 0 else "parent-later"
        assert client.get_integer("whole", 0, "u") == 7
        before = client.version
        client.track(name, "u")
        end = time.monotonic() + 10
        while client.version != 4 and time.monotonic() < end:
            time.sleep(0.01)
            if name != "child":
                break
        assert name != "child" or client.version == 4, client.version
        assert client.flush(5)
        if pid:
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        """
    )
    path = Path(tmp_path / "forking.py")
    path.write_text(program)
    process = subprocess.Popen(
        [sys.executable, str(path), platform.url, KEY],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )
    until(
        lambda: (
            "child" in {item["event_type"] for item in platform.told.get("events", [])}
            or process.poll() is not None
        )
    )
    platform.catalogue = a_document(version=4)
    assert process.wait(20) == 0
    assert sorted(item["event_type"] for item in platform.told["events"]) == [
        "child",
        "parent",
        "parent-later",
    ]


def test_answers__beyond_all_bounds__are_refused(connect, platform, monkeypatch):
    client = connect()
    assert client.refresh()
    monkeypatch.setattr(transport, "_LARGEST", 100)
    platform.catalogue = a_document(version=5)
    assert not client.refresh()
    assert client.version == 3
