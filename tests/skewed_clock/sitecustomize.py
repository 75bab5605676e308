"""Python imports this at its start when the folder is on PYTHONPATH: a host whose clock is off by
`TEST_CLOCK_SKEW` seconds."""

import datetime
import os
import time
from typing import Any

_Real = datetime.datetime
_SKEW = float(os.environ["TEST_CLOCK_SKEW"])
_real_time = time.time


class _AnyDatetime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Real)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _Real)


class SkewedDatetime(_Real, metaclass=_AnyDatetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _Real.now(tz) + datetime.timedelta(seconds=_SKEW)

    @classmethod
    def utcnow(cls) -> Any:
        return _Real.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=_SKEW)


datetime.datetime = SkewedDatetime  # type: ignore[misc]
time.time = lambda: _real_time() + _SKEW
