"""Files by scrape id, by key or name as the scraper wrote it, and by the row they went to."""

from django.db.models import QuerySet
from openstates import metadata

from realtime.domain.config import Bucket
from realtime.domain.scraped_object import OBJECT_TYPES
from realtime.models import File
from realtime.monitoring.search.terms import Terms
from realtime.monitoring.status.lag import jurisdictions

# What no list shows, and may be large.
_LARGE = ("traceback", "message", "detail", "identity")
_WHOLE_ID = 36


def by_scrape_id(terms: Terms, limit: int) -> list[File]:
    """The files of objects whose scrape `_id` is or begins like this, newest first."""
    prefix = terms.id_prefix
    if not prefix:
        return []
    # Jurisdiction and type come first in the index; there are few of each. The range is right in
    # any collation, for ids of hexadecimal digits; `startswith` is for what else is in it.
    found = File.objects.filter(
        jurisdiction_id__in=list(jurisdictions()),
        object_type__in=OBJECT_TYPES,
        scrape_id__gte=prefix,
        scrape_id__lte=f"{prefix}g",
        scrape_id__startswith=prefix,
    )
    return _newest(found, limit)


def by_key(terms: Terms, bucket: Bucket, limit: int) -> list[File]:
    """The files with this key, with or without prefix, archived or not; with this name; or with
    this whole `_id` in their name: of a file that could not be read, the ledger knows no other."""
    names = [terms.file_name] if "." in terms.file_name else []
    if len(terms.id_prefix) == _WHOLE_ID:
        names += [f"{type}_{terms.id_prefix}.json" for type in OBJECT_TYPES]
    if not names or terms.core_id:
        return []
    folders = {"us", "usa", *(abbr.lower() for abbr in metadata.STATES_BY_ABBR)}
    keys = {f"{bucket.prefix}{folder}/{name}" for folder in folders for name in names}
    if terms.key:
        keys |= {terms.text, terms.key, f"{bucket.prefix}{terms.key}"}
    return _newest(File.objects.filter(bucket__in=[bucket.name, ""], key__in=keys), limit)


def by_row(core_id: str, limit: int) -> list[File]:
    """The files that were applied to this row of core's, newest first."""
    found = File.objects.filter(core_id=core_id).exclude(core_id="")
    return _newest(found, limit)


def _newest(found: "QuerySet[File]", limit: int) -> list[File]:
    return list(found.order_by("-received_at", "-id").defer(*_LARGE)[:limit])
