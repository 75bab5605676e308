"""Files that a run keeps in memory, beside those that it is importing."""

from realtime.domain.interfaces import StoredFile


class Kept:
    """Files that the run has parked, as it has read them, for when they are woken: at most `most`
    bytes. The others are read again then. As many bytes may be held of what is being archived."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: dict[int, StoredFile] = {}
        self._parked = self._archiving = 0

    @property
    def bytes(self) -> int:
        """The bytes of all."""
        return self._parked + self._archiving

    def begin_archiving(self, size: int) -> bool:
        """Count `size` bytes of files that are held to be archived; False, and not counted, if
        they are too many."""
        fits = self._archiving + size <= self._most
        if fits:
            self._archiving += size
        return fits

    def end_archiving(self, size: int) -> None:
        """Count these bytes no more."""
        self._archiving -= size

    def keep(self, ledger_id: int, file: StoredFile) -> None:
        """Keep the file of this row of the ledger, if there is room."""
        if ledger_id not in self._files and self._parked + file.object.size <= self._most:
            self._files[ledger_id] = file
            self._parked += file.object.size

    def take(self, ledger_id: int) -> StoredFile | None:
        """The file of this row, if it was kept. It is kept no longer."""
        file = self._files.pop(ledger_id, None)
        if file is not None:
            self._parked -= file.object.size
        return file
