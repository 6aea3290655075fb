"""The same data under the names that the sources give their tables: views, always of what is stored now.

A migration that changes the type of a column read here drops the view first and makes it anew.
"""

from django.db import migrations

EXPOSURES = """
CREATE VIEW experiment_exposures AS
SELECT a.id, a.experiment_id, a.variant_id, a.user_id, a.unit_type, a.exposure_ts AS exposed_at, a.exposure_count, a.phase, a.context,
    e.uuid AS experiment_uuid, v.uuid AS variant_uuid
FROM experiment_assignments a
JOIN experiments e ON e.experiment_id = a.experiment_id
JOIN experiment_variants v ON v.variant_id = a.variant_id
WHERE a.environment = 'production'
"""

# An observation counts in the experiment it is stamped with, else in every one its unit met before; under the unit's own variant.
CONVERSIONS = """
CREATE VIEW experiment_conversions AS
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

AB_EXPERIMENTS = """
CREATE VIEW ab_experiments AS
SELECT e.experiment_id AS id, e.uuid, e.key, e.name, e.description, e.experiment_type, e.status, e.outcome,
    e.traffic_allocation * 100 AS target_percentage, e.min_sample_size, e.confidence_level,
    (SELECT m.key FROM experiment_metrics p JOIN metrics m ON m.id = p.metric_id
        WHERE p.experiment_id = e.experiment_id AND p.role = 'primary') AS primary_metric,
    (SELECT coalesce(jsonb_agg(m.key ORDER BY p.id), '[]') FROM experiment_metrics p JOIN metrics m ON m.id = p.metric_id
        WHERE p.experiment_id = e.experiment_id AND p.role = 'secondary') AS secondary_metrics,
    (SELECT r.variant_id FROM flag_rollouts r WHERE r.experiment_id = e.experiment_id ORDER BY r.id DESC LIMIT 1) AS winner_variant_id,
    e.created_at, e.updated_at, e.start_ts AS start_date, e.end_ts AS end_date
FROM experiments e
"""

AB_VARIANTS = """
CREATE VIEW ab_variants AS
SELECT v.variant_id AS id, v.uuid, v.experiment_id, v.key, v.name, v.description, v.is_control, v.traffic_share * 100 AS traffic_allocation,
    v.config
FROM experiment_variants v
"""

AB_ASSIGNMENTS = """
CREATE VIEW ab_assignments AS
SELECT a.id, a.experiment_id, a.variant_id, a.user_id, a.unit_type, CASE WHEN a.unit_type = 'session' THEN a.user_id END AS session_id,
    a.assigned_ts AS assigned_at
FROM experiment_assignments a
WHERE a.environment = 'production' AND a.phase = 'main'
"""

AB_RESULTS = """
CREATE VIEW ab_results AS
SELECT c.id, c.experiment_id, c.variant_id, c.user_id, c.unit_type, CASE WHEN c.unit_type = 'session' THEN c.user_id END AS session_id,
    c.metric_name, c.value AS metric_value, c.metadata, c.converted_at AS recorded_at
FROM experiment_conversions c
"""

AB_INSIGHTS = """
CREATE VIEW ab_insights AS
SELECT d.id, i.experiment_id, d.made_at AS analysis_date, d.verdict AS insight_type, d.variant_id, d.rule AS recommendation_reason,
    CASE WHEN d.verdict = 'promote' OR d.rule LIKE '%meets every condition; automatic promotion is off%' THEN d.variant_id END
        AS recommended_winner_id,
    (SELECT min((h -> 'look' ->> 'p')::float8) FROM jsonb_array_elements(l.state -> 'hypotheses') h) AS p_value,
    coalesce((SELECT bool_or(h -> 'look' ->> 'crossed' IS NOT NULL) FROM jsonb_array_elements(l.state -> 'hypotheses') h), false)
        AS is_significant,
    l.number AS look, l.information
FROM decisions d
JOIN experiment_iterations i ON i.id = d.iteration_id
LEFT JOIN analysis_looks l ON l.id = d.look_id
"""


def _view(statement: str) -> migrations.RunSQL:
    name = statement.split()[2]
    return migrations.RunSQL(statement, f"DROP VIEW {name}")


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0004_costs_and_feedback"),
        ("experiments", "0003_quantiles_and_covariates"),
    ]

    operations = [
        _view(each) for each in (EXPOSURES, CONVERSIONS, AB_EXPERIMENTS, AB_VARIANTS, AB_ASSIGNMENTS, AB_RESULTS, AB_INSIGHTS)
    ]
