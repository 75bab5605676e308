"""A store without a queue: files are put into its root, and import runs find them there."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from realtime.backends.stores import store_of
from realtime.consumer.run import Limits, run
from realtime.consumer.sweep import Sweep, SweepInbox
from realtime.domain.config import Config, load
from realtime.domain.interfaces import Store, StoredFile
from realtime.domain.scraped_object import RUN_ID_METADATA, SCRAPED_AT_METADATA
from realtime.monitoring.report import Report
from tests import scrapes


class Root:
    """Puts files into a store as scrapers without a queue do, and imports them in this process."""

    def __init__(self, base: str, environment: Mapping[str, str], url: str, **more: str) -> None:
        settings = {"S3_REALTIME_BASE": base, "SQS_QUEUE_URL": "", "DATABASE_URL": url}
        self.config: Config = load({**environment, **settings, **more})
        self.store: Store = Reads(store_of(self.config.bucket))

    def key(self, data: dict[str, Any]) -> str:
        object_type = scrapes.type_of(data)
        name = "wy" if object_type == "jurisdiction" else data["_id"]
        return f"{self.config.bucket.prefix}wy/{object_type}_{name}.json"

    def put(self, *files: dict[str, Any], run_id: str = "") -> list[str]:
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        metadata = {SCRAPED_AT_METADATA: now} | ({RUN_ID_METADATA: run_id} if run_id else {})
        for data in files:
            self.store.put(self.key(data), json.dumps(data).encode(), metadata)
        return [self.key(data) for data in files]

    def sweep(self, older_than: timedelta = timedelta()) -> Sweep:
        return Sweep(self.store, self.config, older_than)

    def run(
        self, max_messages: int = 300, until_empty: bool = False, sweep: Sweep | None = None
    ) -> Report:
        """One import run. Asserts that the outcomes add up to the files received."""
        limits = Limits(max_messages, until_empty, lambda: False)
        report = run(self.config, SweepInbox(sweep or self.sweep()), self.store, limits)
        figures = report.as_dict()
        assert figures["received"] == sum(figures[name] for name in scrapes.OUTCOMES)
        return report

    def keys(self, prefix: str = "") -> list[str]:
        return [one.key for one in self.store.list(self.config.bucket.prefix + prefix)]

    @property
    def read(self) -> list[str]:
        """The keys read so far."""
        assert isinstance(self.store, Reads)
        return self.store.keys


class Reads:
    """A store, and the keys that were read from it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.keys: list[str] = []

    def get(self, key: str, max_bytes: int, version_id: str = "") -> StoredFile:
        self.keys.append(key)
        return self._store.get(key, max_bytes, version_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def run_finished(root: Root, run_id: str, **objects: int) -> dict[str, Any]:
    """What a scraper says at the end of a run that began a minute ago."""
    now = datetime.now(UTC)
    began = (now - timedelta(minutes=1)).isoformat()
    return {
        "run_id": run_id,
        "bucket": root.store.bucket,
        "jurisdiction_id": scrapes.WYOMING.jurisdiction_id,
        "jurisdiction_name": "Wyoming",
        "run_finished": {
            "started_at": began,
            "finished_at": now.isoformat(),
            "objects": objects,
            "scrapers": {},
        },
    }


def fresh_run() -> str:
    return str(uuid.uuid4())
