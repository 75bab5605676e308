"""Names and titles are found without their accents.

An index of names takes the place of the one with accents. Titles that have other than plain letters
are noted again by the next `prune_realtime`: until then they are found as they are written.

Built while imports go on writing, so the migration is no transaction: interrupted, it is run again
from its beginning, and puts right what it left.
"""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.contrib.postgres.search import SearchVector
from django.db import migrations, models

from realtime.backends.postgres.indexes import AddIndexAgain
from realtime.models import WithoutAccents


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("realtime", "0016_waiting")]
    operations = [
        AddIndexAgain(
            "raisedflag",
            GinIndex(
                SearchVector(WithoutAccents("subject"), config="simple"),
                condition=models.Q(("kind", "unmatched"), ("resolved_at", None)),
                name="realtime_flag_words",
            ),
        ),
        RemoveIndexConcurrently("raisedflag", "realtime_flag_names"),
        migrations.RunSQL(
            [
                "UPDATE realtime_bill_title SET updated_at = updated_at - interval '1 microsecond'"
                r" WHERE words::text ~ '[^\x01-\x7f]'"
            ],
            migrations.RunSQL.noop,
        ),
    ]
