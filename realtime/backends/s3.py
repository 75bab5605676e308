"""Where files live: Amazon S3, or anything that speaks its protocol."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from realtime.backends import clients
from realtime.domain.errors import ConfigurationError, RetryLater, Unavailable
from realtime.domain.interfaces import Gone, ObjectVersion, StoredFile

THREADS = 16
# botocore's retries end where the body begins.
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


class S3Store:
    """One bucket. Safe to use from several threads at once; keys are full, prefix included.

    Every call raises Gone when the object is missing, ConfigurationError when the bucket is, and
    RetryLater (Unavailable when nothing answers, or we are refused whatever the key) for anything
    else S3 says after botocore's own retries.
    """

    def __init__(self, bucket: str, client: Any = None) -> None:
        self.bucket = bucket
        self._made: Any = client
        self._making = threading.Lock()

    @property
    def _client(self) -> Any:
        # Made when it is needed: a run that finds nothing to do asks S3 nothing.
        with self._making:
            self._made = self._made or clients.client("s3", THREADS)
            return self._made

    def get(self, key: str, max_bytes: int, version_id: str = "") -> StoredFile:
        """Read an object, or that version of it; of one larger than `max_bytes` only the head.

        A body that breaks off is read again from the start, twice.
        """
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
        # Not `with response["Body"]`: that gives the stream without botocore's own checks.
        with closing(response["Body"]) as body:
            found = _version(key, response)
            if found.size > max_bytes:
                return StoredFile(found, None)
            return StoredFile(found, body.read())

    def head(self, key: str, version_id: str = "") -> ObjectVersion:
        """What is under `key` now, or that version of it."""
        arguments = {"VersionId": version_id} if version_id else {}
        return _version(
            key,
            self._call(
                key, lambda: self._client.head_object(Bucket=self.bucket, Key=key, **arguments)
            ),
        )

    def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        """Write an object; when this returns it is stored."""
        self._call(
            key,
            lambda: self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType="application/json",
                Metadata=dict(metadata),
            ),
        )

    def copy(
        self,
        source: ObjectVersion,
        key: str,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = True,
    ) -> None:
        """Copy exactly that version to `key`; when this returns it is proven.

        The copy has the original's metadata, or `metadata`. Raises Gone when that version is no
        longer there. Without versioning that is checked right before, for stores that take no
        notice of the condition, and by S3 itself. With `overwrite` false it also raises Gone when
        S3 finds something under `key`; a store that takes no notice of that overwrites it.
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
                **arguments,
            ),
        )
        # S3: an ETag is the content's digest, but not of an object uploaded in parts or encrypted
        # with a key of one's own; for those the size must do.
        if response.get("CopyObjectResult", {}).get("ETag", "").strip('"') != source.etag:
            copied = self.head(key)
            if copied.size != source.size:
                raise RetryLater(f"{key} has {copied.size} bytes, its original {source.size}")

    def delete(self, version: ObjectVersion) -> bool:
        """Delete that version and no other; returns whether it still was there.

        Without versioning the object is deleted only while it is the same upload, checked right
        before and, where S3 supports it, again by the condition on the request.
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

    def list(self, prefix: str) -> Iterator[str]:
        """The keys below `prefix`, in order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        for page in self._pages(iter(pages)):
            yield from (entry["Key"] for entry in page.get("Contents", []))

    def _pages(self, pages: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        while (page := self._call("", lambda: next(pages, None))) is not None:
            yield page

    def _call(self, key: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "")
            if code == "NoSuchBucket":
                raise ConfigurationError(
                    f"S3_REALTIME_BASE: there is no bucket {self.bucket}"
                ) from exc
            if code in _MISSING or code in ("PreconditionFailed", "412"):
                raise Gone(f"s3://{self.bucket}/{key} is not there: {code}") from exc
            if code in _REFUSED:
                raise Unavailable(f"S3 refuses us: {exc}") from exc
            raise RetryLater(f"S3 refused {key}: {exc}") from exc
        except BotoCoreError as exc:
            raise Unavailable(f"S3 cannot be reached: {exc}") from exc


def _version(key: str, response: Mapping[str, Any]) -> ObjectVersion:
    version_id = response.get("VersionId") or ""
    return ObjectVersion(
        key=key,
        etag=response["ETag"].strip('"'),
        version_id="" if version_id == "null" else version_id,
        last_modified=response["LastModified"],
        size=response["ContentLength"],
        metadata=response.get("Metadata", {}),
    )
