"""Which errors speak of the database, the network or this process, and not of the file."""

from collections.abc import Iterator

from django.db import InterfaceError, OperationalError

# PostgreSQL class 54, "program limit exceeded", which psycopg2 counts among the operational
# errors: a value too large for an index is the file's fault and will be so tomorrow.
_LIMIT_EXCEEDED = "54"
# Class 08, "connection exception", and what of "operator intervention" ends or refuses one.
_AWAY = ("08", "57P")
# What only an operator can mend: undefined table, column or function, no privilege, read only.
READ_ONLY = "25006"
_CANCELLED = "57014"
_NO_PRIVILEGE = "42501"
_NOT_THE_FILE = {"42P01", "42703", "42883", _NO_PRIVILEGE, READ_ONLY}


def interrupted(exc: BaseException) -> BaseException | None:
    """The link in the chain of `exc` that speaks of the surroundings and not of the file."""
    for link in chain(exc):
        code = error_code(link)
        if code in _NOT_THE_FILE or isinstance(link, MemoryError):
            return link
        operational = isinstance(link, OperationalError | InterfaceError)
        if operational and not code.startswith(_LIMIT_EXCEEDED):
            return link
    return None


def is_away(exc: BaseException) -> bool:
    """Whether an error of Django's says that there is no connection: refused, or lost."""
    if isinstance(exc, InterfaceError):
        return True
    # libpq's own errors have no code. The server says that it shuts down, crashes or starts.
    code = error_code(exc)
    return isinstance(exc, OperationalError) and (not code or code.startswith(_AWAY))


def was_cancelled(exc: BaseException) -> bool:
    """Whether a statement was cancelled: by its timeout, by this process, or by somebody else."""
    return any(error_code(link) == _CANCELLED for link in chain(exc))


def lacks_privilege(exc: BaseException) -> bool:
    """Whether the database's user may not do what it was asked to."""
    return any(error_code(link) == _NO_PRIVILEGE for link in chain(exc))


def timed_out(exc: BaseException, seconds: float, limit: int) -> bool:
    """Whether a statement has exceeded its timeout of `limit` seconds, in work that took `seconds`
    until it raised `exc`. (The server has one code for all that cancels a statement.)"""
    return seconds >= limit and was_cancelled(exc)


def raise_if_interrupted(exc: Exception) -> None:
    """Raise `exc` if the surroundings are to blame for it, and not the file."""
    if interrupted(exc):
        raise exc


def error_code(exc: BaseException) -> str:
    """PostgreSQL's code (SQLSTATE) of an error of Django's; empty when it has none."""
    return getattr(exc.__cause__, "pgcode", None) or ""


def chain(exc: BaseException | None) -> Iterator[BaseException]:
    """The exception, and all that it was raised from or during."""
    seen: set[int] = set()
    waiting = [exc]
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__context__, link.__cause__]
