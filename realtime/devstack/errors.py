"""Errors of the embedded stack."""

from realtime.domain.errors import RealtimeError


class StackError(RealtimeError):
    """The embedded stack cannot start, or cannot do what was asked; the message says why."""
