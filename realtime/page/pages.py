"""Lists in pages: what an address asks for, and the addresses of the next and the previous page."""

from typing import ClassVar

from django.http import QueryDict

from realtime.monitoring.status.file_lists import AT_MOST


def text(fields: QueryDict, name: str) -> str | None:
    """A field of an address or form as text that PostgreSQL can hold; None when there is none."""
    value = fields.get(name)
    return None if value is None else value.replace("\0", "")


class Pager:
    """Where in a list of `total` a page is: `start` counts from 0. A large start is slow in the
    database, and useless to a reader: it is cut to the last page of the first 10,000."""

    SIZE: ClassVar[int] = 50

    def __init__(self, fields: QueryDict, total: int) -> None:
        asked = fields.get("start", "")
        start = int(asked) if asked.isdecimal() and len(asked) < 10 else 0
        last = max(min(total, AT_MOST) - 1, 0) // self.SIZE * self.SIZE
        self.total = total
        self.start = min(start // self.SIZE * self.SIZE, last)
        self._fields = fields

    @property
    def first(self) -> int:
        """The number of the first on the page, counting from 1."""
        return min(self.start + 1, self.total)

    @property
    def last(self) -> int:
        """The number of the last on the page."""
        return min(self.start + self.SIZE, self.total)

    @property
    def previous(self) -> str:
        """The query of the previous page; empty when this is the first."""
        return self._query(self.start - self.SIZE) if self.start else ""

    @property
    def next(self) -> str:
        """The query of the next page; empty when this is the last."""
        following = self.start + self.SIZE
        return self._query(following) if following < min(self.total, AT_MOST) else ""

    def _query(self, start: int) -> str:
        fields = self._fields.copy()
        fields["start"] = str(start)
        return f"?{fields.urlencode()}"
