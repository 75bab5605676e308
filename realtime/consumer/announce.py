"""Sends messages for files in the store's root whose own were lost, beside a queue.

The page does this: `import_realtime --sweep` imports such files itself.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from realtime.backends.sqs import BATCH
from realtime.consumer.sweep import notification
from realtime.domain.config import Bucket, Config
from realtime.domain.interfaces import Listed, Sends, Store
from realtime.domain.scraped_object import is_run_end
from realtime.files.root import folders, is_ours
from realtime.ledger import files as ledger_files
from realtime.monitoring.status.unannounced import late_before

_LOOKUP = 1000


def announce(
    store: Store, queue: Sends, config: Config, must_stop: Callable[[], bool]
) -> tuple[dict[str, int], bool]:
    """Send a message for each file in the root that is older than 15 minutes and that the ledger
    has no outcome for. Returns how many were `sent` and `refused` by the queue, and whether the
    whole root was looked at before `must_stop` said to stop. The end of a run that lies there is
    left to a sweep, which reads it.

    A file whose message was only late gets a second one: whoever receives that finds the file
    imported, or in the hands of another, and does not import it twice. Raises as Store and Queue
    do.
    """
    counts = {"sent": 0, "refused": 0}
    uploads = _late(store, config)
    while some := list(islice(uploads, _LOOKUP)):
        lost = iter(ledger_files.without_outcome(config.bucket.name, some))
        while batch := list(islice(lost, BATCH)):
            if must_stop():
                return counts, False
            refused = queue.send([notification(config.bucket.name, one.key) for one in batch])
            counts["sent"] += len(batch) - len(refused)
            counts["refused"] += len(refused)
        if must_stop():
            return counts, False
    return counts, True


def _late(store: Store, config: Config) -> Iterator[Listed]:
    before = late_before(config)
    for folder in folders(store, config.bucket):
        for one in store.list(folder):
            if one.last_modified < before and has_message(config.bucket, one.key):
                yield one


def has_message(bucket: Bucket, key: str) -> bool:
    """Whether `key` is one of a scraped file, which is announced by a message of its own."""
    return is_ours(bucket, key) and not is_run_end(bucket.strip(key) or "")
