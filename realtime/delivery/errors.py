"""What keeps a receiver from being told."""

from realtime.domain.errors import RealtimeError


class Undeliverable(RealtimeError):
    """A receiver did not take the events: send the same again later.

    Its text holds no secret. `for_good`: the receiver says that it is gone. `wait`: seconds for
    which it asks to be left alone.
    """

    def __init__(self, text: str, for_good: bool = False, wait: int = 0) -> None:
        super().__init__(" ".join(text.split())[:300])
        self.for_good = for_good
        self.wait = wait
