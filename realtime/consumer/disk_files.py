"""Files on disk, read as if they had come from a bucket."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from yaml import YAMLError

from realtime.domain import scraped_object
from realtime.domain.errors import PoisonMessage
from realtime.domain.in_flight import InFlightFile
from realtime.domain.interfaces import Gone, ObjectVersion, StoredFile
from realtime.domain.results import Delivery, Failed, FetchedFile, FileIdentity
from realtime.files.fetch import whose
from realtime.ledger.suspects import ATTEMPTS
from realtime.producer import local_files
from realtime.producer.local_files import Existing


@dataclass(frozen=True)
class Folder:
    """Whose files a folder holds. `began` says when the scrape of each of its folders did."""

    abbr: str
    jurisdiction_id: str
    began: Mapping[Path, datetime]

    def read(self, existing: Existing) -> InFlightFile:
        """The file as it is on disk now; `failed` when it cannot be read."""
        file = self.unread(existing)
        is_jurisdiction = existing.object_type == "jurisdiction"
        stamp = self.began.get(existing.path.parent) if is_jurisdiction else None
        try:
            _read(file, existing, stamp, self.abbr)
        except PoisonMessage as problem:
            # Not logged: the caller prints it.
            file.outcome = Failed(problem)
        return file

    def unread(self, existing: Existing) -> InFlightFile:
        """The file, before it is read."""
        return InFlightFile(
            # An empty bucket: the file is on disk only.
            FileIdentity("", f"{self.abbr}/{existing.path.name}", ""),
            Delivery(datetime.now(UTC), "", self.jurisdiction_id),
            object_type=existing.object_type,
            jurisdiction_id=self.jurisdiction_id,
            last_chance=True,
            # It is the caller who tries it again.
            attempts=ATTEMPTS - 1,
        )


def _read(file: InFlightFile, existing: Existing, stamp: datetime | None, abbr: str) -> None:
    try:
        body = existing.path.read_bytes()
        stamp = stamp or datetime.fromtimestamp(existing.path.stat().st_mtime, UTC)
        body = body if existing.path.suffix == ".json" else local_files.yaml_json(body)
    except OSError as exc:
        raise PoisonMessage("gone", f"the file cannot be read: {exc}") from exc
    except (YAMLError, ValueError, TypeError) as exc:
        raise PoisonMessage("bad-yaml", f"the file is not YAML: {exc}") from exc
    content = scraped_object.read(file.object_type, body, stamp, stored_at=datetime.now(UTC))
    digest = hashlib.sha256(body).hexdigest()
    file.identity = FileIdentity("", file.identity.key, digest, size=len(body))
    file.delivery = replace(file.delivery, queued_at=stamp)
    file.jurisdiction_id = whose(content, file.jurisdiction_id, abbr)
    file.fetched = FetchedFile(
        file.identity, file.jurisdiction_id, content, file.delivery, file.last_chance
    )


class NoStore:
    """The store of a folder's files, which lie in none."""

    bucket = ""

    def get(self, key: str, max_bytes: int, version_id: str = "") -> StoredFile:
        raise Gone(key)

    def head(self, key: str, version_id: str = "") -> ObjectVersion:
        raise Gone(key)

    def put(
        self, key: str, body: bytes, metadata: Mapping[str, str], overwrite: bool = True
    ) -> str:
        raise Gone(key)

    def copy(
        self,
        source: ObjectVersion,
        key: str,
        metadata: Mapping[str, str] | None = None,
        overwrite: bool = True,
    ) -> None:
        raise Gone(key)

    def delete(self, version: ObjectVersion) -> bool:
        raise Gone(version.key)

    def delete_all(self, versions: Iterable[ObjectVersion]) -> set[ObjectVersion]:
        raise Gone(", ".join(version.key for version in versions))

    def list(self, prefix: str) -> Iterator[str]:
        raise Gone(prefix)
