"""A new table: no other is touched."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("realtime", "0005_names")]
    operations = [
        migrations.CreateModel(
            name="RememberedAction",
            fields=[
                ("vote_event_id", models.TextField(primary_key=True, serialize=False)),
                ("bill_id", models.TextField()),
                ("action", models.TextField(help_text="description of the action")),
                ("date", models.TextField()),
                ("organization_id", models.TextField()),
                ("remembered_at", models.DateTimeField()),
            ],
            options={"db_table": "realtime_remembered_action"},
        ),
        migrations.AddIndex(
            model_name="rememberedaction",
            index=models.Index(fields=["bill_id"], name="realtime_remembered_bill"),
        ),
    ]
