"""Tells whether two scraped objects are the same."""

from typing import Any


def fingerprint(value: Any) -> int:
    """A hash that equal JSON values share, whatever the order of their keys."""
    kind = value.__class__
    if kind is str:
        return hash(value)
    if kind is dict:
        try:
            return hash(frozenset(value.items()))
        except TypeError:  # a list or a dictionary among the values
            return hash(frozenset([(key, fingerprint(one)) for key, one in value.items()]))
    if kind is list or kind is tuple:
        return hash(tuple([fingerprint(one) for one in value]))
    if kind is set:
        return hash(frozenset([fingerprint(one) for one in value]))
    return hash(value)
