"""Files that a run keeps in memory, beside those that it is importing."""

from realtime.domain.interfaces import StoredFile


class Kept:
    """At most `most` bytes of files: those that the run has parked, as it has read them, for when
    they are woken (the others are read again then), and those that are being archived."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: dict[int, StoredFile] = {}
        self.bytes = 0

    def hold(self, bytes: int) -> bool:
        """Take room for `bytes` of files that others keep; False, and nothing taken, without."""
        fits = self.bytes + bytes <= self._most
        if fits:
            self.bytes += bytes
        return fits

    def let_go(self, bytes: int) -> None:
        """Give back the room that `hold` took."""
        self.bytes -= bytes

    def keep(self, ledger_id: int, file: StoredFile) -> None:
        """Keep the file of this row of the ledger, if there is room."""
        if ledger_id not in self._files and self.hold(file.object.size):
            self._files[ledger_id] = file

    def take(self, ledger_id: int) -> StoredFile | None:
        """The file of this row, if it was kept. It is kept no longer."""
        file = self._files.pop(ledger_id, None)
        if file is not None:
            self.let_go(file.object.size)
        return file
