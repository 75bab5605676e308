"""Chooses the object store by its URL: `s3://`, `gs://` or `file://`.

A store's module, and the client library that it needs, is loaded only where it is chosen.
"""

from realtime.domain.config import FILE, GS, Bucket
from realtime.domain.interfaces import CONNECTIONS, Store


def store_of(
    bucket: Bucket,
    attempts: int = 4,
    connect_timeout: float = 5,
    read_timeout: float = 30,
) -> Store:
    """The store that holds the files of `bucket`.

    A request that fails with a transient error is made up to `attempts` times. The timeouts are
    seconds and apply to each attempt. A folder has neither. Raises ConfigurationError when the
    store's client cannot be set up; that may also happen at its first request.
    """
    if bucket.scheme == FILE:
        from realtime.backends.folder import FolderStore

        return FolderStore(bucket.name)
    if bucket.scheme == GS:
        from realtime.backends.gs import GsStore

        return GsStore(
            bucket.name,
            attempts=attempts,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
        )
    from realtime.backends import clients
    from realtime.backends.s3 import S3Store

    return S3Store(
        bucket.name,
        make_client=lambda: clients.client(
            "s3", CONNECTIONS, attempts, connect_timeout, read_timeout
        ),
    )
