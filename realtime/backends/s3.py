"""The object store: Amazon S3, or an endpoint that speaks its protocol."""

import logging
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from realtime.backends import clients
from realtime.domain.errors import ConfigurationError, RetryLater, Unavailable
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

if TYPE_CHECKING:
    from realtime.backends.s3_objects import Objects

logger = logging.getLogger(__name__)

T = TypeVar("T")

# The most objects that S3 deletes in one request.
DELETIONS = 1000
# Objects of one folder are looked for in its listing, rather than one by one, if it has at most so
# many for each of them. That takes fewer requests and less CPU time.
WORTH_LISTING = 50
# Loading obstore takes as much CPU time as this many requests of botocore's.
WORTHWHILE = 20
# Keys as scrapers make them. obstore takes some others for one another, such as those with a slash
# at an end.
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:-]+(/[A-Za-z0-9_.:-]+)*")
# botocore retries a request, but not the reading of its body.
_BODY_ATTEMPTS = 3
_BROKEN_BODY = (BotoCoreError, HTTPError, OSError)
_REFUSED = {
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}
_MISSING = {"NoSuchKey", "404", "NoSuchVersion", "NotFound"}
# A condition of the request does not hold: there is, or there is not, that upload under the key.
_CONDITION = {"PreconditionFailed", "412"}


class S3Store:
    """One bucket. Thread-safe. Keys are full, prefix included.

    Every call raises Gone when the object is missing, ConfigurationError when the bucket is
    missing, Unavailable when S3 does not answer or rejects the credentials, and RetryLater for any
    other error that remains after botocore's retries.

    Once botocore has made some requests, objects are read and written through obstore, which takes
    a sixth of the CPU time. A request that fails there is made again by botocore. Without `obstore`
    botocore makes them all.
    """

    def __init__(
        self,
        bucket: str,
        client: Any = None,
        obstore: bool = True,
        make_client: Callable[[], Any] = lambda: clients.client("s3", CONNECTIONS),
    ) -> None:
        self.bucket = bucket
        self._lazy_client: Any = client
        self._make_client = make_client
        self._client_lock = threading.Lock()
        self._may_learn = obstore
        self._learning = threading.Lock()
        self._requests = 0
        self._objects: Objects | None = None

    @property
    def _client(self) -> Any:
        # Made on first use: a run that receives no file does not need it.
        with self._client_lock:
            if not self._lazy_client:
                self._lazy_client = self._make_client()
            if self._may_learn and not self._objects:
                # Once only for each client, thanks to the id.
                events = self._lazy_client.meta.events
                events.register("before-send.s3", _note_request, unique_id=__name__)
            return self._lazy_client

    def get(self, key: str, max_bytes: int, version_id: str = "") -> StoredFile:
        """Read an object, or one version of it; without its body when it exceeds `max_bytes`.

        A body that breaks off is read again from the start, up to twice.
        """
        return self._quickly(
            key,
            lambda objects: objects.get(key, max_bytes, version_id),
            lambda: self._get_whole(key, max_bytes, version_id),
        )

    def _get_whole(self, key: str, max_bytes: int, version_id: str) -> StoredFile:
        attempts = 0
        while True:
            try:
                return self._get(key, max_bytes, version_id)
            except _BROKEN_BODY as exc:
                attempts += 1
                if attempts == _BODY_ATTEMPTS:
                    raise RetryLater(f"S3 broke off {key} {attempts} times") from exc

    def _get(self, key: str, max_bytes: int, version_id: str) -> StoredFile:
        arguments = {"VersionId": version_id} if version_id else {}
        response = self._call(
            key, lambda: self._client.get_object(Bucket=self.bucket, Key=key, **arguments)
        )
        # Not `with response["Body"]`: that yields the raw stream, without botocore's checks.
        with closing(response["Body"]) as body:
            found = _version(key, response)
            if found.size > max_bytes:
                return StoredFile(found, None)
            return StoredFile(found, body.read())

    def head(self, key: str, version_id: str = "") -> ObjectVersion:
        """The current version under `key`, or the one with `version_id`; no body is read."""
        return self._quickly(
            key,
            lambda objects: objects.head(key, version_id),
            lambda: self._head(key, version_id),
        )

    def _head(self, key: str, version_id: str) -> ObjectVersion:
        arguments = {"VersionId": version_id} if version_id else {}
        response = self._call(
            key, lambda: self._client.head_object(Bucket=self.bucket, Key=key, **arguments)
        )
        return _version(key, response)

    def put(
        self, key: str, body: bytes, metadata: Mapping[str, str], overwrite: bool = True
    ) -> str:
        """Write an object, and return the ETag that S3 gives it. It is durable when this returns.

        With `overwrite` false raises Exists, and writes nothing, when an object exists under
        `key`; a store that ignores conditions overwrites it. S3 may have written the object though
        its answer was lost: what the request then finds, tried again, is its own upload.
        """
        return self._quickly(
            key,
            lambda objects: objects.put(key, body, metadata, overwrite),
            lambda: self._put(key, body, metadata, overwrite),
        )

    def _put(self, key: str, body: bytes, metadata: Mapping[str, str], overwrite: bool) -> str:
        condition = {} if overwrite else {"IfNoneMatch": "*"}
        try:
            response = self._call(
                key,
                lambda: self._client.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=body,
                    ContentType="application/json",
                    Metadata=dict(metadata),
                    **condition,
                ),
            )
        except Gone as exc:
            raise Exists(f"s3://{self.bucket}/{key} exists already") from exc
        return _etag(response)

    def copy(
        self,
        source: ObjectVersion,
        key: str,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = True,
    ) -> None:
        """Copy exactly the version `source` to `key`. The copy is verified when this returns.

        The copy keeps the metadata of `source` unless `metadata` is given. Raises Gone when that
        version no longer exists. Without versioning this is checked twice: by a request right
        before, for stores that ignore conditions, and by a condition on the copy. With `overwrite`
        false also raises Gone when an object exists under `key`; a store that ignores conditions
        overwrites it.
        """
        if not source.version_id and self.head(source.key).version != source.version:
            raise Gone(f"s3://{self.bucket}/{source.key} has been overwritten")
        copy_source = {"Bucket": self.bucket, "Key": source.key}
        if source.version_id:
            copy_source["VersionId"] = source.version_id
        arguments: dict[str, Any] = {"MetadataDirective": "COPY"}
        if metadata is not None:
            arguments = {
                "MetadataDirective": "REPLACE",
                "Metadata": dict(metadata),
                "ContentType": "application/json",
            }
        if not overwrite:
            arguments["IfNoneMatch"] = "*"
        response = self._call(
            source.key,
            lambda: self._client.copy_object(
                Bucket=self.bucket,
                Key=key,
                CopySource=copy_source,
                CopySourceIfMatch=source.etag,
                # Nothing of ours has tags, and to copy those of others takes two more permissions.
                TaggingDirective="REPLACE",
                **arguments,
            ),
        )
        # S3: an ETag is a digest of the content, except after a multipart upload or encryption with
        # a customer key. Those copies are verified by their size.
        if response.get("CopyObjectResult", {}).get("ETag", "").strip('"') != source.etag:
            copied = self.head(key)
            if copied.size != source.size:
                raise RetryLater(f"{key} has {copied.size} bytes, its original {source.size}")

    def delete(self, version: ObjectVersion) -> bool:
        """Delete that version and no other; False when another upload has replaced it.

        An upload without a version id is deleted only if it is still the current one. This is
        checked by a request right before and, where the store supports it, by a condition on the
        delete. If the bucket keeps versions by now, S3 puts a delete marker over it. Of one with a
        version id the answer is always True.
        """
        if version.version_id:
            self._call(
                version.key,
                lambda: self._client.delete_object(
                    Bucket=self.bucket, Key=version.key, VersionId=version.version_id
                ),
            )
            return True
        try:
            if self.head(version.key).version != version.version:
                return False
            self._call(
                version.key,
                lambda: self._client.delete_object(
                    Bucket=self.bucket, Key=version.key, IfMatch=version.etag
                ),
            )
        except Gone:
            return False
        return True

    def delete_all(self, versions: Iterable[ObjectVersion]) -> set[ObjectVersion]:
        """Delete these versions and no others, 1,000 in a request; returns those that no longer
        exist.

        Those are the versions deleted now, those that were missing, and, without versioning, those
        that another upload has replaced. Each is then deleted only if it is still the same upload,
        checked as `delete` does: right before, by a request or, of many, by a listing, and, where
        the store supports it, by a condition. The others still exist: S3 refused them, which is
        logged. When this raises, any of the versions may have been deleted.
        """
        wanted = set(versions)
        present = [version for version in wanted if version.version_id]
        present += self._present([version for version in wanted if not version.version_id])
        refused: dict[str, str] = {}
        for at in range(0, len(present), DELETIONS):
            refused |= self._delete_batch(present[at : at + DELETIONS])
        if refused:
            logger.warning(
                "objects not deleted",
                extra={
                    "action": "delete",
                    "files": len(refused),
                    "cause": "; ".join(sorted(set(refused.values()))),
                },
            )
        return {version for version in wanted if version.key not in refused}

    def _present(self, uploads: Sequence[ObjectVersion]) -> list[ObjectVersion]:
        """Those of the uploads that still exist, and that no other has replaced.

        The condition of a deletion does not notice another upload of the same content.
        """
        folders = defaultdict[str, list[ObjectVersion]](list)
        for upload in sorted(uploads, key=attrgetter("key")):
            folders[upload.key.rpartition("/")[0]].append(upload)
        listed = dict[str, tuple[str, datetime | None]]()
        for folder, found in folders.items():
            listed |= self._listed(folder, found)
        present = [upload for upload in uploads if listed.get(upload.key) == _dated(upload)]
        left = set(uploads) - set(present)
        with Threads(THREADS, "s3-head") as threads:
            return present + [one for one in threads.map(self._if_present, left) if one]

    def _listed(
        self, folder: str, uploads: Sequence[ObjectVersion]
    ) -> dict[str, tuple[str, datetime | None]]:
        """The ETags and times of objects of the folder, by key, as far as obstore lists them.

        `uploads` are sorted by key. What is not in the result has to be looked at by itself: all of
        it for a single upload or without obstore, and the rest of a listing that is too long or
        fails.
        """
        listed = dict[str, tuple[str, datetime | None]]()
        # Read once: another thread may give obstore up meanwhile.
        objects = self._objects
        if not objects or len(uploads) == 1:
            return listed
        try:
            # Begins before the first of them.
            for key, etag, at in objects.uploads(folder, uploads[0].key[:-1]):
                if key > uploads[-1].key or len(listed) == WORTH_LISTING * len(uploads):
                    break
                listed[key] = (etag, at.replace(microsecond=0))
        except objects.failures as exc:
            logger.debug("not listed", extra={"action": "list", "cause": exc})
        return listed

    def _if_present(self, upload: ObjectVersion) -> ObjectVersion | None:
        """The upload; None when it is gone, or another has replaced it."""
        try:
            return upload if self.head(upload.key).version == upload.version else None
        except Gone:
            return None

    def _delete_batch(self, versions: Sequence[ObjectVersion]) -> dict[str, str]:
        """Delete versions; returns why S3 refused, by key."""
        entries = [
            {"Key": version.key, "VersionId": version.version_id}
            if version.version_id
            else {"Key": version.key, "ETag": version.etag}
            for version in versions
        ]
        response = self._call(
            "",
            lambda: self._client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": entries, "Quiet": True}
            ),
        )
        return {
            error["Key"]: f"{error.get('Code')}: {error.get('Message')}"
            for error in response.get("Errors", [])
            if error.get("Code") not in _MISSING | _CONDITION
        }

    def list(self, prefix: str) -> Iterator[Listed]:
        """The objects whose keys begin with `prefix`, in the order of their keys; 1,000 a
        request."""
        for page in self._pages(Prefix=prefix):
            for entry in page.get("Contents", []):
                # Some stores list milliseconds. No answer about one object does: HTTP has none.
                uploaded = entry["LastModified"].replace(microsecond=0)
                yield Listed(entry["Key"], _etag(entry), uploaded, entry["Size"])

    def folders(self, prefix: str) -> Sequence[str]:
        """What keys that begin with `prefix` begin with, up to the next slash, in order."""
        pages = self._pages(Prefix=prefix, Delimiter="/")
        return [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]

    def _pages(self, **what: str) -> Iterator[Mapping[str, Any]]:
        paginator = self._client.get_paginator("list_objects_v2")
        pages = iter(paginator.paginate(Bucket=self.bucket, **what))
        while (page := self._call("", lambda: next(pages, None))) is not None:
            yield page

    def _quickly(
        self, key: str, request: Callable[["Objects"], T], otherwise: Callable[[], T]
    ) -> T:
        """Make a request through obstore or, when that cannot be or has failed, by botocore.

        So an error is always botocore's, after its retries.
        """
        objects = self._objects
        if not _PLAIN_KEY.fullmatch(key):
            return otherwise()
        if not objects:
            result = otherwise()
            self._learn(key)
            return result
        try:
            return request(objects)
        except objects.failures as exc:
            failure = exc
        result = otherwise()
        if not objects.works:
            # Not even once, where botocore does: obstore cannot make requests like that.
            self._give_up(failure)
        return result

    def _learn(self, key: str) -> None:
        """Find out from a request for `key`, which botocore has just made, how obstore must make
        others; once there have been enough."""
        if not self._may_learn or not self._learning.acquire(blocking=False):
            return
        try:
            self._requests += 1
            if self._requests >= WORTHWHILE and not self._objects:
                from realtime.backends import s3_objects

                self._objects = s3_objects.as_requested(
                    self.bucket, key, self._client, _last_request.of_thread
                )
        except (ImportError, ValueError) as exc:
            self._give_up(exc)
        finally:
            self._learning.release()

    def _give_up(self, cause: Exception) -> None:
        first_line = str(cause).partition("\n")[0]
        fields = {"action": "without-obstore", "cause": first_line}
        logger.info("obstore is not used", extra=fields)
        self._may_learn, self._objects = False, None

    def _call(self, key: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "")
            if code == "NoSuchBucket":
                raise ConfigurationError(
                    f"S3_REALTIME_BASE: there is no bucket {self.bucket}: correct the name, or"
                    " make it"
                ) from exc
            if code in _MISSING | _CONDITION:
                raise Gone(f"s3://{self.bucket}/{key} is not there: {code}") from exc
            if code in _REFUSED:
                raise Unavailable(f"S3 refuses us: {exc}") from exc
            raise RetryLater(f"S3 refused {key}: {exc}") from exc
        except BotoCoreError as exc:
            raise Unavailable(f"S3 cannot be reached: {exc}") from exc


_last_request = threading.local()


def _note_request(request: Any, **_: Any) -> None:
    """Called by botocore with each request before it is sent."""
    _last_request.of_thread = request


def _version(key: str, response: Mapping[str, Any]) -> ObjectVersion:
    version_id = response.get("VersionId") or ""
    return ObjectVersion(
        key=key,
        etag=_etag(response),
        version_id="" if version_id == "null" else version_id,
        last_modified=response["LastModified"],
        size=response["ContentLength"],
        metadata=response.get("Metadata", {}),
    )


def _dated(upload: ObjectVersion) -> tuple[str, datetime | None]:
    """The ETag and time of an upload, in whole seconds: some stores list fractions of a second, but
    a request for one object never tells them."""
    at = upload.last_modified
    return upload.etag, at and at.replace(microsecond=0)


def _etag(response: Mapping[str, Any]) -> str:
    etag: str = response["ETag"]
    return etag.strip('"')
