"""Runs of due work are written down before the work, beside those that failed."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("experiments", "0015_arrival_grace")]

    operations = [
        migrations.AddField(
            model_name="failedwork",
            name="attempts",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.RunSQL("UPDATE failed_work SET attempts = failures", migrations.RunSQL.noop),
    ]
