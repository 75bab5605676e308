"""What the text of a search may mean."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from realtime.domain.bill_identifiers import as_meant, as_stored
from realtime.domain.jurisdictions import jurisdiction_of

# A longer text is cut: no key that S3 allows is.
_LONGEST = 1024
# Hexadecimal digits that are taken for the beginning of an id.
SHORTEST_ID = 8
# More words than these are not looked for, nor more characters of a word: PostgreSQL refuses one of
# more than 2,046 bytes, and a character has four at most.
_WORDS, _LONGEST_WORD = 8, 255
# The longest identifier that core's column holds.
_LONGEST_IDENTIFIER = 100
# A file's name as scrapers write it: its type, and its `_id`, or the beginning of that.
_FILE_NAME = re.compile(r"(bill|vote_event|event|person|organization)_([0-9a-f-]{8,36})(\.json)?")
# What `models.WITHOUT_ACCENTS` leaves out, too.
_ACCENT = re.compile("[\u0300-\u036f]")
_ID = re.compile(r"[0-9a-f-]+")
_CORE_ID = re.compile(r"ocd-[a-z]+/\S+")


@dataclass(frozen=True)
class Terms:
    """The text of a search, without what PostgreSQL cannot hold, and what it may mean."""

    text: str

    @classmethod
    def of(cls, text: str) -> "Terms":
        """The terms of a text as it was typed."""
        return cls(" ".join(text.replace("\0", "").split())[:_LONGEST])

    @cached_property
    def places(self) -> list[tuple[str, str]]:
        """What may be meant in which jurisdiction: the text in any (an empty id), and what is left
        of it without the abbreviation with which it begins or ends."""
        return _places(self.text)

    @cached_property
    def bills(self) -> list[tuple[str, str]]:
        """The bills that may be meant: a jurisdiction (empty: any), and an identifier as core
        stores it, which is also as it is typed where a scraper writes it so. Of a label, `HB 12 ·
        Of bridges`, it is what stands before the title."""
        named = self.text.partition(" ·")[0]
        found = [
            (place, bill)
            for place, text in _places(named)
            if len(text) <= _LONGEST_IDENTIFIER
            for bill in (as_meant(text), as_stored(text))
            if bill
        ]
        return list(dict.fromkeys(found))

    @cached_property
    def core_id(self) -> str:
        """The id in core's tables that the text is, or empty."""
        return self.text if _CORE_ID.fullmatch(self.text) else ""

    @cached_property
    def id_prefix(self) -> str:
        """The id, or its first 8 or more digits, that is all of the text, or of the file's name in
        it: in lower case, with its dashes where an id has them. Empty: it is none."""
        text = self.file_name.lower()
        named = _FILE_NAME.fullmatch(text)
        text = named[2] if named else text
        digits = text.replace("-", "")
        if not _ID.fullmatch(text) or not SHORTEST_ID <= len(digits) <= 32:
            return ""
        cut = [digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]]
        return "-".join(part for part in cut if part)

    @cached_property
    def file_name(self) -> str:
        """What stands behind the last slash."""
        return self.text.rpartition("/")[2]

    @cached_property
    def key(self) -> str:
        """A file's key without prefix, `folder/name`, if the text ends in one; else empty."""
        parts = self.text.split("/")
        return "/".join(parts[-2:]) if len(parts) > 1 and not self.core_id else ""

    @property
    def words(self) -> list[tuple[str, str]]:
        """The words to look for, as a query of PostgreSQL's, by jurisdiction (empty: any). Words of
        three letters and more are beginnings."""
        return [(place, query) for place, text in self.places if (query := word_query(text))]


def _places(text: str) -> list[tuple[str, str]]:
    first, _, behind = text.partition(" ")
    before, _, last = text.rpartition(" ")
    found = [("", text)]
    for abbr, rest in ((first, behind), (last, before)):
        if rest and abbr.isalpha() and (id := jurisdiction_of(abbr.lower())):
            found.append((id, rest))
    return found


def word_query(text: str) -> str:
    """A `tsquery` for texts that have each of these words, with or without its accents; of longer
    ones their first 255 characters. Empty without a word."""
    found = re.findall(r"\w+", unicodedata.normalize("NFC", text).lower())
    words = [word[:_LONGEST_WORD] for word in found if word.strip("_")][:_WORDS]
    return " & ".join(map(_spelled, words))


def _spelled(word: str) -> str:
    # As it is typed, too: that is how titles were noted before they lost their accents.
    plain = _ACCENT.sub("", unicodedata.normalize("NFD", word))[:_LONGEST_WORD]
    spellings = [f"'{one}'{':*' if len(one) > 2 else ''}" for one in dict.fromkeys((plain, word))]
    return f"({' | '.join(spellings)})" if len(spellings) > 1 else spellings[0]


def id_range(prefix: str) -> tuple[UUID, UUID]:
    """The first and last id with this prefix, which is as `Terms.id_prefix` has it."""
    digits = prefix.replace("-", "")
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
