"""What is odd about an object by itself, as flags: nothing of it keeps the object out."""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

from realtime.domain.flags import Flag

# Formats, controls, what is unassigned or private, line separators. A space that is no plain one
# is as invisible.
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
_NOT_HYPHENS = {"\N{MINUS SIGN}", "\N{HYPHEN BULLET}", "`"}
# Whom a roll may list without anybody having counted them.
_COUNTED_APART = ("yes", "no")
# So many voters are named in a flag.
_NAMED = 10


def odd_identifier(identifier: Any) -> Iterator[Flag]:
    """A bill's identifier, as it is stored, that readers would not type so."""
    if not isinstance(identifier, str):
        return
    odd = dict.fromkeys(filter(_is_odd, identifier))
    if odd:
        characters = [f"U+{ord(one):04X} {unicodedata.name(one, '')}".strip() for one in odd]
        yield Flag("odd-identifier", detail={"identifier": identifier, "characters": characters})


def _is_odd(character: str) -> bool:
    if character.isascii() and character.isprintable():
        return character == "`"
    category = unicodedata.category(character)
    invisible = category in _INVISIBLE or category == "Zs"
    return invisible or category == "Pd" or character in _NOT_HYPHENS


def odd_roll(data: dict[str, Any]) -> Iterator[Flag]:
    """A vote event whose roll has a voter twice, or does not add up to its counts.

    Only yes, no and, taken together, all others that were counted are compared: many scrapers list
    the absent, and count nobody but those who voted.
    """
    if not data["votes"]:
        return
    voters = [vote.get("voter_name") for vote in data["votes"]]
    options = [vote.get("option") for vote in data["votes"]]
    twice = []
    # Of a batch with a hundred thousand votes, hardly any roll needs the count.
    if len(set(voters)) < len(voters):
        twice = [name for name, times in Counter(voters).items() if times > 1]
    counted = {one.get("option"): one.get("value") for one in data["counts"]}
    unlike = {}
    if all(isinstance(value, int) for value in counted.values()):
        unlike = _unlike(counted, options)
    if twice or unlike:
        yield Flag("roll-unlike-counts", detail={"twice": twice[:_NAMED], "unlike": unlike})


def _unlike(counted: dict[Any, int], options: list[Any]) -> dict[str, dict[str, int]]:
    """How many were counted and are listed, by option, where these differ. `options` has one for
    each voter."""
    listed = {one: options.count(one) for one in _COUNTED_APART}
    pairs = {one: (counted[one], listed[one]) for one in _COUNTED_APART if one in counted}
    others = sum(n for option, n in counted.items() if option not in _COUNTED_APART)
    if others:
        pairs["others"] = others, len(options) - sum(listed.values())
    return {one: {"counted": n, "listed": m} for one, (n, m) in pairs.items() if n != m}
