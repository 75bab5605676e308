"""The steps of the demo, from starting the stack to the final tables."""

import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from realtime.demo import figures, legislature, pages, people, summary
from realtime.demo.commands import Commands
from realtime.demo.environment import using_stack, without_settings
from realtime.demo.scrape import Scrape
from realtime.demo.site import Site
from realtime.demo.view import Progress, View
from realtime.devstack import DevStack, database
from realtime.devstack.workspace import Workspace
from realtime.domain.errors import RealtimeError

# Seconds: the sample site's response time, and the interval between import runs, which in
# production is a minute or more.
PAGE_SECONDS = 0.1
IMPORT_EVERY = 2.0
# Seconds in which the queue must become empty after the scrape.
_EMPTY_WITHIN = 30.0

_PAGES = "pages scraped"
# The site's folders in which each page is one object.
_OBJECT_FOLDERS = ("bills", "votes", "events")
# The front page, the roster, the list of bills and the calendar.
_OTHER_PAGES = 4
_NOTABLE = ("deferred", "resumed", "failed")
_VISIBLE = {"bill": "bills", "vote_event": "vote events", "event": "events"}


class DemoFailed(RealtimeError):
    """The demo failed; the message says why."""


class Demo:
    """One demo, shown by `view`. `run` leaves nothing running and nothing on disk."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._sample = legislature.invent()
        self._pages = pages.render(self._sample)
        self._imports = 0

    def run(self) -> None:
        """Run all steps. Raises RealtimeError or Django's CommandError when one fails."""
        self._view.title("Open States realtime imports: from web pages to PostgreSQL")
        with contextlib.ExitStack() as exits:
            exits.enter_context(without_settings())
            workspace = Workspace(None)
            exits.callback(workspace.remove)
            stack = DevStack()
            exits.callback(stack.stop)
            with self._view.step("Starting PostgreSQL, S3 and SQS on this machine"):
                stack.start()
            exits.enter_context(using_stack(stack.environment()))
            with self._view.step("Creating core's tables and ours; loading Wyoming"):
                database.migrate()
                database.load_jurisdiction("wy")
            commands = exits.enter_context(Commands())
            self._seat_legislators(commands, workspace.path / "people")
            site = exits.enter_context(Site(self._pages, PAGE_SECONDS))
            self._scrape(commands, site, workspace.path)
            self._finish(commands, stack)

    def _seat_legislators(self, commands: Commands, folder: Path) -> None:
        with self._view.step("Publishing and importing the legislators' YAML files"):
            people.write(self._sample.legislators, folder / "legislature")
            commands("publish_realtime", str(folder), "--jurisdiction", "wy")
            commands("import_realtime")
        self._view.say(f"{commands.call(figures.visible)['person']} people are visible")

    def _scrape(self, commands: Commands, site: Site, folder: Path) -> None:
        self._view.title(
            f"Scraping the sample legislature at {site.url}, importing every {IMPORT_EVERY:.0f} s"
        )
        self._view.say("vote events that arrive before their bill are parked until it arrives")
        totals = {
            _PAGES: _OTHER_PAGES + sum(p.split("/")[-2] in _OBJECT_FOLDERS for p in self._pages),
            **{label: self._expected()[name] for name, label in _VISIBLE.items()},
        }
        scrape = Scrape(site.url, folder)
        try:
            with self._view.watch(totals) as progress:
                self._import_meanwhile(commands, site, scrape, folder, progress)
        finally:
            scrape.stop()
        if scrape.status:
            raise DemoFailed(f"the scrape failed; the end of its log:\n{scrape.tail()}")
        self._view.say("The scrape has succeeded and sent the end of its run")

    def _import_meanwhile(
        self, commands: Commands, site: Site, scrape: Scrape, folder: Path, progress: Progress
    ) -> None:
        broken_sent = False
        due = time.monotonic() + IMPORT_EVERY
        while scrape.status is None:
            progress({_PAGES: site.served})
            if time.monotonic() < due:
                time.sleep(0.1)
                continue
            due = time.monotonic() + IMPORT_EVERY
            self._import(commands, progress)
            if not broken_sent and commands.call(figures.visible)["bill"]:
                self._publish_broken(commands, folder)
                broken_sent = True
        progress({_PAGES: site.served})
        self._import(commands, progress, "--until-empty")

    def _import(self, commands: Commands, progress: Progress, *arguments: str) -> None:
        report = commands("import_realtime", *arguments)
        visible = commands.call(figures.visible)
        progress({label: visible[name] for name, label in _VISIBLE.items()})
        self._imports += 1
        notable = "".join(f", {report[name]} {name}" for name in _NOTABLE if report[name])
        self._view.say(
            f"import {self._imports}: {report['received']} files{notable};"
            f" visible: {_list(visible)}"
        )

    def _publish_broken(self, commands: Commands, folder: Path) -> None:
        bill = {
            "_id": str(uuid.uuid1()),
            "jurisdiction": {"id": "ocd-jurisdiction/country:us/state:wy/government"},
            "legislative_session": legislature.SESSION,
            "identifier": "HB9999",
        }
        path = folder / f"bill_{bill['_id']}.json"
        path.write_text(json.dumps(bill))
        commands("publish_realtime", str(path), "--jurisdiction", "wy")
        self._view.say("publishing a broken file among them: a bill without a chamber")

    def _finish(self, commands: Commands, stack: DevStack) -> None:
        with self._view.step("Importing the rest of the queue"):
            deadline = time.monotonic() + _EMPTY_WITHIN
            while figures.waiting(stack) or commands.call(figures.parked):
                if time.monotonic() > deadline:
                    raise DemoFailed("the queue did not become empty")
                commands("import_realtime", "--until-empty")
        with self._view.step("Archiving the imported files"):
            commands("archive_realtime")
        figures_at_end = commands.call(lambda: summary.gather(stack))
        summary.show(self._view, figures_at_end, self._expected())
        if missing := summary.missing(figures_at_end, self._expected()):
            raise DemoFailed(f"not everything is visible: {missing}")

    def _expected(self) -> Mapping[str, int]:
        return {
            "jurisdiction": 1,
            "person": len(self._sample.legislators),
            "bill": len(self._sample.bills),
            "vote_event": len(self._sample.roll_calls),
            "event": len(self._sample.hearings),
        }


def _list(visible: Mapping[str, int]) -> str:
    return ", ".join(f"{visible[name]} {label}" for name, label in _VISIBLE.items())
