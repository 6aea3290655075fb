from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0006_live_tail"),
    ]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="arms",
            field=models.JSONField(default=list),
        ),
    ]
