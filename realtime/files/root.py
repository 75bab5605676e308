"""The store's root: files that were uploaded and not archived yet, and ends of scrape runs."""

import re

from realtime.domain.config import Bucket
from realtime.domain.errors import PoisonMessage
from realtime.domain.interfaces import Store
from realtime.domain.scraped_object import ARCHIVED_FOLDERS, is_run_end, parse_key

_FOLDER = re.compile(r"[A-Za-z0-9][\w.-]*/")


def folders(store: Store, bucket: Bucket) -> list[str]:
    """The folders that may hold scraped files or ends of runs, prefix included. What is archived is
    not listed."""
    return [
        folder
        for folder in store.folders(bucket.prefix)
        if _FOLDER.fullmatch(name := bucket.strip(folder) or "")
        and name.rstrip("/") not in ARCHIVED_FOLDERS
    ]


def is_ours(bucket: Bucket, key: str) -> bool:
    """Whether `key` is one of a scraped file, or of the end of a run."""
    relative = bucket.strip(key)
    if relative is None:
        return False
    try:
        return is_run_end(relative) or bool(parse_key(relative))
    except PoisonMessage:
        return False
