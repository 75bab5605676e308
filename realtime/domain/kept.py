"""Parked files that a run keeps in memory."""

from realtime.domain.interfaces import StoredFile


class Kept:
    """Files that a run has parked, as it has read them, for when they are woken: at most `most`
    bytes. The others are read again then."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: dict[int, StoredFile] = {}
        self.bytes = 0

    def keep(self, ledger_id: int, file: StoredFile) -> None:
        """Keep the file of this row of the ledger, if there is room."""
        if ledger_id not in self._files and self.bytes + file.object.size <= self._most:
            self._files[ledger_id] = file
            self.bytes += file.object.size

    def take(self, ledger_id: int) -> StoredFile | None:
        """The file of this row, if it was kept. It is kept no longer."""
        file = self._files.pop(ledger_id, None)
        if file is not None:
            self.bytes -= file.object.size
        return file
