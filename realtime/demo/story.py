"""The steps of the demo, from starting the stack to the final tables."""

import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from realtime.demo import figures, legislature, pages, people, summary
from realtime.demo.commands import Commands
from realtime.demo.environment import using_stack, without_settings
from realtime.demo.importing import ByTurns, DemoFailed, Following, Importing
from realtime.demo.process import Process
from realtime.demo.scrape import scrape
from realtime.demo.site import Site
from realtime.demo.view import Progress, View
from realtime.devstack import DevStack, FolderStack, database
from realtime.devstack.workspace import Workspace

# Seconds: the sample site's response time.
PAGE_SECONDS = 0.1

_PAGES = "pages scraped"
# The site's folders in which each page is one object.
_OBJECT_FOLDERS = ("bills", "votes", "events")
# The front page, the roster, the list of bills and the calendar.
_OTHER_PAGES = 4
_VISIBLE = {"bill": "bills", "vote_event": "vote events", "event": "events"}


class Demo:
    """One demo, shown by `view`. `run` leaves nothing running and nothing on disk.

    `local`: with PostgreSQL and a folder only, which one process follows; else with S3 and SQS.
    """

    def __init__(self, view: View, local: bool = False) -> None:
        self._view = view
        self._local = local
        self._sample = legislature.invent()
        self._pages = pages.render(self._sample)

    def run(self) -> None:
        """Run all steps. Raises RealtimeError or Django's CommandError when one fails."""
        self._view.title("Open States realtime imports: from web pages to PostgreSQL")
        with contextlib.ExitStack() as exits:
            exits.enter_context(without_settings())
            workspace = Workspace(None)
            exits.callback(workspace.remove)
            stack = FolderStack() if self._local else DevStack()
            exits.callback(stack.stop)
            what = "PostgreSQL" if self._local else "PostgreSQL, S3 and SQS"
            with self._view.step(f"Starting {what} on this machine"):
                stack.start()
            exits.enter_context(using_stack(stack.environment()))
            with self._view.step("Creating core's tables and ours; loading Wyoming"):
                database.migrate()
                database.load_jurisdiction("wy")
            commands = exits.enter_context(Commands())
            importing = self._importing(commands, stack, workspace.path)
            exits.callback(importing.stop)
            self._seat_legislators(commands, importing, workspace.path / "people")
            site = exits.enter_context(Site(self._pages, PAGE_SECONDS))
            self._scrape(commands, importing, site, workspace.path)
            self._finish(commands, importing)

    def _importing(
        self, commands: Commands, stack: DevStack | FolderStack, folder: Path
    ) -> Importing:
        if isinstance(stack, DevStack):
            return ByTurns(commands, stack, self._view.say)
        self._view.say("import_realtime --follow watches a folder; there is no queue")
        return Following(commands, folder, self._view.say)

    def _seat_legislators(self, commands: Commands, importing: Importing, folder: Path) -> None:
        with self._view.step("Publishing and importing the legislators' YAML files"):
            people.write(self._sample.legislators, folder / "legislature")
            commands("publish_realtime", str(folder), "--jurisdiction", "wy")
            importing.settle()
        self._view.say(f"{commands.call(figures.visible)['person']} people are visible")

    def _scrape(self, commands: Commands, importing: Importing, site: Site, folder: Path) -> None:
        self._view.title(f"Scraping the sample legislature at {site.url}, importing meanwhile")
        self._view.say("vote events that arrive before their bill are parked until it arrives")
        totals = {
            _PAGES: _OTHER_PAGES + sum(p.split("/")[-2] in _OBJECT_FOLDERS for p in self._pages),
            **{label: self._expected()[name] for name, label in _VISIBLE.items()},
        }
        process = scrape(site.url, folder)
        try:
            with self._view.watch(totals) as progress:
                self._import_meanwhile(commands, importing, site, process, folder, progress)
        finally:
            process.stop()
        if process.status:
            raise DemoFailed(f"the scrape failed; the end of its log:\n{process.tail()}")
        self._view.say("The scrape has succeeded and sent the end of its run")

    def _import_meanwhile(
        self,
        commands: Commands,
        importing: Importing,
        site: Site,
        process: Process,
        folder: Path,
        progress: Progress,
    ) -> None:
        broken_sent = False

        def show(visible: Mapping[str, int]) -> None:
            nonlocal broken_sent
            progress({label: visible[name] for name, label in _VISIBLE.items()})
            if visible["bill"] and not broken_sent:
                self._publish_broken(commands, folder)
                broken_sent = True

        while process.status is None:
            progress({_PAGES: site.served})
            importing.while_scraping(show)
            time.sleep(0.1)
        progress({_PAGES: site.served})
        importing.settle()
        show(commands.call(figures.visible))

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

    def _finish(self, commands: Commands, importing: Importing) -> None:
        with self._view.step("Archiving the imported files"):
            importing.stop()
            commands("archive_realtime")
        waiting = importing.waiting()
        bucket = settings.REALTIME.bucket
        figures_at_end = commands.call(lambda: summary.gather(bucket, waiting))
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
