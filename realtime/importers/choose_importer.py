"""Which importers write the rows."""

import logging
from functools import cache

from realtime.domain.config import BULK
from realtime.importers.attempts import Applier
from realtime.importers.bulk.known_cores import UnknownCore, require_known_core
from realtime.importers.core.one_by_one import OneByOne
from realtime.importers.history import History

logger = logging.getLogger(__name__)


def applier(name: str, jurisdiction_id: str, history: History) -> Applier:
    """The importers of one transaction: `bulk`, the set-based ones, or `core`, core's own.

    On a core that the set-based ones do not know, core's own do the work, with one warning.
    """
    if name == BULK and _core_is_known():
        # It takes from core what one that is not known may lack.
        from realtime.importers.bulk.applier import InBulk

        return InBulk(jurisdiction_id, history)
    return OneByOne(jurisdiction_id, history)


@cache
def _core_is_known() -> bool:
    try:
        require_known_core()
    except UnknownCore as exc:
        logger.warning(
            "core's own importers do the work, slowly", extra={"action": "slow", "cause": exc}
        )
        return False
    return True
