"""S3 and SQS on this machine, served by moto from a thread of this process."""

import threading
import time
from collections.abc import Iterator
from functools import cache, cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from realtime.devstack.errors import StackError

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from werkzeug.serving import BaseWSGIServer

_HOST = "127.0.0.1"
_REGION = "us-east-1"
_ACCESS_KEY = "local-stack-access-key"
_SECRET_KEY = "local-stack-secret-key"


class LocalAws:
    """S3 and SQS on a free port of 127.0.0.1, without buckets and queues at first.

    moto keeps its state per process: start only one at a time. The server ends with the process;
    `stop`, or leaving the `with` block, ends it earlier and deletes its content.
    """

    def __init__(self) -> None:
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

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

    @cached_property
    def _session(self) -> "Session":
        import boto3

        # Not boto3's default session, which belongs to the program. Shared by all clients, because
        # it caches the service definitions, the slowest part of creating a client.
        return boto3.session.Session()

    @property
    def endpoint(self) -> str:
        """The address to use as `AWS_ENDPOINT_URL`. Raises StackError before `start`."""
        if self._server is None:
            raise StackError("the local AWS is not running")
        return f"http://{_HOST}:{self._server.server_port}"

    def start(self) -> None:
        """Start the server. Does nothing when it is running."""
        if self._server is not None:
            return
        # Not moto's ThreadedMotoServer: it logs every request to a handler that it installs, and
        # never closes its socket.
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        class QuietHandler(MotoRequestHandler):
            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Log no requests; errors are still logged."""

        _mend_queues()
        self._server = make_server(
            _HOST,
            0,
            DomainDispatcherApplication(create_backend_app),
            threaded=True,
            request_handler=QuietHandler,
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="local-aws",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop the server and delete all buckets and queues. Repeatable."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.shutdown()
        self._thread.join()
        server.server_close()
        from moto.moto_api._internal.models import moto_api_backend

        moto_api_backend.reset()

    def environment(self) -> dict[str, str]:
        """The `AWS_*` environment variables that make any AWS client use this server."""
        return {
            "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def s3(self) -> "S3Client":
        """A new S3 client of this server, whatever the environment says."""
        client: S3Client = self.client("s3")
        return client

    def sqs(self) -> "SQSClient":
        """A new SQS client of this server, whatever the environment says."""
        client: SQSClient = self.client("sqs")
        return client

    def create_bucket(self, name: str) -> None:
        """Create an empty bucket."""
        self.s3().create_bucket(Bucket=name)

    def create_queue(self, name: str, visibility_timeout: int = 300) -> str:
        """Create an empty queue; returns its URL. `visibility_timeout` is in seconds."""
        attributes: dict[Any, str] = {"VisibilityTimeout": str(visibility_timeout)}
        return self.sqs().create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def client(self, service: Any) -> Any:
        """A new client of any service for which moto is installed."""
        from botocore.config import Config

        # No retries: a server in this process either answers at once or never.
        return self._session.client(
            service,
            region_name=_REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=_ACCESS_KEY,
            aws_secret_access_key=_SECRET_KEY,
            config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=30),
        )


def _mend_queues() -> None:
    """Make moto's queues atomic, with moto's own lock, and quick with thousands of messages.

    moto deletes a message by rebuilding the queue's list: a message sent meanwhile is lost, and one
    deleted meanwhile comes back. It receives a message without hiding it at once: two concurrent
    requests may get the same one. And it asks each message of the queue whether it is visible, by
    a slow clock, several times for each message that is sent, received or deleted.
    """
    from moto import backends
    from moto.sqs import models
    from moto.sqs.exceptions import ReceiptHandleIsInvalid
    from moto.sqs.models import Queue, SQSBackend

    # It lists its own folder for each request, and computes the names of a queue's attributes.
    modules = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules
    models.camelcase_to_underscores = cache(models.camelcase_to_underscores)  # type: ignore[attr-defined]
    queue_class: Any = Queue
    backend_class: Any = SQSBackend
    receive, change = backend_class.receive_message, backend_class.change_message_visibility
    if receive.__name__ == "receive_locked":
        return

    def visible(queue: Any) -> Iterator[Any]:
        now = time.time() * 1000
        return (m for m in queue._messages if m.visible_at < now and m.delayed_until <= now)

    def hidden(queue: Any) -> int:
        now = time.time() * 1000
        return sum(m.visible_at >= now for m in queue._messages)

    def delayed(queue: Any) -> int:
        now = time.time() * 1000
        return sum(m.delayed_until > now for m in queue._messages)

    def wait_for_messages(queue: Any, timeout: int) -> None:
        with queue._messages_lock:
            queue._messages_lock.wait_for(lambda: any(visible(queue)), timeout=timeout)

    def delete_message(queue: Any, receipt_handle: str) -> None:
        with queue._messages_lock:
            if receipt_handle in queue.deleted_messages:
                return
            for at, message in enumerate(queue._messages):
                if message.had_receipt_handle(receipt_handle):
                    del queue._messages[at]
                    queue.pending_messages.discard(message)
                    queue.deleted_messages.update(message.all_receipt_handles)
                    return
        raise ReceiptHandleIsInvalid

    # moto holds this lock while it sends, and releases it while it waits for messages.
    def receive_locked(backend: Any, queue_name: str, *args: Any, **kwargs: Any) -> Any:
        with backend.get_queue(queue_name)._messages_lock:
            return receive(backend, queue_name, *args, **kwargs)

    def change_locked(backend: Any, queue_name: str, *args: Any, **kwargs: Any) -> Any:
        with backend.get_queue(queue_name)._messages_lock:
            return change(backend, queue_name, *args, **kwargs)

    def is_kept(backend: Any, queue_name: str, message: Any) -> bool:
        kept = float(backend.get_queue(queue_name).message_retention_period)
        return bool(message.sent_timestamp / 1000 + kept > time.time())

    queue_class.messages = property(visible)
    queue_class.approximate_number_of_messages = property(lambda q: sum(1 for _ in visible(q)))
    queue_class.approximate_number_of_messages_not_visible = property(hidden)
    queue_class.approximate_number_of_messages_delayed = property(delayed)
    queue_class.wait_for_messages = wait_for_messages
    queue_class.delete_message = delete_message
    backend_class.is_message_valid_based_on_retention_period = is_kept
    backend_class.receive_message = receive_locked
    backend_class.change_message_visibility = change_locked
