"""The supervisor starts the dead again, lets what keeps failing rest alone, and leaves nobody
behind, whoever is killed.
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.processes import standing
from config.processes.embedded.place import PROJECT
from config.processes.embedded.process import wait_for
from config.processes.supervisor import Patience, ProgramState

SUPERVISOR = """
import sys
from config.processes.supervisor import Patience, Program, Supervisor
programs = {name: Program([sys.executable, "-c", code]) for name, code in zip(sys.argv[1::2], sys.argv[2::2])}
sys.exit(Supervisor(programs, Patience(pause=0.05, starts=3, within=30, to_stop=2, rest=0.5, longest_rest=2)).run())
"""
STAYS = "import os, time; open('stays', 'a').write(f'{os.getpid()} '); time.sleep(60)"
FAILS = "import sys; sys.exit('no luck')"
DEAF = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'a').write(f'{os.getpid()} '); time.sleep(60)"
PARENT = (
    "import os, subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "open('parent', 'a').write(f'{os.getpid()} '); open('child', 'a').write(f'{child.pid} '); time.sleep(60)"
)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(**programs: str) -> subprocess.Popen[str]:
        arguments = [word for pair in programs.items() for word in pair]
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", SUPERVISOR, *arguments],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def pids(file: Path, count: int) -> list[int]:
    """The process ids that programs have written there, once there are so many."""
    assert wait_for(lambda: file.exists() and len(file.read_text().split()) >= count, 20), file
    return [int(word) for word in file.read_text().split()]


def lives(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def gone(*numbers: int) -> bool:
    return wait_for(lambda: not any(map(lives, numbers)), 10)


def test_program_killed__is_started_again_and_the_others_stay(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    running = supervise(stays=STAYS, parent=PARENT)
    (beside,) = pids(tmp_path / "parent", 1)
    (first,) = pids(tmp_path / "stays", 1)
    os.kill(first, signal.SIGKILL)
    _, second = pids(tmp_path / "stays", 2)
    assert lives(second) and lives(beside)
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=20)
    assert "stays ended (signal 9); starting it again" in said
    assert running.returncode == 0
    assert gone(second, beside)


def test_program_killed__what_it_left_is_swept(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    supervise(parent=PARENT)
    (parent,), (child,) = pids(tmp_path / "parent", 1), pids(tmp_path / "child", 1)
    os.kill(parent, signal.SIGKILL)
    pids(tmp_path / "parent", 2)
    assert gone(child)


def test_program_that_keeps_failing__rests_alone_and_is_tried_again(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    loops = "import sys; open('loops', 'a').write('1 '); sys.exit('no luck')"
    running = supervise(loops=loops, stays=STAYS)
    (stays,) = pids(tmp_path / "stays", 1)
    pids(tmp_path / "loops", 6)  # four starts, a rest, a start, a longer rest, a start
    assert lives(stays)
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=20)
    assert running.returncode == 0
    assert (
        "ALERT loops ended (exit code 1) 4 times within 30 s; it rests for 0.5 s, all other programs go on"
        in said
    )
    assert (
        "ALERT loops ended (exit code 1) again soon after its rest; it rests for 1 s, all other programs go on"
        in said
    )
    assert gone(stays)


def test_every_program_keeps_failing__the_supervisor_gives_up_with_their_words(
    supervise: Callable[..., subprocess.Popen[str]],
) -> None:
    running = supervise(fails=FAILS)
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 1
    assert said.count("no luck") == 4
    assert "every program keeps ending, so everything stops" in said


def test_rest__doubles_up_to_its_bound() -> None:
    patience = Patience(rest=30, longest_rest=900)
    assert [patience.rest_after(rests) for rests in (0, 1, 2, 5, 10_000)] == [30, 60, 120, 900, 900]


def test_standing__is_read_of_living_supervisors_only(tmp_path: Path) -> None:
    with standing.written(tmp_path) as tell:
        tell({"beat": ProgramState(7, True), "web": ProgramState(0, False)})
        (tmp_path / standing.FOLDER / "4194305.json").write_text('{"worker": [9, true]}')
        assert standing.read(tmp_path) == {
            "beat": ProgramState(7, True),
            "web": ProgramState(0, False),
        }
    assert standing.read(tmp_path) == {}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop__a_deaf_program_is_killed_in_the_end(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path, how: signal.Signals
) -> None:
    running = supervise(deaf=DEAF)
    (deaf,) = pids(tmp_path / "deaf", 1)
    running.send_signal(how)
    assert running.wait(20) == 0
    assert gone(deaf)


def test_terminal_closed__although_nobody_says_so__stops(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, "stays", STAYS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=theirs,
    )
    os.close(theirs)
    (stays,) = pids(tmp_path / "stays", 1)
    os.close(ours)
    assert running.wait(20) == 0
    assert gone(stays)


@pytest.mark.parametrize(("ignored", "stops"), [(signal.SIGINT, True), (signal.SIGHUP, False)])
def test_started_with_a_signal_ignored__ctrl_c_is_still_heard_and_nohup_honoured(
    supervise: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    ignored: signal.Signals,
    stops: bool,
) -> None:
    before = signal.signal(ignored, signal.SIG_IGN)
    try:
        running = supervise(stays=STAYS)
    finally:
        signal.signal(ignored, before)
    pids(tmp_path / "stays", 1)
    running.send_signal(ignored)
    assert wait_for(lambda: running.poll() is not None, 3) is stops


def test_asked_twice__does_not_wait(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    running = supervise(deaf=DEAF)
    pids(tmp_path / "deaf", 1)
    begin = time.monotonic()
    running.send_signal(signal.SIGINT)
    time.sleep(0.3)
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 0
    assert time.monotonic() - begin < 1.9


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a program that its parent died"
)
def test_supervisor_killed__its_programs_are_told_to_stop(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    running = supervise(stays=STAYS)
    (stays,) = pids(tmp_path / "stays", 1)
    running.kill()
    assert gone(stays)


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a program that its parent died"
)
def test_bound__parent_died_before_it_could_ask__does_not_start() -> None:
    nobody = 4_194_305  # above any process id
    done = subprocess.run(
        [sys.executable, "config/bound.py", str(nobody), "echo", "started"],
        cwd=PROJECT,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (143, b"")
