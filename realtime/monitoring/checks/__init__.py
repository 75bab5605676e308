"""System checks: what an installation lacks before it can run, and what it would run badly with.

They ask AWS and the database, so nothing runs them but `manage.py check --tag realtime` and
`manage.py check --deploy`: `realtime.management.commands.check` registers them there.
"""

from django.core.checks import register

from realtime.monitoring.checks import bucket, postgres, queue

TAG = "realtime"


def register_all() -> None:
    """Have Django's `check` run ours too, in this process. Repeatable."""
    for check in (bucket.check_bucket, queue.check_queue, postgres.check_database):
        register(check, TAG)
