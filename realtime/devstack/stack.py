"""PostgreSQL with what our commands need beside it: S3 and SQS, or only a folder."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from realtime.devstack.aws import LocalAws
from realtime.devstack.postgres import EmbeddedPostgres
from realtime.devstack.workspace import Workspace

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


class FolderStack:
    """A running PostgreSQL with an empty database, and a folder as the store; no queue.

    Like DevStack otherwise.
    """

    def __init__(self) -> None:
        self.postgres = EmbeddedPostgres()
        self._workspace: Workspace | None = None

    def start(self) -> None:
        """Start PostgreSQL. Raises StackError when that fails, and leaves nothing."""
        try:
            self.postgres.start()
            self.postgres.create_database(DATABASE)
            self._workspace = Workspace(None)
            self._folder.mkdir()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it, and delete all data. Repeatable."""
        try:
            self.postgres.close()
        finally:
            if self._workspace:
                self._workspace.remove()

    def environment(self) -> dict[str, str]:
        """The environment variables that make our commands use this stack."""
        return {
            "DATABASE_URL": self.postgres.url(DATABASE),
            "S3_REALTIME_BASE": self._folder.as_uri(),
        }

    @property
    def _folder(self) -> Path:
        assert self._workspace is not None
        return self._workspace.path / "store"
