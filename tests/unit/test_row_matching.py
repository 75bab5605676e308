"""Which files of a run are one row, imported in scrape order."""

import pytest

from realtime.finalization.row_matching import MatchedFile, in_order
from realtime.importers.specs.lookup_keys import NO_DEDUPE_KEY

BARE = ""


def rows(*files: tuple[str, list[str]], competes: bool = True) -> list[int | None]:
    """The row of each file, given as its content and the keys by which it is found."""
    matched = [MatchedFile(n, "", tuple(keys), content) for n, (content, keys) in enumerate(files)]
    return in_order(matched, competes)


@pytest.mark.parametrize("competes", [True, False], ids=["vote events", "events"])
def test_in_order__file_without_a_dedupe_key__row_keeps_the_one_it_has(competes: bool) -> None:
    keyed, without = ("x", ["dedupe:k", "motion:m"]), ("x", ["motion:m"])
    assert rows(keyed, without, keyed, competes=competes) == [0, 0, 0]
    says_none = ("x", ["motion:m", NO_DEDUPE_KEY])
    assert rows(keyed, says_none, keyed, competes=competes) == [0, 0, 1]


def test_in_order__bare_repeat__is_the_bare_one_of_two() -> None:
    bare, full = (BARE, ["motion:m"]), ("x", ["dedupe:k", "motion:m"])
    assert rows(bare, full, bare) == [0, 1, 0]
    assert rows(full, bare, bare) == [0, 0, 0]


def test_in_order__newer_has_a_key_that_the_older_lacks__two_rows() -> None:
    plain, keyed = ("x", ["motion:m"]), ("x", ["dedupe:k", "motion:m"])
    assert rows(plain, keyed) == [0, 1]
    assert rows(keyed, plain) == [0, 0]
