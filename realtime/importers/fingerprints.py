"""Tells whether two scraped objects are the same."""

from typing import Any


def fingerprint(value: Any) -> int:
    """A hash that equal JSON values share, whatever the order of their keys."""
    if value.__class__ is str:
        return hash(value)
    if isinstance(value, dict):
        try:
            return hash(frozenset(value.items()))
        except TypeError:  # a list or a dictionary among the values
            return hash(frozenset([(key, fingerprint(one)) for key, one in value.items()]))
    if isinstance(value, list | tuple):
        try:  # a list of dictionaries with nothing in them but plain values
            return hash(tuple(map(frozenset, map(dict.items, value))))
        except TypeError:
            return hash(tuple([fingerprint(one) for one in value]))
    if isinstance(value, set):
        return hash(frozenset([fingerprint(one) for one in value]))
    return hash(value)
