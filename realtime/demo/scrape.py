"""The sample scrape: `scrape_realtime wy`, a process of its own, as real scrapes are."""

import os
import subprocess
import sys
from pathlib import Path

from realtime.demo.scrapers.wy.web import URL_VARIABLE
from realtime.devstack import launch

_HERE = Path(__file__).resolve().parent
_MANAGE = _HERE.parents[1] / "manage.py"
_STOP_SECONDS = 5.0


class Scrape:
    """Scrapes `site_url` from start to end; all that it writes goes below `folder`.

    It must be made in the main thread, and ends with this process, however that ends (Linux).
    """

    def __init__(self, site_url: str, folder: Path) -> None:
        self._log = folder / "scrape.log"
        paths = [str(_HERE / "scrapers"), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            URL_VARIABLE: site_url,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        command = [sys.executable, str(_MANAGE), "scrape_realtime", "wy", "--fastmode"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "-", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Core and the scraper's cache write where they are started.
                cwd=folder,
                env=environment,
                # Ctrl-C in a terminal is for us alone: we stop the scrape in our time.
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll()

    def tail(self, lines: int = 25) -> str:
        """The end of what it has said."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End it, unless it has ended. Repeatable."""
        if self.status is not None:
            return
        # What it has scraped must not be waited for: there will be no queue to send it to.
        self._process.kill()
        self._process.wait(_STOP_SECONDS)
