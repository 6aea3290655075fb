from django.db import migrations, models

AI_FEEDBACK = """
CREATE TABLE ai_feedback (
    event_date date NOT NULL,
    event_id varchar(128) NOT NULL,
    ts timestamptz NOT NULL,
    received_ts timestamptz NOT NULL,
    user_id varchar(256) NOT NULL,
    unit_type varchar(32) NOT NULL,
    units jsonb NOT NULL,
    experiment_id integer,
    variant_id integer,
    label varchar(12),
    comment text,
    manual_edit_flag boolean,
    request_id varchar(128),
    context jsonb,
    environment varchar(12) NOT NULL,
    origin varchar(8) NOT NULL,
    PRIMARY KEY (event_date, event_id)
) PARTITION BY RANGE (event_date);
CREATE INDEX feedback_of_unit ON ai_feedback (user_id, ts);
CREATE INDEX feedback_of_experiment ON ai_feedback (experiment_id, ts);
"""

AI_REQUEST_COSTS = """
CREATE TABLE ai_request_costs (
    event_date date NOT NULL,
    event_id varchar(128) NOT NULL,
    ts timestamptz NOT NULL,
    received_ts timestamptz NOT NULL,
    request_id varchar(128) NOT NULL,
    model varchar(200) NOT NULL,
    tokens_in bigint,
    tokens_out bigint,
    cost_micro bigint,
    cache_hit boolean,
    qps_bucket varchar(40),
    environment varchar(12) NOT NULL,
    origin varchar(8) NOT NULL,
    PRIMARY KEY (event_date, event_id)
) PARTITION BY RANGE (event_date);
CREATE INDEX costs_of_request ON ai_request_costs (request_id);
CREATE INDEX costs_of_model ON ai_request_costs (model, ts);
"""
_ENVIRONMENTS = [("production", "production"), ("test", "test")]
_ORIGINS = [("live", "live"), ("import", "import")]


def _key() -> models.CompositePrimaryKey:
    return models.CompositePrimaryKey("event_date", "event_id", blank=True, editable=False, primary_key=True, serialize=False)


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0003_null_replays"),
        ("experiments", "0003_quantiles_and_covariates"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(AI_FEEDBACK, "DROP TABLE ai_feedback")],
            state_operations=[
                migrations.CreateModel(
                    name="Feedback",
                    fields=[
                        ("pk", _key()),
                        ("event_date", models.DateField()),
                        ("event_id", models.CharField(max_length=128)),
                        ("ts", models.DateTimeField()),
                        ("received_ts", models.DateTimeField()),
                        ("user_id", models.CharField(max_length=256)),
                        ("unit_type", models.CharField(max_length=32)),
                        ("units", models.JSONField(default=dict)),
                        ("experiment_id", models.IntegerField(null=True)),
                        ("variant_id", models.IntegerField(null=True)),
                        ("label", models.CharField(max_length=12, null=True)),
                        ("comment", models.TextField(null=True)),
                        ("manual_edit_flag", models.BooleanField(null=True)),
                        ("request_id", models.CharField(max_length=128, null=True)),
                        ("context", models.JSONField(null=True)),
                        ("environment", models.CharField(choices=_ENVIRONMENTS, max_length=12)),
                        ("origin", models.CharField(choices=_ORIGINS, max_length=8)),
                    ],
                    options={
                        "db_table": "ai_feedback",
                        "indexes": [
                            models.Index(fields=["user_id", "ts"], name="feedback_of_unit"),
                            models.Index(fields=["experiment_id", "ts"], name="feedback_of_experiment"),
                        ],
                    },
                ),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(AI_REQUEST_COSTS, "DROP TABLE ai_request_costs")],
            state_operations=[
                migrations.CreateModel(
                    name="RequestCost",
                    fields=[
                        ("pk", _key()),
                        ("event_date", models.DateField()),
                        ("event_id", models.CharField(max_length=128)),
                        ("ts", models.DateTimeField()),
                        ("received_ts", models.DateTimeField()),
                        ("request_id", models.CharField(max_length=128)),
                        ("model", models.CharField(max_length=200)),
                        ("tokens_in", models.BigIntegerField(null=True)),
                        ("tokens_out", models.BigIntegerField(null=True)),
                        ("cost_micro", models.BigIntegerField(null=True)),
                        ("cache_hit", models.BooleanField(null=True)),
                        ("qps_bucket", models.CharField(max_length=40, null=True)),
                        ("environment", models.CharField(choices=_ENVIRONMENTS, max_length=12)),
                        ("origin", models.CharField(choices=_ORIGINS, max_length=8)),
                    ],
                    options={
                        "db_table": "ai_request_costs",
                        "indexes": [
                            models.Index(fields=["request_id"], name="costs_of_request"),
                            models.Index(fields=["model", "ts"], name="costs_of_model"),
                        ],
                    },
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="assignment",
            index=models.Index(fields=["user_id", "experiment"], name="assignments_of_unit"),
        ),
        migrations.AddIndex(
            model_name="aievent",
            index=models.Index(
                condition=models.Q(("request_id__isnull", False)), fields=["request_id"], name="ai_events_of_request"
            ),
        ),
    ]
