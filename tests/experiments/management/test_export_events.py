"""Events leave as CSV with the keys of their payloads, and join an offline file by them."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command

from experiments.core.clock import utc_now
from experiments.core.types import Role
from experiments.models import ChangeLogEntry
from tests.analytics.stores.observed import World, world

pytestmark = pytest.mark.django_db
KEYS = ("job_id", "profile_id", "dispute_id")


@pytest.fixture
def observed() -> World:
    """Control applies to jobs that scored .3 offline, treatment to jobs that scored .8; one event
    came before its unit's exposure.
    """
    w = world("ranking")
    start = utc_now() - timedelta(days=3)
    for n in range(10):
        arm = "treatment" if n % 2 else "control"
        w.expose(f"u{n}", arm, start)
        payload = {"job_id": f"j-{arm}", "profile_id": f"p{n}", "note": "=1+1"}
        w.event(f"u{n}", "apply", start + timedelta(hours=1), payload=payload)
    w.event("u0", "apply", start - timedelta(hours=1), payload={"job_id": "j-before"})
    w.event("u1", "dispute_resolved", start + timedelta(hours=2), payload={"dispute_id": "d1"})
    return w


@pytest.fixture
def scientist() -> User:
    user = User.objects.create(username="dora")
    user.groups.add(Group.objects.get_or_create(name=Role.DATA_SCIENTIST.value)[0])
    return user


def exported(*arguments: str) -> list[dict[str, str]]:
    out = io.StringIO()
    call_command("export_events", "ranking", *arguments, stdout=out)
    return list(csv.DictReader(io.StringIO(out.getvalue())))


def test_export__joined_to_an_offline_file_by_job__gives_each_variants_offline_score(
    observed: World, scientist: User, tmp_path
) -> None:
    offline = tmp_path / "judgements.csv"
    offline.write_text("job_id,relevance\nj-control,0.3\nj-treatment,0.8\nj-before,9\n")
    relevance = {
        row["job_id"]: float(row["relevance"])
        for row in csv.DictReader(io.StringIO(offline.read_text()))
    }
    scores = defaultdict(list)
    for row in exported("--as", "dora", "--event", "apply"):
        scores[row["variant"]].append(relevance[row["job_id"]])
    assert {arm: (len(found), sum(found) / len(found)) for arm, found in scores.items()} == {
        "control": (5, pytest.approx(0.3)),
        "treatment": (5, pytest.approx(0.8)),
    }


def test_export__keys_of_payloads__are_columns_and_empty_where_missing(
    observed: World, scientist: User
) -> None:
    rows = exported("--as", "dora")
    assert len(rows) == 11
    assert all(set(KEYS) <= set(row) for row in rows)
    assert [row["job_id"] for row in rows if row["dispute_id"] == "d1"] == [""]


def test_export__text_that_a_spreadsheet_would_run__is_neutralised(
    observed: World, scientist: User
) -> None:
    assert {
        row["note"] for row in exported("--as", "dora", "--payload", "note", "--event", "apply")
    } == {"'=1+1"}


def test_export__writes_who_took_what_to_the_changelog(observed: World, scientist: User) -> None:
    exported("--as", "dora", "--reason", "calibration of the offline score")
    line = ChangeLogEntry.objects.get(action="events_exported")
    assert (line.actor_id, line.reason, line.after) == (
        scientist.pk,
        "calibration of the offline score",
        {"payload": list(KEYS)},
    )


@pytest.mark.parametrize("name", ["viewer", "nobody"])
def test_export__by_whom_may_not_read_raw_rows__is_refused_and_leaves_no_line(
    name: str, observed: World
) -> None:
    User.objects.create(username="viewer").groups.add(
        Group.objects.get_or_create(name=Role.VIEWER.value)[0]
    )
    with pytest.raises(CommandError):
        exported("--as", name)
    assert not ChangeLogEntry.objects.filter(action="events_exported").exists()


def test_export__impossible_key__is_refused(observed: World, scientist: User) -> None:
    with pytest.raises(CommandError, match="payload"):
        exported("--as", "dora", "--payload", "job_id'; --")
