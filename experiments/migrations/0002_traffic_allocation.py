import django.db.models.expressions
import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='experiment',
            name='traffic_allocation',
            field=models.GeneratedField(db_persist=True, expression=django.db.models.expressions.CombinedExpression(django.db.models.functions.comparison.Cast(models.F('traffic'), models.DecimalField(decimal_places=3, max_digits=7)), '/', models.Value(1000)), output_field=models.DecimalField(decimal_places=3, max_digits=4)),
        ),
    ]
