"""Runs the sample scrape, `scrape_realtime wy`, as a process of its own."""

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
    """A running scrape of `site_url`. It writes only below `folder`.

    Create it in the main thread. On Linux it ends when this process ends, however that happens.
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
                # Core and the scraper's cache write to the working directory.
                cwd=folder,
                env=environment,
                # Keep a terminal's Ctrl-C from the scrape: `stop` ends it in order.
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll()

    def tail(self, lines: int = 25) -> str:
        """The last lines of its output."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Kill it if it still runs. Repeatable."""
        if self.status is not None:
            return
        # SIGKILL, since it would wait to publish its files, and the queue is about to stop.
        self._process.kill()
        self._process.wait(_STOP_SECONDS)
