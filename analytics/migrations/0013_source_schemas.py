"""Results by one pass instead of one search per observation, and a schema with the recommender's own ids and columns.

A view cannot share the name of the table that it reads, so the recommender's tables, whose ids are UUIDs and whose
assignments carry ``assigned_at``, are views in a schema of their own: ``SET search_path TO source_003``.
"""

from django.db import migrations

# Each observation is laid beside the assignments of its units once (a hash join), instead of being looked for once per
# observation. It counts in the experiment it is stamped with, else in every one its unit met before, under the unit's own variant.
CONVERSIONS = """
CREATE OR REPLACE VIEW experiment_conversions AS
WITH told AS (
    SELECT m.event_id, m.experiment_id, m.variant_id, m.user_id, m.unit_type, m.metric_name, m.value, m."timestamp", m.context,
        u.unit_type AS own_type, u.unit_id
    FROM ai_ab_metrics m
    CROSS JOIN LATERAL jsonb_each_text(m.units || jsonb_build_object(m.unit_type, m.user_id)) AS u (unit_type, unit_id)
    WHERE m.environment = 'production'
),
counted AS (
    SELECT DISTINCT ON (t.event_id, coalesce(s.experiment_id, t.experiment_id))
        t.event_id AS id, coalesce(s.experiment_id, t.experiment_id) AS experiment_id, coalesce(s.variant_id, t.variant_id) AS variant_id,
        coalesce(s.user_id, t.user_id) AS user_id, coalesce(s.unit_type, t.unit_type) AS unit_type, t.metric_name, t.value,
        t."timestamp" AS converted_at, t.context AS metadata
    FROM told t
    LEFT JOIN experiment_assignments s ON s.user_id = t.unit_id
        AND s.environment = 'production' AND s.phase = 'main'
        AND (s.unit_type = t.own_type OR (s.unit_type = 'visitor' AND t.own_type IN ('user', 'session')))
        AND (s.experiment_id = t.experiment_id OR (t.experiment_id IS NULL AND s.exposure_ts <= t."timestamp"))
    ORDER BY t.event_id, coalesce(s.experiment_id, t.experiment_id), s.exposure_ts DESC NULLS LAST
)
SELECT * FROM counted WHERE experiment_id IS NOT NULL
"""

# What 0005 made, for the way back.
BEFORE = """
CREATE OR REPLACE VIEW experiment_conversions AS
SELECT m.event_id AS id, coalesce(m.experiment_id, a.experiment_id) AS experiment_id, coalesce(a.variant_id, m.variant_id) AS variant_id,
    coalesce(a.user_id, m.user_id) AS user_id, coalesce(a.unit_type, m.unit_type) AS unit_type, m.metric_name, m.value,
    m."timestamp" AS converted_at, m.context AS metadata
FROM ai_ab_metrics m
LEFT JOIN LATERAL (
    SELECT DISTINCT ON (s.experiment_id) s.experiment_id, s.variant_id, s.user_id, s.unit_type
    FROM jsonb_each_text(m.units || jsonb_build_object(m.unit_type, m.user_id)) AS u (unit_type, unit_id)
    JOIN experiment_assignments s ON s.user_id = u.unit_id
        AND (s.unit_type = u.unit_type OR (s.unit_type = 'visitor' AND u.unit_type IN ('user', 'session')))
        AND s.environment = 'production' AND s.phase = 'main'
        AND (s.experiment_id = m.experiment_id OR (m.experiment_id IS NULL AND s.exposure_ts <= m."timestamp"))
    ORDER BY s.experiment_id, s.exposure_ts DESC
) a ON true
WHERE m.environment = 'production' AND (m.experiment_id IS NOT NULL OR a.experiment_id IS NOT NULL)
"""

SOURCE_003 = """
CREATE SCHEMA source_003;
CREATE VIEW source_003.experiments AS
SELECT e.uuid AS id, e.key, e.name, e.description, e.status, e.traffic_allocation, e.created_at, e.updated_at
FROM public.experiments e;
CREATE VIEW source_003.experiment_variants AS
SELECT v.uuid AS id, e.uuid AS experiment_id, v.key, v.name, v.traffic_share AS weight, v.config
FROM public.experiment_variants v JOIN public.experiments e ON e.experiment_id = v.experiment_id;
CREATE VIEW source_003.experiment_assignments AS
SELECT e.uuid AS experiment_id, v.uuid AS variant_id, a.user_id, a.unit_type, a.assigned_ts AS assigned_at
FROM public.experiment_assignments a
JOIN public.experiments e ON e.experiment_id = a.experiment_id
JOIN public.experiment_variants v ON v.variant_id = a.variant_id
WHERE a.environment = 'production' AND a.phase = 'main';
CREATE VIEW source_003.experiment_exposures AS
SELECT x.experiment_uuid AS experiment_id, x.variant_uuid AS variant_id, x.user_id, x.unit_type, x.exposed_at, x.exposure_count, x.context
FROM public.experiment_exposures x;
CREATE VIEW source_003.experiment_conversions AS
SELECT e.uuid AS experiment_id, v.uuid AS variant_id, c.user_id, c.unit_type, c.metric_name, c.value, c.converted_at, c.metadata
FROM public.experiment_conversions c
JOIN public.experiments e ON e.experiment_id = c.experiment_id
LEFT JOIN public.experiment_variants v ON v.variant_id = c.variant_id
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0012_who_looks")]

    operations = [
        migrations.RunSQL(CONVERSIONS, BEFORE),
        migrations.RunSQL(SOURCE_003, "DROP SCHEMA source_003 CASCADE"),
    ]
