"""Addresses of what the page names: its own pages, S3's console, core's admin, openstates.org."""

from urllib.parse import quote, urlencode

from django.urls import NoReverseMatch, reverse

from realtime.backends.clients import region
from realtime.domain.config import S3, Bucket
from realtime.domain.jurisdictions import abbreviation_of
from realtime.models import File, ScrapeRun
from realtime.monitoring.search.bill_search import BillFound


def page_of(found: BillFound | ScrapeRun | File) -> str:
    """The page of a bill, a scrape run or a file."""
    if isinstance(found, ScrapeRun):
        return reverse("realtime:run", args=[found.run_id])
    if isinstance(found, File):
        return reverse("realtime:failure", args=[found.pk])
    if found.core_id:
        return reverse("realtime:bill", args=[found.core_id])
    named = {
        "jurisdiction": found.jurisdiction_id,
        "session": found.session,
        "identifier": found.identifier,
    }
    return f"{reverse('realtime:bill-named')}?{urlencode(named)}"


def place_of(jurisdiction_id: str) -> str:
    """The page of a jurisdiction; of the files without one for the empty id."""
    if not jurisdiction_id:
        return reverse("realtime:unnamed")
    return reverse("realtime:jurisdiction", args=[jurisdiction_id])


def bill_of(file: File) -> str:
    """The page of the bill that a file is of, or is a vote on; empty where it is of none."""
    if file.object_type not in ("bill", "vote_event"):
        return ""
    core_id = file.core_id if file.object_type == "bill" else file.bill_id
    if not core_id and not file.bill_named:
        return ""
    return page_of(BillFound(file.jurisdiction_id, file.session, file.bill_named or "", core_id))


def s3_console(file: File) -> str:
    """The object of a file in S3's console; empty for one that is in no bucket of S3, or not in it
    any more."""
    if not file.bucket or Bucket(file.bucket).scheme != S3:
        return ""
    if file.archived_at and not file.archived_key:
        return ""
    place = {"prefix": file.archived_key or file.key, **({"region": region()} if region() else {})}
    bucket = quote(file.bucket, safe="")
    return f"https://s3.console.aws.amazon.com/s3/object/{bucket}?{urlencode(place)}"


def on_openstates(bill: BillFound) -> str:
    """The page of a bill of core's on openstates.org."""
    parts = (
        abbreviation_of(bill.jurisdiction_id),
        "bills",
        bill.session,
        bill.identifier.replace(" ", ""),
    )
    return f"https://openstates.org/{'/'.join(quote(part, safe='') for part in parts)}/"


def in_admin(model: str, core_id: str) -> str:
    """The row in core's admin; empty where the site does not show core's tables."""
    try:
        return reverse(f"admin:data_{model}_change", args=[core_id])
    except NoReverseMatch:
        return ""
