"""A store and a queue in memory whose calls can be made to fail."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from realtime.domain.errors import RealtimeError, RetryLater, Unavailable


class MemoryStore:
    """A bucket. `failing` returns the error that a put of a key raises, if any. `delay` is seconds;
    while `open` is cleared, puts wait."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.metadata: dict[str, dict[str, str]] = {}
        self.attempts: Counter[str] = Counter()
        self.failing: Callable[[str], Exception | None] = lambda key: None
        self.delay = 0.0
        self.open = threading.Event()
        self.open.set()

    def put(
        self, key: str, body: bytes, metadata: Mapping[str, str], overwrite: bool = True
    ) -> str:
        self.attempts[key] += 1
        self.open.wait()
        time.sleep(self.delay)
        if (error := self.failing(key)) is not None:
            raise error
        self.objects[key] = body
        self.metadata[key] = dict(metadata)
        return ""

    def fail_each(self, times: int) -> None:
        """Fail the first `times` puts of every key."""
        self.failing = lambda key: (
            Unavailable("the store is down") if self.attempts[key] <= times else None
        )

    def break_down(self, error: RealtimeError | None = None) -> None:
        """Fail every put from now on."""
        self.failing = lambda key: error or Unavailable("the store is down")

    def repair(self) -> None:
        """Let every put succeed from now on."""
        self.failing = lambda key: None


class MemoryQueue:
    """A queue. `calls` has the bodies of each call, `bodies` the accepted ones in order."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.bodies: list[str] = []
        self.refuses: Callable[[str], bool] = lambda body: False
        self.down = False
        self.watch: Callable[[str], None] = lambda body: None

    def send(self, bodies: Sequence[str]) -> list[int]:
        self.calls.append(list(bodies))
        if self.down:
            raise RetryLater("the queue is down")
        refused = []
        for index, body in enumerate(bodies):
            if self.refuses(body):
                refused.append(index)
            else:
                self.watch(body)
                self.bodies.append(body)
        return refused
