"""``source_000.ai_ab_metrics``: everything that was told of units, with the variant that each had met and its frozen covariates.

The table ``ai_ab_metrics`` holds observations. A view cannot share its name, so the view of all events lives in a schema of its own:
``SET search_path TO source_000``.
"""

from django.db import migrations

# A row stamped with an experiment belongs to it, any other to every experiment that its unit had met by then; one that
# belongs to none is there once, without a variant. event_date leads, so that a day reads one partition of each table.
ALL_EVENTS = """
CREATE SCHEMA source_000;
CREATE VIEW source_000.ai_ab_metrics AS
WITH told AS (
    SELECT event_date, event_id, "timestamp", 'observation' AS source, metric_name, value, user_id, unit_type, units,
        experiment_id, variant_id, covariates, context AS payload, NULL::bigint AS cost_micro, NULL::int AS latency_ms, NULL AS language
    FROM public.ai_ab_metrics WHERE environment = 'production'
    UNION ALL
    SELECT event_date, event_id, ts, 'event', event_type, value, user_id, unit_type, units,
        experiment_id, variant_id, NULL, payload, cost_micro, latency_ms, language
    FROM public.ai_events WHERE environment = 'production'
    UNION ALL
    SELECT event_date, event_id, ts, 'feedback', 'ai_feedback', CASE label WHEN 'useful' THEN 1 WHEN 'not_useful' THEN 0 END, user_id,
        unit_type, units, experiment_id, variant_id, NULL, context, NULL, NULL, NULL
    FROM public.ai_feedback WHERE environment = 'production'
), named AS (
    SELECT t.*, u.unit_type AS own_type, u.unit_id
    FROM told t CROSS JOIN LATERAL jsonb_each_text(t.units || jsonb_build_object(t.unit_type, t.user_id)) AS u (unit_type, unit_id)
)
SELECT DISTINCT ON (n.event_date, n.event_id, coalesce(s.experiment_id, n.experiment_id))
    n.event_date, n.event_id, n."timestamp", n.source, n.metric_name, n.value, coalesce(s.user_id, n.user_id) AS user_id,
    coalesce(s.unit_type, n.unit_type) AS unit_type, coalesce(s.experiment_id, n.experiment_id) AS experiment_id, e.key AS experiment,
    v.variant_id, v.key AS variant, coalesce(s.covariates, n.covariates) AS covariates, n.payload, n.cost_micro, n.latency_ms, n.language
FROM named n
LEFT JOIN public.experiment_assignments s ON s.user_id = n.unit_id
    AND s.environment = 'production' AND s.phase = 'main'
    AND (s.unit_type = n.own_type OR (s.unit_type = 'visitor' AND n.own_type IN ('user', 'session')))
    AND (s.experiment_id = n.experiment_id OR (n.experiment_id IS NULL AND s.exposure_ts <= n."timestamp"))
LEFT JOIN public.experiment_variants v ON v.variant_id = coalesce(s.variant_id, n.variant_id)
LEFT JOIN public.experiments e ON e.experiment_id = coalesce(s.experiment_id, n.experiment_id)
ORDER BY n.event_date, n.event_id, coalesce(s.experiment_id, n.experiment_id), s.exposure_ts DESC NULLS LAST
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0016_told_outcomes"), ("experiments", "0012_flag_schemas")]

    operations = [migrations.RunSQL(ALL_EVENTS, "DROP SCHEMA source_000 CASCADE")]
