"""A mark that changes with every row that is stored, changed or deleted, but for rows that say
nothing about experiments.

PostgreSQL counts the rows that were written to each table. To compare its counters costs a
millisecond, whatever the size of the tables, and no door has to tell anybody what it wrote.
Counters of a transaction arrive within seconds after its commit. They begin anew after a crash,
which the moment of their reset shows.
"""

from __future__ import annotations

from django.db import connection

OF_ITS_OWN = frozenset(
    {
        *(
            "claimed_slots",
            "failed_work",
            "slow_work_done",
            "idempotency_keys",
        ),  # how work is shared
        *(
            "analysis_runs",
            "outcome_counts",
            "holdback_runs",
            "experiment_evidence",
            "null_replays",
        ),  # what slow work writes
        *("scans", "pair_scans", "experiment_reports", "audit_seals"),
        *("experiment_standings", "experiment_touches"),  # what lists are ordered by
        *("refused_items", "seen_assignments", "tail_watches"),  # what the live tail shows
        *("subscriptions", "outbox_messages", "deliveries"),  # who is told
        *("experiment_standings", "experiment_touches"),  # how lists are ordered
        *(
            "login_counts",
            "auth_user",
            "django_session",
            "django_migrations",
            "django_admin_log",
        ),  # who looks
    }
)
"""Tables that no analysis, health check or count reads. Whatever is not named here counts, so a new
table costs time, never truth.
"""

_SQL = """
SELECT CASE WHEN current_setting('track_counts')::boolean
    THEN md5(string_agg(concat_ws(' ', c.oid, c.relfilenode,
        pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_inserted(c.oid),
        pg_stat_get_tuples_updated(c.oid) + pg_stat_get_xact_tuples_updated(c.oid),
        pg_stat_get_tuples_deleted(c.oid) + pg_stat_get_xact_tuples_deleted(c.oid)), ',' ORDER BY c.oid))
        || ' ' || coalesce(extract(epoch FROM (SELECT stats_reset FROM pg_stat_archiver))::text, '')
    ELSE clock_timestamp()::text END
FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND c.relname <> ALL(%s)
"""


def mark() -> str:
    """The present one. Where PostgreSQL does not count, one that no other is like."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(_SQL, [sorted(OF_ITS_OWN)])
        return str(cursor.fetchone()[0])
