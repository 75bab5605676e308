"""Waits for notices of PostgreSQL (LISTEN), on the connection of this thread."""

import select
import time

from django.db import InternalError, connection

from realtime.backends.postgres import pooler_check
from realtime.backends.postgres.interruptions import READ_ONLY, error_code


class Listener:
    """Listens on a channel of the default connection, from when it is made until that ends.

    `deaf` says why no notice comes (then `wait` only lets time pass): a transaction pooler hands
    notices to nobody, and a standby takes no LISTEN. Empty where they come.
    """

    def __init__(self, channel: str) -> None:
        connection.ensure_connection()
        self.deaf = ""
        if pooler_check.is_pooled():
            self.deaf = "the connection goes through a transaction pooler, which passes no notices"
            return
        try:
            with connection.cursor() as cursor:
                cursor.execute(f'LISTEN "{channel}"')
        except InternalError as exc:
            if error_code(exc) != READ_ONLY:
                raise
            self.deaf = "the database is a standby, which passes no notices"

    def wait(self, seconds: float) -> None:
        """Wait for a notice, at most so long. One that came since the last call counts."""
        if self.deaf:
            time.sleep(seconds)
            return
        raw = connection.connection
        if not raw.notifies:
            select.select([raw], [], [], seconds)
            raw.poll()
        raw.notifies.clear()
