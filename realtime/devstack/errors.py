"""What can go wrong in the embedded stack."""

from realtime.domain.errors import RealtimeError


class StackError(RealtimeError):
    """The embedded stack cannot start, or refuses what it was asked; the text says why."""
