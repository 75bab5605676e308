"""The whole of what a realtime import needs, on this machine: PostgreSQL, S3 and SQS.

For the demo, the tests and `manage.py local_stack`; nothing that runs in production imports it.
It needs the packages of the `dev` extra, which are imported only when something starts.
"""

from realtime.devstack.aws import LocalAws
from realtime.devstack.errors import StackError
from realtime.devstack.postgres import EmbeddedPostgres
from realtime.devstack.stack import DevStack

__all__ = ["DevStack", "EmbeddedPostgres", "LocalAws", "StackError"]
