"""Reads and writes objects through obstore, for a sixth of the CPU time that botocore takes.

obstore knows neither profiles nor addressing styles, nor does it follow a bucket to its region. So
nothing is configured here: requests go where one of botocore's went, as the same client.

Import this module only when it is needed: it loads obstore.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import obstore
from botocore.utils import get_environ_proxies
from obstore.exceptions import BaseError
from obstore.store import S3Store

from realtime.backends import clients, request_counts
from realtime.domain.interfaces import ObjectVersion, StoredFile

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions, ObjectMeta
    from obstore.store import ClientConfig, S3Credential

_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/[0-9]+/([^/]+)/s3/")
# obstore asks for credentials again five minutes before these have passed. botocore renews its own
# ten minutes before they expire.
_CREDENTIALS_LAST = timedelta(minutes=6)
# The longest that a whole request takes. `read_timeout` ends one that has fallen silent.
_REQUEST_TIMEOUT = timedelta(minutes=10)
# The most objects that S3 lists in one request.
PAGE = 1000
# Attributes that are not metadata of ours.
_HEADERS = {
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Type",
    "Storage-Class",
}


class Objects:
    """The objects of one bucket. Thread-safe.

    The calls do what S3Store's promise, in a single attempt; every failure is one of `failures`.
    `works` says whether a call has succeeded.
    """

    failures = (BaseError, OSError, ValueError)

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self.works = False

    def get(self, key: str, max_bytes: int, version_id: str) -> StoredFile:
        """Read an object; without its body when it exceeds `max_bytes`."""
        result = obstore.get(self._store, key, options=_options(version_id))
        found = _version(key, result.meta, result.attributes)
        body = bytes(result.bytes()) if found.size <= max_bytes else None
        self._succeeded("GetObject")
        return StoredFile(found, body)

    def head(self, key: str, version_id: str) -> ObjectVersion:
        """The version, without its body."""
        result = obstore.get(self._store, key, options={**_options(version_id), "head": True})
        self._succeeded("HeadObject")
        return _version(key, result.meta, result.attributes)

    def put(self, key: str, body: bytes, metadata: Mapping[str, str], overwrite: bool) -> str:
        """Write an object; returns its ETag."""
        result = obstore.put(
            self._store,
            key,
            body,
            attributes={"Content-Type": "application/json", **metadata},
            mode="overwrite" if overwrite else "create",
            # The ETag is then a digest of the content, as after botocore's upload.
            use_multipart=False,
        )
        self._succeeded("PutObject")
        return _etag(result["e_tag"])

    def uploads(self, folder: str, after: str) -> Iterator[tuple[str, str, datetime]]:
        """The key, ETag and time of each object below the folder whose key is greater than `after`,
        in the order of keys; some stores tell fractions of a second here."""
        for page in obstore.list(self._store, folder, offset=after, chunk_size=PAGE):
            self._succeeded("ListObjectsV2")
            for found in page:
                yield found["path"], _etag(found["e_tag"]), found["last_modified"]

    def _succeeded(self, operation: str) -> None:
        # One that fails is made again by botocore, which counts it.
        self.works = True
        request_counts.count(operation)


def as_requested(bucket: str, key: str, client: Any, request: Any) -> Objects:
    """The bucket's objects, served as the botocore `client` does.

    `request` is one that the client has made for `key`, and that S3 accepted. Raises ValueError
    when obstore cannot make such a request.
    """
    url = urlsplit(request.url)
    scope = _SCOPE.match(_text(request.headers.get("Authorization", "")))
    path_style = unquote(url.path) == f"/{bucket}/{key}"
    if not scope or not (path_style or unquote(url.path) == f"/{key}"):
        raise ValueError(f"it cannot ask {url.scheme}://{url.netloc} for {url.path}")
    endpoint = f"{url.scheme}://{url.netloc}"
    try:
        store = S3Store(
            bucket,
            # obstore also reads the environment. What is given here takes precedence.
            config={
                "aws_endpoint_url_s3": endpoint,
                "endpoint": endpoint,
                "region": scope[1],
                "virtual_hosted_style_request": not path_style,
                "skip_signature": False,
            },
            client_options=_client_options(request.url, client.meta.config),
            retry_config={"max_retries": 0},
            credential_provider=_Credentials(client),
        )
    except (BaseError, OSError) as exc:
        raise ValueError(str(exc)) from exc
    return Objects(store)


class _Credentials:
    def __init__(self, client: Any) -> None:
        # boto3 itself asks a client for its credentials like this.
        get = getattr(client, "_get_credentials", None)
        if get is None:
            raise ValueError("this botocore does not tell its credentials")
        self._credentials: Any = get()

    def __call__(self) -> "S3Credential":
        frozen = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_LAST,
        }


def _client_options(url: str, config: Any) -> "ClientConfig":
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    proxies = get_environ_proxies(url) if config.proxies is None else config.proxies
    proxy = proxies.get(scheme)
    options: ClientConfig = {
        "allow_http": scheme == "http",
        "connect_timeout": timedelta(seconds=config.connect_timeout),
        "read_timeout": timedelta(seconds=config.read_timeout),
        "timeout": _REQUEST_TIMEOUT,
        "user_agent": clients.USER_AGENT,
        # Without one, obstore takes a proxy from the environment that botocore does not take.
        "proxy_url": proxy or "http://none.invalid",
        "proxy_excludes": "" if proxy else host,
    }
    if bundle := clients.ca_bundle():
        options["root_certificate"] = Path(bundle).read_bytes()
    return options


def _options(version_id: str) -> "GetOptions":
    return {"version": version_id} if version_id else {}


def _version(key: str, meta: "ObjectMeta", attributes: "Attributes") -> ObjectVersion:
    version_id = meta["version"] or ""
    return ObjectVersion(
        key=key,
        etag=_etag(meta["e_tag"]),
        version_id="" if version_id == "null" else version_id,
        last_modified=meta["last_modified"],
        size=meta["size"],
        metadata={name: value for name, value in attributes.items() if name not in _HEADERS},
    )


def _etag(etag: str | None) -> str:
    if etag is None:
        raise ValueError("an answer without an ETag")
    return etag.strip('"')


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header
