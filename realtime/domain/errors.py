"""This project's exceptions, named for the reaction each calls for."""

from dataclasses import dataclass

from realtime.domain.likeness import likeness
from realtime.domain.text import sanitized


class RealtimeError(Exception):
    """Any error this project raises on purpose."""


class ConfigurationError(RealtimeError):
    """A setting is missing or wrong: name it, do nothing, exit with status 1."""


class RetryLater(RealtimeError):
    """Nothing is wrong with the file: leave its message for redelivery (`released`)."""


class Busy(RetryLater):
    """Another worker holds the jurisdiction."""


class Unavailable(RetryLater):
    """The database, the store or the queue cannot be used, so that no file can be imported."""


class TimedOut(RealtimeError):
    """A statement ran for longer than it may: an attempt of the files of its batch. Find out which
    by halving; the file that is alone is tried again, and fails after some attempts."""


class Superseded(RealtimeError):
    """A newer scrape of the same object has already been applied to the row `core_id`."""

    def __init__(self, core_id: str) -> None:
        super().__init__(f"a newer scrape of {core_id} is already in the database")
        self.core_id = core_id


class PoisonMessage(RealtimeError):
    """The message or file can never be imported: record why, then acknowledge (`failed`).

    `reason` is a short stable word for grouping. `field` is the wrong field of the message or
    file, empty when the whole is wrong. `detail`, also the exception's text, explains it to people.
    """

    def __init__(self, reason: str, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.field = field

    @property
    def alike(self) -> str:
        """The same for all that are alike, see `likeness`."""
        return likeness(self.reason, sanitized(self.field), sanitized(self.detail))


class WrongClaim(PoisonMessage):
    """A message claims of a file what the file or its key contradicts: the message fails, and the
    file stays for one that is right."""


@dataclass(frozen=True)
class WaitingFor:
    """What a parked file waits for, within its jurisdiction.

    With only `session` set, the legislative session with that identifier. Otherwise a bill: the
    one with the scrape `_id` `bill_scrape_id`, or the one with `bill_identifier` (as core stores
    it) in `session`, whichever arrives first.
    """

    session: str = ""
    bill_scrape_id: str = ""
    bill_identifier: str = ""

    def __str__(self) -> str:
        if self.bill_scrape_id or self.bill_identifier:
            names = [n for n in (self.bill_identifier, self.bill_scrape_id) if n]
            return f"bill {' / '.join(names)} of session {self.session}"
        return f"legislative session {self.session}"


class Unresolved(RealtimeError):
    """The file names a bill or session that has not arrived: park it (`deferred`)."""

    def __init__(self, waiting_for: WaitingFor) -> None:
        super().__init__(f"waits for {waiting_for}")
        self.waiting_for = waiting_for
