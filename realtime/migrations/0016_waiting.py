"""An index of who waited in the queue, and when, in place of one without the half of it.

Built while imports go on writing, so the migration is no transaction: interrupted, it is run again
from its beginning, and puts right what it left.
"""

from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations, models

from realtime.backends.postgres.indexes import AddIndexAgain


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("realtime", "0015_receivers")]
    operations = [
        AddIndexAgain(
            "file",
            models.Index(
                condition=models.Q(bucket__gt="", retried_at=None),
                fields=["received_at"],
                include=["queued_at", "jurisdiction_id"],
                name="realtime_file_waited",
            ),
        ),
        RemoveIndexConcurrently("file", "realtime_file_received"),
    ]
