"""The object store: Google Cloud Storage, or an emulator that STORAGE_EMULATOR_HOST names.

Configured as Google's own tools are: by the service account of a VM or a Cloud Run job, or by
GOOGLE_APPLICATION_CREDENTIALS.
"""

import logging
import random
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from google.api_core.client_info import ClientInfo
from google.api_core.exceptions import (
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    ServerError,
    TooManyRequests,
    Unauthorized,
)
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.cloud.storage import Blob, Client
from google.resumable_media import DataCorruption
from requests.adapters import HTTPAdapter

from realtime.backends import request_counts
from realtime.domain.config import GS
from realtime.domain.errors import ConfigurationError, RealtimeError, RetryLater, Unavailable
from realtime.domain.interfaces import (
    CONNECTIONS,
    THREADS,
    Exists,
    Gone,
    Listed,
    ObjectVersion,
    StoredFile,
)
from realtime.process.threads import Threads

logger = logging.getLogger(__name__)

T = TypeVar("T")

SETTING = "S3_REALTIME_BASE"
PERMISSIONS = tuple(f"storage.objects.{what}" for what in ("get", "create", "delete", "list"))
# Objects in one answer to a listing.
_PAGE = 1000
# An object that is overwritten between the two requests that read it is read anew.
_READ_ATTEMPTS = 3
# Seconds before a second attempt; twice as long before each further one.
_FIRST_WAIT = 0.5
# Errors that pass, and errors that say that nothing can be reached: those of requests are OSErrors,
# and those of the requests for credentials TransportErrors.
_TRANSIENT = (ServerError, TooManyRequests, DataCorruption)
_SILENT = (OSError, TransportError)


class GsStore:
    """One bucket. Thread-safe. Keys are full, prefix included.

    The current generation of each object, even where the bucket keeps older ones: objects have no
    version ids, and an upload is known by its digest and time. What changes or reads an object
    first looks which generation is there, and then does so on the condition that it still is.

    Every call raises Gone when the object is missing, ConfigurationError when the bucket or
    credentials are missing, Unavailable when Google does not answer or rejects the credentials, and
    RetryLater for any other error that remains after `attempts`.
    """

    def __init__(
        self,
        bucket: str,
        client: Any = None,
        attempts: int = 4,
        connect_timeout: float = 5,
        read_timeout: float = 30,
    ) -> None:
        self.bucket = bucket
        self._lazy_client: Any = client
        self._client_lock = threading.Lock()
        self._attempts = attempts
        self._timeout = (connect_timeout, read_timeout)

    def get(self, key: str, max_bytes: int, version_id: str = "") -> StoredFile:
        """Read an object; without its body when it exceeds `max_bytes`. Takes two requests."""
        for _ in range(_READ_ATTEMPTS):
            blob = self._look(key, version_id)
            found = _version(blob)
            if found.size > max_bytes:
                return StoredFile(found, None)
            try:
                return StoredFile(found, self._read(blob))
            except Gone:
                # Overwritten since, or deleted, as the next look tells.
                continue
        raise RetryLater(f"{self._at(key)} is overwritten again and again")

    def head(self, key: str, version_id: str = "") -> ObjectVersion:
        """The object under `key`; its body is not read."""
        return _version(self._look(key, version_id))

    def put(
        self, key: str, body: bytes, metadata: Mapping[str, str], overwrite: bool = True
    ) -> str:
        """Write an object, and return its ETag. It is durable when this returns.

        With `overwrite` false raises Exists, and writes nothing, when an object exists under `key`.
        Google may have written the object though its answer was lost: what the request then finds,
        tried again, is its own upload.
        """
        blob = self._blob(key)
        blob.metadata = dict(metadata)
        try:
            self._call(
                "storage.objects.insert",
                key,
                lambda: blob.upload_from_string(
                    body,
                    content_type="application/json",
                    if_generation_match=None if overwrite else 0,
                    checksum="md5",
                    timeout=self._timeout,
                    retry=None,
                ),
            )
        except Gone as exc:
            if isinstance(exc.__cause__, PreconditionFailed):
                raise Exists(f"{self._at(key)} exists already") from exc
            raise self._no_bucket() from exc
        return _etag(blob)

    def copy(
        self,
        source: ObjectVersion,
        key: str,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = True,
    ) -> None:
        """Copy exactly the version `source` to `key`. The copy is verified when this returns.

        The copy keeps the metadata of `source` unless `metadata` is given. Raises Gone when that
        version no longer exists and, with `overwrite` false, when an object exists under `key`.
        """
        original = self._current(source)
        copy = self._blob(key)
        if metadata is not None:
            # Google then keeps nothing of the original's.
            copy.content_type = original.content_type
            copy.content_encoding = original.content_encoding
            copy.metadata = dict(metadata)

        def rewrite(token: str | None) -> str | None:
            answer = copy.rewrite(
                original,
                token=token,
                if_source_generation_match=original.generation,
                if_generation_match=None if overwrite else 0,
                timeout=self._timeout,
                retry=None,
            )
            return answer[0]  # type: ignore[no-any-return]

        token = self._call("storage.objects.rewrite", source.key, partial(rewrite, None))
        while token is not None:
            # A large object takes several requests.
            token = self._call("storage.objects.rewrite", source.key, partial(rewrite, token))
        if (_etag(copy), copy.size) != (_etag(original), original.size):
            raise RetryLater(f"{self._at(key)} is not what {self._at(source.key)} was")

    def delete(self, version: ObjectVersion) -> bool:
        """Delete that version and no other; False when it is gone or another upload has replaced
        it."""
        try:
            blob = self._current(version)
            self._call(
                "storage.objects.delete",
                version.key,
                lambda: blob.delete(
                    if_generation_match=blob.generation, timeout=self._timeout, retry=None
                ),
            )
        except Gone:
            return False
        return True

    def delete_all(self, versions: Iterable[ObjectVersion]) -> set[ObjectVersion]:
        """Delete these versions and no others, a request each; returns those that no longer exist.

        Those are the versions deleted now, those that were missing and those that another upload
        has replaced. The others still exist: Google refused them, which is logged. When this
        raises, any of the versions may have been deleted.
        """
        wanted = list(set(versions))

        def refusal(version: ObjectVersion) -> RealtimeError | None:
            try:
                self.delete(version)
            except Unavailable:
                raise
            except RetryLater as exc:
                return exc
            return None

        with Threads(THREADS, "gs-delete") as threads:
            answers = dict(zip(wanted, threads.map(refusal, wanted), strict=True))
        causes = sorted({str(answer) for answer in answers.values() if answer})
        if causes:
            refused = sum(answer is not None for answer in answers.values())
            fields = {"action": "delete", "files": refused, "cause": causes[0]}
            logger.warning("objects not deleted", extra=fields)
        return {version for version, answer in answers.items() if answer is None}

    def list(self, prefix: str) -> Iterator[Listed]:
        """The objects whose keys begin with `prefix`, in the order of their keys; 1,000 a
        request."""
        fields = "nextPageToken,items(name,md5Hash,generation,timeCreated,size)"
        for page, _ in self._pages(prefix=prefix, fields=fields):
            for blob in page:
                yield Listed(blob.name, _etag(blob), blob.time_created, blob.size)

    def folders(self, prefix: str) -> Sequence[str]:
        """What keys that begin with `prefix` begin with, up to the next slash, in order."""
        pages = self._pages(prefix=prefix, delimiter="/", fields="nextPageToken,prefixes")
        return sorted({folder for _, folders in pages for folder in folders})

    def lacking(self) -> Sequence[str]:
        """The permissions on the bucket that imports need and we lack. Raises what any call
        raises."""
        bucket = self._client.bucket(self.bucket.removeprefix(f"{GS}://"))
        ask = partial(bucket.test_iam_permissions, PERMISSIONS, timeout=self._timeout, retry=None)
        try:
            granted = self._call("storage.buckets.testIamPermissions", "", ask)
        except ConfigurationError:
            # Or an emulator that does not know this request: then there is a list.
            next(self.list(""), None)
            return []
        return [permission for permission in PERMISSIONS if permission not in granted]

    @property
    def _client(self) -> Any:
        # Made on first use: a run that receives no file does not need it.
        with self._client_lock:
            if not self._lazy_client:
                self._lazy_client = _client()
            return self._lazy_client

    def _blob(self, key: str) -> Any:
        return Blob(key, self._client.bucket(self.bucket.removeprefix(f"{GS}://")))

    def _look(self, key: str, version_id: str = "") -> Any:
        """The object that is there now, with its generation."""
        if version_id:
            raise Gone(f"{self._at(key)} has no version {version_id}")
        blob = self._blob(key)
        self._call(
            "storage.objects.get", key, lambda: blob.reload(timeout=self._timeout, retry=None)
        )
        return blob

    def _current(self, version: ObjectVersion) -> Any:
        """The object, if it still is this version. Else raises Gone."""
        blob = self._look(version.key)
        if _version(blob).version != version.version:
            raise Gone(f"{self._at(version.key)} has been overwritten")
        return blob

    def _read(self, found: Any) -> bytes:
        # The one that was found names a URL of its own, which may be of another host.
        blob = self._blob(found.name)
        body: bytes = self._call(
            "storage.objects.get",
            found.name,
            lambda: blob.download_as_bytes(
                if_generation_match=found.generation, timeout=self._timeout, retry=None
            ),
        )
        return body

    def _pages(self, **what: str) -> Iterator[tuple[Iterable[Any], Iterable[str]]]:
        token = None
        while True:
            page, found = self._call("storage.objects.list", "", partial(self._page, token, what))
            yield page, found.prefixes
            token = found.next_page_token
            if not token:
                return

    def _page(self, token: str | None, what: Mapping[str, str]) -> tuple[Iterable[Any], Any]:
        # One iterator a page: after an error it could not go on.
        found = self._client.list_blobs(
            self.bucket.removeprefix(f"{GS}://"),
            page_token=token,
            page_size=_PAGE,
            timeout=self._timeout,
            retry=None,
            **what,
        )
        return list(next(found.pages, ())), found

    def _call(self, operation: str, key: str, call: Callable[[], T]) -> T:
        """Make a request, several times if it fails for a while; counted as one."""
        request_counts.count(operation)
        attempt, wait = 1, _FIRST_WAIT
        while True:
            try:
                return call()
            except (*_TRANSIENT, *_SILENT) as exc:
                if attempt == self._attempts:
                    raise self._error(key, exc) from exc
            except (GoogleAPICallError, GoogleAuthError) as exc:
                raise self._error(key, exc) from exc
            time.sleep(wait * random.uniform(0.5, 1.0))
            attempt, wait = attempt + 1, wait * 2

    def _error(self, key: str, exc: Exception) -> RealtimeError:
        match exc:
            case NotFound() if not key or _names_bucket(exc):
                return self._no_bucket()
            case NotFound() | PreconditionFailed():
                return Gone(f"{self._at(key)} is not there: {exc.message}")
            case OSError() | TransportError():
                return Unavailable(f"Google Cloud Storage cannot be reached: {exc}")
            case Unauthorized() | GoogleAuthError():
                return Unavailable(f"Google refuses us: {exc}")
        return RetryLater(f"Google refused {self._at(key)}: {exc}")

    def _no_bucket(self) -> ConfigurationError:
        return ConfigurationError(f"{SETTING}: there is no bucket {self.bucket}")

    def _at(self, key: str) -> str:
        return f"{self.bucket}/{key}"


def _names_bucket(exc: NotFound) -> bool:
    return any("bucket does not exist" in error.get("message", "") for error in exc.errors)


def _client() -> Any:
    try:
        # Objects are reached without a project.
        info = ClientInfo(user_agent="openstates-realtime")  # type: ignore[no-untyped-call]
        client = Client(project=None, client_info=info)
    except DefaultCredentialsError as exc:
        raise ConfigurationError(f"{SETTING}: no credentials for Google: {exc}") from exc
    except (GoogleAuthError, ValueError, OSError) as exc:
        raise ConfigurationError(f"{SETTING}: Google is not set up: {exc}") from exc
    for scheme in ("https://", "http://"):
        # By default ten connections are kept.
        client._http.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS + 2))
    return client


def _version(blob: Any) -> ObjectVersion:
    return ObjectVersion(
        key=blob.name,
        etag=_etag(blob),
        version_id="",
        last_modified=blob.time_created,
        size=blob.size,
        metadata=blob.metadata or {},
    )


def _etag(blob: Any) -> str:
    """A digest of the content. An object that was composed of several has none."""
    digest: str = blob.md5_hash or ""
    return b64decode(digest).hex() if digest else f"generation-{blob.generation}"
