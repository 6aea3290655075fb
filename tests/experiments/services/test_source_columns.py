"""The tables and columns that the sources name are there, under those names."""

from __future__ import annotations

import pytest
from django.db import connection

SOURCES = {
    "000.31": ("ai_ab_metrics", "timestamp variant covariates"),
    "000.32": ("experiments", "experiment_id flag owner start_ts end_ts status"),
    "000.33": ("experiment_variants", "experiment_id variant_id name traffic_share"),
    "000.34": (
        "experiment_assignments",
        "user_id experiment_id variant_id bucket_id assigned_ts exposure_ts",
    ),
    "000.35": (
        "ai_events",
        "event_id user_id experiment_id variant_id event_type payload cost_micro latency_ms language embedding_stats",
    ),
    "000.37": (
        "ai_request_costs",
        "request_id model tokens_in tokens_out cost_micro cache_hit qps_bucket",
    ),
    "000.39": ("ai_feedback", "event_id user_id label comment manual_edit_flag"),
    "003.14": ("experiments", "uuid name status traffic_allocation created_at updated_at"),
    "003.15": ("experiment_variants", "uuid experiment_id name weight config"),
}
"""Row → table and columns. Ids of 003 are UUIDs: here they stand beside the integer ids of 000, as
``uuid``.
"""


def _columns(table: str) -> dict[str, str]:
    """Column → type, as the database itself has them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select column_name, data_type from information_schema.columns where table_name = %s",
            [table],
        )
        return dict(cursor.fetchall())


@pytest.mark.django_db
@pytest.mark.parametrize("row", SOURCES)
def test_source_columns__as_named__exist(row: str) -> None:
    table, wanted = SOURCES[row]
    found = _columns(table)
    assert not set(wanted.split()) - set(found), f"{table} has only {', '.join(sorted(found))}"


@pytest.mark.django_db
def test_source_columns__json_and_uuids__are_of_that_type() -> None:
    assert _columns("experiments")["uuid"] == _columns("experiment_variants")["uuid"] == "uuid"
    assert (
        _columns("experiment_variants")["config"]
        == _columns("ai_events")["payload"]
        == _columns("ai_ab_metrics")["covariates"]
        == "jsonb"
    )


@pytest.mark.django_db
def test_experiments__name__is_unique() -> None:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "experiments")
    assert ["name"] in [entry["columns"] for entry in found.values() if entry["unique"]]


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["ai_events", "ai_ab_metrics", "ai_request_costs", "ai_feedback"])
def test_event_tables__days__are_partitions_by_event_date(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select pg_get_partkeydef(%s::regclass)", [table])
        assert cursor.fetchone() == ("RANGE (event_date)",)
