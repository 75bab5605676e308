"""PostgreSQL, S3 and SQS together, with the database, bucket and queue for our commands."""

import os
from types import TracebackType
from typing import Self

from realtime.devstack.aws import LocalAws
from realtime.devstack.postgres import EmbeddedPostgres

BUCKET = "openstates-realtime"
QUEUE = "openstates-realtime"
DATABASE = "openstates"


class DevStack:
    """A running PostgreSQL with an empty database, and an S3 bucket and SQS queue.

    Between `start` and `stop` (or within the `with` block), `environment` gives our commands all
    the settings they need. Afterwards nothing is left running or on disk.
    """

    def __init__(self) -> None:
        self.postgres = EmbeddedPostgres()
        self.aws = LocalAws()
        self.queue_url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start all services. When one fails, stops the others and raises StackError."""
        # moto uses boto3's default session, which fails when AWS_PROFILE names a missing profile.
        os.environ.pop("AWS_PROFILE", None)
        try:
            self.postgres.start()
            self.postgres.create_database(DATABASE)
            self.aws.start()
            self.aws.create_bucket(BUCKET)
            self.queue_url = self.aws.create_queue(QUEUE)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all services and delete their data. Repeatable."""
        try:
            self.aws.stop()
        finally:
            self.postgres.close()

    def environment(self) -> dict[str, str]:
        """The environment variables that make our commands use this stack."""
        return {
            "DATABASE_URL": self.postgres.url(DATABASE),
            "S3_REALTIME_BASE": f"s3://{BUCKET}",
            "SQS_QUEUE_URL": self.queue_url,
            **self.aws.environment(),
        }
