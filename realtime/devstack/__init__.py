"""The embedded stack: PostgreSQL, S3 and SQS on this machine.

For the demo, the tests and `manage.py local_stack`. Production code never imports this package. It
needs the packages of the `dev` extra, which are imported only when a service starts.
"""

from realtime.devstack.aws import LocalAws
from realtime.devstack.errors import StackError
from realtime.devstack.postgres import EmbeddedPostgres
from realtime.devstack.stack import DevStack, FolderStack

__all__ = ["DevStack", "EmbeddedPostgres", "FolderStack", "LocalAws", "StackError"]
