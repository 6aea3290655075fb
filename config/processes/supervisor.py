"""Keeps named programs running in the foreground until it is asked to stop.

A program that ends is started again, after a pause. One that keeps ending rests, for longer each
time, while all others go on; only when every program rests does the supervisor give up. Each
program has a session of its own, so that a terminal's Ctrl-C reaches the supervisor alone, and a
process group that can be swept when its first process died without its children.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType

_ASKED_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BOUND = Path(__file__).parents[1] / "bound.py"
_COLOURS = (36, 33, 32, 35, 34)
_LOOK = 0.1


@dataclass(frozen=True)
class Program:
    """A command line and what its environment has beyond ours."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Patience:
    """Seconds before a dead program is started again, how many such starts within how many seconds,
    and seconds to stop in.

    After more starts it rests for ``rest`` seconds; twice as long each time that it ends again
    within ``within``, at most ``longest_rest``.
    """

    pause: float = 1.0
    starts: int = 5
    within: float = 60.0
    to_stop: float = 10.0
    rest: float = 30.0
    longest_rest: float = 900.0

    def rest_after(self, rests: int) -> float:
        """The next rest of a program that has rested so often before."""
        return min(self.rest * 2.0 ** min(rests, 20), self.longest_rest)


@dataclass(frozen=True)
class ProgramState:
    """How a program does."""

    ended: int
    resting: bool


Tell = Callable[[Mapping[str, ProgramState]], None]


@dataclass
class _Child:
    name: str
    program: Program
    colour: int
    process: subprocess.Popen[str] | None = None
    started: float = 0.0
    start_at: float = 0.0
    restarts: deque[float] = field(default_factory=deque)
    ended: int = 0
    rests: int = 0
    resting: bool = False


class Supervisor:
    """Runs all of its programs; ``tell`` hears of every change: by program how often it ended, and
    whether it rests.
    """

    def __init__(
        self,
        programs: Mapping[str, Program],
        patience: Patience | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.patience = patience or Patience()
        self._tell = tell or (lambda _: None)
        self._children = [
            _Child(name, program, _COLOURS[at % len(_COLOURS)])
            for at, (name, program) in enumerate(programs.items())
        ]
        self._width = max(len("system"), *map(len, programs))
        self._asked = 0
        self._speaking = threading.Lock()

    def run(self) -> int:
        """Until Ctrl-C, SIGTERM, a closed terminal (0), or until every program keeps ending (1)."""
        with self._listening():
            try:
                return self._watch()
            finally:
                self._stop()

    def say(self, text: str, name: str = "system", colour: int = 0) -> None:
        """A line of output under a name; a terminal that is gone stops nobody from working."""
        head = f"{datetime.now().astimezone():%H:%M:%S} {name.ljust(self._width)} |"
        if colour and sys.stdout.isatty():
            head = f"\033[{colour}m{head}\033[0m"
        with self._speaking, suppress(OSError, ValueError):
            print(f"{head} {text}", flush=True)

    def _watch(self) -> int:
        on_terminal = sys.stdout.isatty()
        # A closed terminal's SIGHUP goes to the session's leader, who may be a make that keeps it
        # to itself.
        while not self._asked and sys.stdout.isatty() is on_terminal:
            for child in self._children:
                if child.process is None and time.monotonic() >= child.start_at:
                    self._start(child)
                elif child.process is not None and child.process.poll() is not None:
                    self._take_leave(child, child.process)
            if all(child.resting for child in self._children):
                self.say("every program keeps ending, so everything stops")
                return 1
            time.sleep(_LOOK)
        return 0

    def _start(self, child: _Child) -> None:
        """From the main thread: a bound program is told when the thread that started it ends."""
        child.started, child.resting = time.monotonic(), False
        child.process = subprocess.Popen(
            [sys.executable, str(_BOUND), str(os.getpid()), *child.program.command],
            env={**os.environ, **child.program.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._pass_on, args=[child, child.process], daemon=True).start()
        self._tell_all()

    def _take_leave(self, child: _Child, ended: subprocess.Popen[str]) -> None:
        """Sweep what it left, and set the time of its next start: soon, or after a rest when it
        ends too often.
        """
        _signal(ended, signal.SIGKILL)
        now, patience = time.monotonic(), self.patience
        if now - child.started >= patience.within:
            child.rests = 0
        while child.restarts and child.restarts[0] < now - patience.within:
            child.restarts.popleft()
        child.restarts.append(now)
        child.process, child.ended = None, child.ended + 1
        how = f"{child.name} ended ({_ending(ended.returncode)})"
        if child.rests or len(child.restarts) > patience.starts:
            self._rest(child, how, now)
        else:
            child.start_at = now + patience.pause
            self.say(f"{how}; starting it again")
        self._tell_all()

    def _rest(self, child: _Child, how: str, now: float) -> None:
        seconds = self.patience.rest_after(child.rests)
        often = (
            "again soon after its rest"
            if child.rests
            else f"{len(child.restarts)} times within {self.patience.within:.0f} s"
        )
        child.rests, child.resting, child.start_at = child.rests + 1, True, now + seconds
        child.restarts.clear()
        self.say(f"ALERT {how} {often}; it rests for {seconds:g} s, all other programs go on")

    def _tell_all(self) -> None:
        self._tell(
            {child.name: ProgramState(child.ended, child.resting) for child in self._children}
        )

    def _stop(self) -> None:
        """SIGTERM to each, then SIGKILL to what is left of its group; asked a second time, at
        once.
        """
        running = [child.process for child in self._children if child.process is not None]
        asked, end = self._asked, time.monotonic() + self.patience.to_stop
        for process in running:
            process.terminate()
        while (
            any(process.poll() is None for process in running)
            and time.monotonic() < end
            and asked == self._asked
        ):
            time.sleep(_LOOK)
        for process in running:
            _signal(process, signal.SIGKILL)
            process.wait()

    def _pass_on(self, child: _Child, process: subprocess.Popen[str]) -> None:
        if process.stdout is not None:
            for line in process.stdout:
                if line.strip():
                    self.say(line.rstrip(), child.name, child.colour)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Being asked to stop is noted and acted upon between two looks; nohup's closed terminal
        stays unheard.
        """
        before = {number: signal.getsignal(number) for number in _ASKED_TO_STOP}
        for number, handler in before.items():
            if number != signal.SIGHUP or handler is not signal.SIG_IGN:
                signal.signal(number, self._note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._asked += 1


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """To every process of the group it leads."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
