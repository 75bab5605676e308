"""What the ledger knows of the rows that a batch may touch."""

from collections.abc import Collection
from typing import Protocol

from realtime.scraped import ScrapeOrder


class History(Protocol):
    """What has been applied so far, earlier batches and this one together."""

    def newest(self, row_id: str) -> ScrapeOrder | None:
        """The scrape order of the file last applied to a row; None when none is known."""

    def row_of(self, object_type: str, scrape_id: str) -> str | None:
        """The row that the object of this scrape `_id` was applied to."""

    def vote_actions(self, vote_event_ids: Collection[str]) -> list[tuple[str, str]]:
        """(vote event's row, description of the action it names), in scrape order."""
