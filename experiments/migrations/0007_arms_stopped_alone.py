import django.core.validators
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0006_notifications"),
    ]

    operations = [
        migrations.CreateModel(
            name="StoppedArm",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stopped_at", models.DateTimeField()),
                ("reason", models.TextField()),
                (
                    "iteration",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="stopped_arms", to="experiments.iteration"),
                ),
                (
                    "variant",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="experiments.variant"),
                ),
            ],
            options={
                "db_table": "experiment_stopped_arms",
                "ordering": ("iteration", "stopped_at", "id"),
                "constraints": [models.UniqueConstraint(fields=("iteration", "variant"), name="arm_stopped_once")],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="stoppedarm",
            trigger=pgtrigger.compiler.Trigger(
                name="append_only",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;",
                    hash="48bfcff9dfe620487c72a402579ef70ee99bd1d7",
                    operation="UPDATE OR DELETE",
                    pgid="pgtrigger_append_only_c2a2d",
                    table="experiment_stopped_arms",
                    when="BEFORE",
                ),
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="budget_micro",
            field=models.BigIntegerField(
                blank=True,
                help_text="Stops when its units have cost this much, in USD micros.",
                null=True,
                validators=[django.core.validators.MinValueValidator(1)],
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(("budget_micro__isnull", True), ("budget_micro__gt", 0), _connector="OR"),
                name="experiment_budget_above_zero",
            ),
        ),
        migrations.AddField(
            model_name="experimentmetric",
            name="worth_micro",
            field=models.BigIntegerField(
                blank=True,
                help_text="What one unit of the primary outcome is worth, in USD micros; then a gain may pay for cost.",
                null=True,
            ),
        ),
    ]
