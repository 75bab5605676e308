"""System checks: what is missing or misconfigured in an installation.

They query AWS and the database, so they run only with `manage.py check --tag realtime` or
`--deploy`: `realtime.management.commands.check` registers them there.
"""

from django.core.checks import register

from realtime.monitoring.checks import bucket, postgres, queue

TAG = "realtime"


def register_all() -> None:
    """Register our checks with Django in this process. Repeatable."""
    for check in (bucket.check_bucket, queue.check_queue, postgres.check_database):
        register(check, TAG)
