"""One place that says what a call cost: a view that every reader of costs shares, and which calls Prometheus has counted."""

from django.db import migrations, models

PRICED = """
CREATE VIEW ai_priced_costs AS
SELECT c.event_date, c.event_id, c.environment, c.origin, c.ts, c.request_id, c.model, c.tokens_in, c.tokens_out,
    coalesce(c.cost_micro, CASE WHEN c.tokens_in IS NOT NULL OR c.tokens_out IS NOT NULL
        THEN round(coalesce(c.tokens_in, 0) * p.price_in + coalesce(c.tokens_out, 0) * p.price_out)::bigint END) AS cost_micro,
    c.cost_micro IS NOT NULL AS sent, c.cache_hit
FROM ai_request_costs c
LEFT JOIN (
    SELECT model, valid_from, lead(valid_from) OVER (PARTITION BY model ORDER BY valid_from) AS valid_until, price_in, price_out
    FROM ai_model_prices
) p ON p.model = c.model AND c.event_date >= p.valid_from AND (p.valid_until IS NULL OR c.event_date < p.valid_until)
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0013_source_schemas")]

    operations = [
        migrations.RunSQL(PRICED, "DROP VIEW ai_priced_costs"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE ai_request_costs ADD COLUMN counted boolean NOT NULL DEFAULT false",
                    "ALTER TABLE ai_request_costs DROP COLUMN counted",
                )
            ],
            state_operations=[migrations.AddField("requestcost", "counted", models.BooleanField(default=False, help_text="Whether Prometheus has been told."))],
        ),
    ]
