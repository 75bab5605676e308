"""Adds what a file's names were resolved among. Null, as for all files before: not known, so they
are imported again when their run is finalized. No row is written and no index built."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("realtime", "0009_clocks")]
    operations = [
        migrations.AddField(
            model_name="file",
            name="referents",
            field=models.BigIntegerField(
                help_text="digest of what its names could mean when it was imported; null: unknown",
                null=True,
            ),
        )
    ]
