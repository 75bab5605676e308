"""A new table: no other is touched."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("realtime", "0010_referents")]
    operations = [
        migrations.CreateModel(
            name="ListedPerson",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("jurisdiction_id", models.TextField()),
                ("run_id", models.UUIDField()),
                ("person_id", models.TextField()),
                ("listed_id", models.TextField()),
                ("order_ticks", models.BigIntegerField()),
                ("scrape_id", models.TextField()),
                ("order_stamp", models.BigIntegerField()),
                (
                    "is_new",
                    models.BooleanField(
                        help_text="the run has brought the person who lists; a name that fits both"
                        " is the other's"
                    ),
                ),
            ],
            options={"db_table": "realtime_listed_person"},
        ),
        migrations.AddIndex(
            model_name="listedperson",
            index=models.Index(fields=["run_id"], name="realtime_listed_run"),
        ),
    ]
