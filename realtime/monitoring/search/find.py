"""Everything that a search finds, in groups."""

from collections.abc import Sequence
from dataclasses import dataclass

from realtime.domain.config import Bucket
from realtime.models import File, RaisedFlag, ScrapeRun
from realtime.monitoring.search import bill_search, file_search, name_search, run_search
from realtime.monitoring.search.bill_search import BillFound
from realtime.monitoring.search.terms import Terms

# The most that is listed in a group.
AT_MOST = 20


@dataclass(frozen=True)
class Found:
    """What was found: bills, scrape runs, files and open flags of names, newest first, at most
    AT_MOST of each. `exact`: the text is the id, the identifier or the key of what was found; else
    it is in a title or a name."""

    bills: Sequence[BillFound] = ()
    runs: Sequence[ScrapeRun] = ()
    files: Sequence[File] = ()
    names: Sequence[RaisedFlag] = ()
    exact: bool = False

    @property
    def the_one(self) -> BillFound | ScrapeRun | File | None:
        """What an exact text names, if it is one thing only."""
        everything: list[BillFound | ScrapeRun | File] = [*self.bills, *self.runs, *self.files]
        return everything[0] if self.exact and len(everything) == 1 else None

    def __bool__(self) -> bool:
        return bool(self.bills or self.runs or self.files or self.names)


def find(text: str, bucket: Bucket) -> Found:
    """What the text names: by id, key or identifier if it is any of these, else by its words.

    `bucket` is where files are stored now. A number of statements that does not depend on how much
    there is, each by index.
    """
    terms = Terms.of(text)
    if not terms.text:
        return Found()
    return _exact(terms, bucket) or Found(
        bills=bill_search.by_title(terms, AT_MOST), names=name_search.unmatched(terms, AT_MOST)
    )


def _exact(terms: Terms, bucket: Bucket) -> Found:
    if terms.core_id:
        bills = bill_search.by_core_ids([terms.core_id])
        files = [] if bills else file_search.by_row(terms.core_id, AT_MOST)
        return Found(bills=bills, files=files, exact=True)
    files = file_search.by_scrape_id(terms, AT_MOST) or file_search.by_key(terms, bucket, AT_MOST)
    return Found(
        bills=bill_search.by_identifier(terms, AT_MOST),
        runs=run_search.beginning(terms.id_prefix, AT_MOST) if terms.id_prefix else [],
        files=files,
        exact=True,
    )
