"""What the ledger says was applied to a jurisdiction's rows, with the batch under way on top."""

from collections.abc import Collection

from realtime.batching import FetchedFile
from realtime.models import APPLIED, File
from realtime.scraped import ScrapeOrder


class LedgerHistory:
    """The history of one jurisdiction's rows, and of the batch that is being applied.

    Call `applied` after each object; `preload` answers the scrape ids of a batch in one query.
    """

    def __init__(self, jurisdiction_id: str) -> None:
        self._jurisdiction_id = jurisdiction_id
        self._newest: dict[str, ScrapeOrder | None] = {}
        self._rows: dict[tuple[str, str], str | None] = {}
        self._vote_actions: list[tuple[ScrapeOrder, str, str]] = []

    def preload(self, object_type: str, scrape_ids: Collection[str]) -> None:
        rows = dict(
            File.objects.filter(
                jurisdiction_id=self._jurisdiction_id,
                object_type=object_type,
                scrape_id__in=scrape_ids,
            )
            .exclude(row_id="")
            .values_list("scrape_id", "row_id")
        )
        for scrape_id in scrape_ids:
            self._rows.setdefault((object_type, scrape_id), rows.get(scrape_id))

    def newest(self, row_id: str) -> ScrapeOrder | None:
        if row_id not in self._newest:
            last = (
                File.objects.filter(row_id=row_id, outcome__in=APPLIED)
                .order_by("-order_ticks", "-scrape_id", "-order_stamp")
                .values_list("order_ticks", "scrape_id", "order_stamp")
                .first()
            )
            self._newest[row_id] = ScrapeOrder(*last) if last else None
        return self._newest[row_id]

    def row_of(self, object_type: str, scrape_id: str) -> str | None:
        if (object_type, scrape_id) not in self._rows:
            self.preload(object_type, [scrape_id])
        return self._rows[object_type, scrape_id]

    def vote_actions(self, vote_event_ids: Collection[str]) -> list[tuple[str, str]]:
        named = [
            (ScrapeOrder(ticks, scrape_id, stamp), row_id, action)
            for ticks, scrape_id, stamp, row_id, action in File.objects.filter(
                row_id__in=vote_event_ids, outcome__in=APPLIED
            ).values_list("order_ticks", "scrape_id", "order_stamp", "row_id", "bill_action")
        ]
        named += [entry for entry in self._vote_actions if entry[1] in vote_event_ids]
        newest = {row_id: (order, row_id, action) for order, row_id, action in sorted(named)}
        return [(row_id, action) for _, row_id, action in sorted(newest.values()) if action]

    def applied(self, file: FetchedFile, row_id: str) -> None:
        content = file.content
        self._newest[row_id] = content.order
        self.identified(file, row_id)
        if content.object_type == "vote_event":
            action = content.data.get("bill_action")
            self._vote_actions.append((content.order, row_id, action or ""))

    def identified(self, file: FetchedFile, row_id: str) -> None:
        """A superseded file's scrape id still names its row."""
        self._rows[file.content.object_type, file.content.scrape_id] = row_id
