"""The application's own database role cannot erase the audit, and what the owner changes shows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from django.conf import settings

from config.processes.services import Lease
from tests.live import Live, installation
from tests.places import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
AUDIT = ("changelog", "decisions", "experiment_sign_offs", "analysis_looks", "audit_seals")
ATTACKS = [
    *(f"TRUNCATE {table} CASCADE" for table in AUDIT),
    *(f"DELETE FROM {table}" for table in AUDIT),
    *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in AUDIT),
    "UPDATE changelog SET actor_label = 'nobody'",
    "UPDATE decisions SET verdict = 'promote'",
    "UPDATE experiment_sign_offs SET verdict = 'passed'",
    "SET session_replication_role = replica",
    "SET pgtrigger.ignore = '{all}'; DELETE FROM changelog",
    "TRUNCATE experiments CASCADE",
    "TRUNCATE event_ids",
    "DROP TABLE changelog CASCADE",
    "ALTER TABLE changelog ADD COLUMN more text",
    "ALTER TABLE changelog OWNER TO CURRENT_USER",
    "CREATE TABLE public.mine (id int)",
    "CREATE TRIGGER mine BEFORE INSERT ON changelog FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE OR REPLACE FUNCTION public.assay_make_day(parent text, day date) RETURNS void LANGUAGE sql AS 'SELECT'",
    "DROP TABLE ai_events",
    "SET ROLE assay",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "GRANT DELETE ON changelog TO CURRENT_USER; DELETE FROM changelog",
    "COPY changelog TO PROGRAM 'cat'",
]
SEAL = """
import django
django.setup()
from analytics.services.writing.sealing import seal
from experiments.core.clock import utc_now
print(seal(utc_now()))
"""


@pytest.fixture(scope="module")
def house(services: Lease, redis_url: str) -> Iterator[Live]:
    if not settings.DATABASE_OWNER_URL:
        pytest.skip("DATABASE_URL is set without DATABASE_OWNER_URL: there is one role only")
    with installation(services, settings.DATABASE_URL, redis_url) as live:
        live.experiment("audited", flag=live.flag("audited")["key"])
        live.settle()
        yield live


@pytest.fixture
def attacker(house: Live) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection as the application has it."""
    with psycopg.connect(house.environment["DATABASE_URL"], autocommit=True) as connection:
        yield connection


def verified(live: Live) -> tuple[int, str]:
    command = [sys.executable, "-W", "ignore", "manage.py", "verify_audit"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **live.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_with_the_applications_role__is_refused(
    house: Live, attacker: psycopg.Connection[tuple[object, ...]], attack: str
) -> None:
    before = house.sql("SELECT count(*) FROM changelog")
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.WrongObjectType)):
        attacker.execute(attack)
    assert house.sql("SELECT count(*) FROM changelog") == before != [(0,)]


@pytest.mark.parametrize(
    "parent", ["changelog", "ai_events_20260101", "ai_events; DROP TABLE changelog", ""]
)
def test_making_a_day__of_anything_but_a_known_table__is_refused(
    house: Live, attacker: psycopg.Connection[tuple[object, ...]], parent: str
) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        attacker.execute("SELECT assay_make_day(%s, '2026-01-01')", [parent])
    assert house.sql("SELECT to_regclass('changelog') IS NOT NULL") == [(True,)]


def test_making_a_day__does_not_follow_the_callers_search_path(
    house: Live, attacker: psycopg.Connection[tuple[object, ...]]
) -> None:
    attacker.execute("CREATE TEMP TABLE ai_events (event_date date)")
    attacker.execute("SET search_path = pg_temp, public")
    attacker.execute("SELECT public.assay_make_day('ai_events', '2031-05-01')")
    parent = "SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = 'ai_events_20310501'::regclass"
    assert house.sql(parent) == [("ai_events",)]


def test_work_with_the_applications_role__goes_on(house: Live) -> None:
    """Days are made, events stored, experiments changed: everything above and below ran as this
    role.
    """
    answer = house.post("/api/v1/events", {"event_type": "opened", "units": {"user": "u1"}})
    assert answer.status == 200, answer.body
    ready = house.get("/readyz", key=None).json()
    assert ready.pop("seconds_ago").keys() == {"postgresql", "redis"}
    assert ready == {"postgresql": "ok", "redis": "ok"}


def test_verify_audit__finds_what_the_owner_altered_or_removed_and_the_unsealed_tail(
    house: Live,
) -> None:
    code, said = verified(house)
    assert (code, "wait for beat to seal them" in said) == (0, True), said
    assert int(house.python(SEAL)) > 0
    code, said = verified(house)
    assert (code, "Every row is sealed." in said) == (0, True), said

    house.sql("ALTER TABLE changelog DISABLE TRIGGER ALL")
    altered = house.sql(
        "UPDATE changelog SET reason = 'forged' WHERE id = (SELECT min(id) FROM changelog) RETURNING id, action"
    )[0][0]
    code, said = verified(house)
    assert code == 1
    assert (
        f"BREAK changelog row {altered} (seal 1): the row was changed after it was sealed" in said
    )

    removed = house.sql(
        "DELETE FROM changelog WHERE id = (SELECT max(id) FROM changelog) RETURNING id"
    )[0][0]
    house.sql("ALTER TABLE audit_seals DISABLE TRIGGER ALL")
    house.sql("DELETE FROM audit_seals WHERE number = 2")
    code, said = verified(house)
    assert code == 1
    assert f"changelog row {removed} " in said and "the row is gone" in said
    assert "seals 2 to 2 are missing" in said
