"""What the ledger knows of the rows that a batch may touch."""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

from realtime.domain.results import Claim, FetchedFile
from realtime.domain.scraped_object import ScrapeOrder


class Newest(Protocol):
    """What has been applied so far, earlier batches and this one together."""

    def newest(self, core_id: str) -> ScrapeOrder | None:
        """The scrape order of the file last applied to a row; None when none is known."""

    def newest_is_of(self, core_id: str, run_id: UUID | None) -> bool:
        """Whether the file last applied to a row is of that run; False for no run."""

    def is_final(self, run_id: UUID) -> bool:
        """Whether that run is finalized and was not closed."""


class History(Newest, Protocol):
    """All that the importers of a batch ask."""

    def preload_newest(self, core_ids: Collection[str]) -> None:
        """Make `newest` know these rows, in one query."""

    def sole(self, core_id: str, order: ScrapeOrder) -> bool:
        """Whether the file of this place in the scrape order is the only one known of a row."""

    def claims(
        self, core_ids: Collection[str], run_ids: Collection[UUID]
    ) -> dict[tuple[str, UUID], Claim | None]:
        """`claim` of each of these rows by each of these runs, in one query."""

    def claim(self, core_id: str, run_id: UUID) -> Claim | None:
        """What files of that run say of that row; None when none of them is the row."""

    def claimed(self, core_id: str, run_id: UUID, claim: Claim) -> None:
        """From now on that run says this of that row."""

    def newest_naming(self, core_id: str) -> dict[str, ScrapeOrder]:
        """By key, the place in the scrape order of the newest recorded file of that row that has
        it; under the empty key, of those whose keys are unknown. Superseded files count."""

    def row_of(self, object_type: str, scrape_id: str) -> str | None:
        """The row that the object of this scrape `_id` was applied to."""

    def covered(self, bill_id: str, order: ScrapeOrder) -> bool:
        """Whether a finalized run that began after `order` has scraped the votes of that bill."""

    def events_authoritative(self, order: ScrapeOrder) -> bool:
        """Whether a finalized run that began after `order` has said which events there are."""

    def applied(self, file: FetchedFile, core_id: str) -> None:
        """The file has been applied to the row."""

    def identified(self, file: FetchedFile, core_id: str) -> None:
        """The file's scrape id names the row, though it was not applied."""
