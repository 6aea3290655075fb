"""The embedded PostgreSQL and Redis: as root and not, in private folders, in races, after kill
-9.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from config.processes import services
from config.processes.embedded import place, postgres, process, redis_server
from config.processes.services import Lease, ServiceError, lease

ROOT = os.geteuid() == 0
NORMAL = place.User("nobody", 65534, 65534)

# A user of the services, as a program: writes its own row, says so, waits for as many rows as it is
# told to, leaves.
USER = """
import sys, time, psycopg
from pathlib import Path
from config.processes.services import lease
name, wanted, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with lease() as held:
    with psycopg.connect(held.place.database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        connection.execute("CREATE TABLE IF NOT EXISTS users_seen (name text)")
        connection.execute("SELECT pg_advisory_unlock(1)")
        connection.execute("INSERT INTO users_seen VALUES (%s)", [name])
        print("in", connection.execute("SELECT pg_postmaster_start_time()").fetchone()[0].isoformat(), flush=True)
        end = time.monotonic() + 30
        while connection.execute("SELECT count(*) FROM users_seen").fetchone()[0] < wanted and time.monotonic() < end:
            time.sleep(0.02)
    time.sleep(seconds)
"""


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


@contextmanager
def state_folder(prefix: str = "as-") -> Iterator[Path]:
    """A state folder that anybody may reach, with nothing in it and nothing left of it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    yield folder
    remove(folder)


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


def remove(folder: Path) -> None:
    here = place.find(folder)
    for server in (redis_server, postgres):
        server.stop_server(here)
    for path in (here.home, here.sockets, folder):
        shutil.rmtree(path, ignore_errors=True)


def user(
    state: Path,
    name: str,
    *,
    wait_for_rows: int = 0,
    seconds: float = 0,
    as_user: place.User | None = None,
) -> subprocess.Popen[str]:
    identity = {"user": as_user.uid, "group": as_user.gid, "extra_groups": []} if as_user else {}
    return subprocess.Popen(
        [sys.executable, "-c", USER, name, str(wait_for_rows), str(seconds)],
        cwd=place.PROJECT,
        env={**os.environ, "ASSAY_STATE": str(state), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **identity,
    )


def finish(program: subprocess.Popen[str]) -> int:
    """Its exit code; what it said goes to the test's output."""
    print(*program.communicate(timeout=60))
    return program.returncode


def rows(held: Lease) -> list[str]:
    with psycopg.connect(held.place.database_url) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM users_seen ORDER BY name")]


def processes_of(state: Path) -> list[str]:
    """Command lines that mention this state folder's data or sockets."""
    here = place.find(state)
    marks = [str(here.home).encode(), str(here.sockets).encode()]
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if any(mark in line for mark in marks):
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


def postmaster(held: Lease) -> int:
    pid = process.first_line(held.place.home / "postgres" / "postmaster.pid")
    assert pid
    return pid


def test_first_start__empty_state_folder__takes_less_than_three_seconds(state: Path) -> None:
    assert (
        min(seconds_of_a_first_start(state / str(number)) for number in range(3)) < 3
    )  # the best: other work may hold the machine


def seconds_of_a_first_start(state: Path) -> float:
    start = time.monotonic()
    with lease(state):
        taken = time.monotonic() - start
    remove(state)
    return taken


def test_start__commits_reach_the_disk_and_nobody_listens_on_a_port(state: Path) -> None:
    with lease(state) as held, psycopg.connect(held.place.database_url) as connection:
        facts = connection.execute(
            "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('listen_addresses'),"
            " pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'assay'"
        ).fetchone()
        assert facts == ("on", "on", "", "UTF8")
        with redis.Redis.from_url(held.place.redis_url, decode_responses=True) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("port") == {"port": "0"}


def test_second_start__after_the_last_user_left__keeps_the_data_and_left_no_process(
    state: Path,
) -> None:
    first = user(state, "first")
    assert finish(first) == 0
    assert processes_of(state) == []
    with lease(state) as held:
        assert rows(held) == ["first"]
        assert processes_of(state)
    assert processes_of(state) == []


def test_four_processes_race_to_start__all_get_the_same_servers(state: Path) -> None:
    racers = [user(state, f"racer{number}", wait_for_rows=4) for number in range(4)]
    outcomes = [racer.communicate(timeout=60) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0, 0], outcomes
    assert len({out for out, _ in outcomes}) == 1
    assert processes_of(state) == []


@pytest.fixture
def odd() -> Iterator[Path]:
    """A state folder whose name has what a connection string or a shell would take apart."""
    with state_folder("as my 'project' %2f#?") as folder:
        yield folder


def test_state_folder__with_spaces_and_quotes_in_its_name__starts_and_is_watched(odd: Path) -> None:
    with lease(odd) as held, psycopg.connect(held.place.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert postgres.speaks(held.place) and redis_server.speaks(held.place)
    assert not postgres.speaks(held.place) and not redis_server.speaks(held.place)
    assert processes_of(odd) == []


def test_last_one_out__stops_the_servers__earlier_ones_do_not(state: Path) -> None:
    stays = user(state, "stays", wait_for_rows=2)
    assert stays.stdout and stays.stdout.readline().startswith("in")
    with lease(state) as held:
        pass
    assert postgres.answers(held.place) and redis_server.answers(held.place)
    goes = user(state, "goes")
    assert (finish(goes), finish(stays)) == (0, 0)
    assert processes_of(state) == []


def test_user_killed__its_lock_is_gone__the_next_one_to_leave_stops_the_servers(
    state: Path,
) -> None:
    victim = user(state, "victim", seconds=60)
    assert victim.stdout and victim.stdout.readline().startswith("in")
    victim.kill()
    finish(victim)
    assert processes_of(state)
    with lease(state) as held:
        assert rows(held) == ["victim"]
    assert processes_of(state) == []


def test_postmaster_killed__revive__brings_back_what_was_committed(state: Path) -> None:
    with lease(state) as held:
        connection = psycopg.connect(held.place.database_url, autocommit=True)
        connection.execute("CREATE TABLE users_seen (name text)")
        connection.execute("INSERT INTO users_seen VALUES ('committed')")
        os.kill(
            postmaster(held), signal.SIGKILL
        )  # its children, one with our connection, are still there
        held.revive()
        assert rows(held) == ["committed"]
        connection.close()
    assert processes_of(state) == []


def test_redis_killed__revive__brings_it_back(state: Path) -> None:
    with lease(state) as held:
        pid = process.first_line(held.place.home / "redis" / "redis.pid")
        assert pid
        os.kill(pid, signal.SIGKILL)
        held.revive()
        assert redis_server.answers(held.place)
    assert processes_of(state) == []


def test_pid_file_of_a_dead_server__number_now_belongs_to_another_process__starts(
    state: Path,
) -> None:
    with lease(state) as held:
        os.kill(postmaster(held), signal.SIGKILL)
        process.wait_for(lambda: not postgres.answers(held.place), 5)
        file = held.place.home / "postgres" / "postmaster.pid"
        file.write_text(f"{os.getpid()}\n" + file.read_text().split("\n", 1)[1])
        held.revive()
        assert postgres.answers(held.place)


def test_set_up_killed_half_way__is_done_again(state: Path) -> None:
    here = place.find(state)
    process.own_folder(here.home, here.user)
    draft = process.own_folder(here.home / "postgres.draft", here.user)
    (draft / "half").write_text("made")
    with lease(state) as held:
        assert postgres.answers(held.place)


@pytest.mark.skipif(
    not ROOT,
    reason="only root can become somebody else; as a normal user every other test here is this one",
)
def test_normal_user__in_a_private_folder_of_theirs__works_without_root() -> None:
    if not all(
        place.reaches(NORMAL, path)
        for path in (Path(sys.executable).resolve(), Path(sys.prefix), place.PROJECT)
    ):
        pytest.skip("a normal user cannot reach this checkout or its Python")
    home = Path(tempfile.mkdtemp(prefix="as-"))
    os.chown(home, NORMAL.uid, NORMAL.gid)
    try:
        theirs = user(home / "deeper", "normal", as_user=NORMAL)
        assert finish(theirs) == 0
        assert {path.stat().st_uid for path in (home / "deeper").rglob("*")} == {NORMAL.uid}
        assert processes_of(home / "deeper") == []
    finally:
        shutil.rmtree(home)


@pytest.mark.skipif(
    not ROOT, reason="a normal user's servers run as that user, who may enter their own folders"
)
def test_root__below_a_private_parent__relocates_and_opens_nothing() -> None:
    parent = Path(tempfile.mkdtemp(prefix="as-"))
    state = parent / "checkout" / ".state"
    try:
        with lease(state) as held:
            owner = (held.place.home / "postgres").stat().st_uid
            assert postgres.answers(held.place) and redis_server.answers(held.place)
        assert owner != 0
        assert held.place.home.parent == Path("/var/tmp")
        assert (state / "services").resolve() == held.place.home
        assert parent.stat().st_mode & 0o777 == 0o700
        with lease(state) as again:
            assert again.place.home == held.place.home
        assert processes_of(state) == []
    finally:
        remove(state)
        shutil.rmtree(parent)


@pytest.mark.skipif(not ROOT, reason="only root runs programs as somebody else")
def test_root__packages_below_a_private_parent__runs_a_copy_with_its_libraries(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = Path(tempfile.mkdtemp(prefix="as-"))
    bundle = postgres._bundle()
    try:
        for folder in bundle.folders:
            shutil.copytree(bundle.base / folder, private / folder, symlinks=True)
        monkeypatch.setattr(
            postgres, "_bundle", lambda: process.Bundle(private, bundle.folders, bundle.programs)
        )
        with lease(state) as held:
            assert postgres.answers(held.place)
            running = Path(f"/proc/{postmaster(held)}/cmdline").read_text()
            assert running.startswith(str(held.place.home / "programs"))
    finally:
        shutil.rmtree(private)


def test_foreign_folder_in_our_place__is_refused_not_used(state: Path, tmp_path: Path) -> None:
    (state / "run").symlink_to(tmp_path)
    with pytest.raises(ServiceError, match="belongs to somebody else"):
        process.own_folder(state / "run", None)


def test_long_state_folder__sockets_stay_short(state: Path) -> None:
    deep = state / ("long" * 30)
    assert len(str(place.find(deep).postgres_socket)) < 100
    try:
        with lease(deep) as held:
            assert postgres.answers(held.place) and redis_server.answers(held.place)
    finally:
        remove(deep)


def test_database_url_given__only_redis_is_started(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/else")
    with lease(state) as held:
        assert redis_server.answers(held.place)
        assert not postgres.answers(held.place)
        assert not services.embedded()
    assert processes_of(state) == []


def test_redis_url_given__only_postgresql_is_started(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://somewhere:6379/0")
    with lease(state) as held:
        assert postgres.answers(held.place)
        assert not redis_server.answers(held.place)


def test_both_given__touches_nothing(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/else")
    monkeypatch.setenv("REDIS_URL", "redis://somewhere:6379/0")
    with lease(state / "unused"):
        assert not (state / "unused").exists()


def test_no_redis_to_be_had__says_what_to_install(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ServiceError, match=r"(?s)REDIS_URL is not set.*apt install redis-server"):
        redis_server._program(place.find(state))


def test_no_postgresql_to_be_had__says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ServiceError, match=r"(?s)DATABASE_URL is not set.*make setup"):
        postgres._bundle()


def test_data_of_another_major_version__is_named_and_left_alone(state: Path) -> None:
    here = place.find(state)
    data = process.own_folder(here.home / "postgres", here.user)
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(ServiceError, match="made by PostgreSQL 16"), lease(state):
        pass
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_state_folder_that_cannot_be_written__says_to_choose_another(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ServiceError, match="Point ASSAY_STATE"), lease(file / "below"):
        pass


def test_server_users_folder_owner__is_who_runs_the_servers(state: Path) -> None:
    if not ROOT:
        assert place.find(state).user is None
        return
    os.chown(state, NORMAL.uid, NORMAL.gid)
    found = place.find(state).user
    assert found and found.uid == NORMAL.uid
    assert found.name == pwd.getpwuid(NORMAL.uid).pw_name
