"""Core's `os-update`, with everything it scrapes published as it goes.

    os-update-realtime MODULE [scraper [k=v …]] [core's options]

runs core's own scrape, with core's own options and output, in a checkout of scrapers or wherever
the module can be imported from. It never imports, and needs no database. When the scrape has ended
well and every file is sent, it sends the end of the run.
"""

import argparse
import importlib
import logging
import logging.config
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any, Self

from realtime import output_handler
from realtime.domain.errors import RealtimeError
from realtime.domain.messages import ScraperReport
from realtime.producer.producer import NotPublished

logger = logging.getLogger(__name__)

DIFFERENCES = """\
Runs core's scrape and publishes each object to S3 and SQS as it is scraped. All options are those
of core's os-update, with these differences: nothing is ever imported, whatever --import says;
--realtime is implied; --archive asks the importer to archive the files it has imported. Needs
S3_REALTIME_BASE, SQS_QUEUE_URL and AWS credentials, and no database.
"""
# Seconds in which what is scraped may still be published after the scrape has failed, or after
# someone has asked the process to stop.
PATIENCE_AFTER_FAILURE = 60.0
PATIENCE_AFTER_INTERRUPT = 10.0


class ScrapeFailed(RealtimeError):
    """The scrape ended badly. What it had published stays published; its run has no end."""


def main(arguments: Sequence[str] | None = None, program: str = "os-update-realtime") -> int:
    """Run a scrape; returns the exit status, after one line on standard error if it is not 0."""
    try:
        scrape(sys.argv[1:] if arguments is None else arguments, program)
    except RealtimeError as exc:
        print(f"{program}: error: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    return 0


def scrape(arguments: Sequence[str], program: str) -> None:
    """Scrape and publish what the command line `arguments` ask for.

    Raises ConfigurationError before anything is scraped, ScrapeFailed when the scrape fails, and
    NotPublished when all was scraped but not all of it published; core's parser may raise
    SystemExit.
    """
    if {"-h", "--help"} & set(arguments):
        print(DIFFERENCES)
    # Importing it sets up logging, and that is nobody's wish who only imports this module.
    core = importlib.import_module("openstates.cli.update")
    args, scrapers = _parse(core, arguments, program)
    archiving = args.archive
    if "import" in (args.actions or ()):
        logger.info("--import is ignored: the importer of the queue imports what this publishes")
    # Core's own forms of these two speak to Google Cloud Storage.
    args.actions, args.realtime, args.archive = ("scrape",), False, False
    _log_as_core_does(core, args.loglevel)
    _import_from_here()
    with output_handler.publishing(archiving) as session, _Stop() as stop:
        started_at = datetime.now(UTC)
        producer = session.producer
        try:
            state, report = _update(core, args, scrapers)
            # A scraper that catches everything has caught this too, and gone on without an object.
            stop.raise_if_asked()
            producer.finish(
                output_handler.jurisdiction_of(state, args.module),
                started_at,
                scrapers=scraper_reports(report),
            )
        except NotPublished:
            raise
        except Exception as exc:
            _explain(exc, args.module, args.debug)
            _close(session, PATIENCE_AFTER_FAILURE)
            raise _failure(args.module, exc, session) from exc
        except BaseException:
            _close(session, PATIENCE_AFTER_INTERRUPT)
            raise
        logger.info(
            "%s: published %d files",
            producer.run_id,
            sum(producer.counts.values()),
            extra={
                "action": "run-finished",
                "run_id": producer.run_id,
                "objects": producer.counts,
            },
        )


def scraper_reports(report: Mapping[str, Any]) -> dict[str, ScraperReport]:
    """What core's `report` of an update says of each scraper, `jurisdiction` included."""
    plan = report["plan"]["scrapers"]
    return {
        name: ScraperReport(
            args=" ".join(f"{k}={v}" for k, v in plan.get(name, {}).items()),
            started_at=details["start"],
            finished_at=details["end"],
            objects=dict(details["objects"]),
        )
        for name, details in report["scrape"].items()
    }


def _parse(
    core: ModuleType, arguments: Sequence[str], program: str
) -> tuple[argparse.Namespace, list[str]]:
    before = sys.argv
    sys.argv = [program, *arguments]
    try:
        parsed: tuple[argparse.Namespace, list[str]] = core.parse_args()
    finally:
        sys.argv = before
    return parsed


def _log_as_core_does(core: ModuleType, level_name: str) -> None:
    level = getattr(logging, level_name.upper(), logging.INFO)
    core.settings.LOGGING["handlers"]["default"]["level"] = level
    logging.config.dictConfig(core.settings.LOGGING)
    # The settings of our importing commands silence core's logger; a scrape's log is core's log.
    logging.getLogger("openstates").setLevel(logging.NOTSET)
    core.stats.logger.setLevel(level)


def _import_from_here() -> None:
    here = Path.cwd()
    for folder in (here / "scrapers", here):
        if folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def _update(
    core: ModuleType, args: argparse.Namespace, scrapers: list[str]
) -> tuple[Any, Mapping[str, Any]]:
    state, module = core.get_jurisdiction(args.module)
    overrides = {
        **getattr(module, "settings", {}),
        **{name: value for name, value in vars(args).items() if value is not None},
    }
    with core.override_settings(core.settings, overrides):
        report = core.do_update(args, scrapers, state)
    core.stats.close()
    return state, report


def _explain(exc: Exception, module: str, debug: bool) -> None:
    """Show where the scrape failed, as core does, unless core's own sentence says it all."""
    from openstates.exceptions import CommandError

    no_module = isinstance(exc, ModuleNotFoundError) and exc.name == module.partition(".")[0]
    if not no_module and not isinstance(exc, CommandError | RealtimeError):
        traceback.print_exception(exc)
    if debug:
        try:
            debugger = importlib.import_module("ipdb")
        except ImportError:
            debugger = importlib.import_module("pdb")
        debugger.post_mortem(exc.__traceback__)


def _close(session: output_handler.Session, timeout: float) -> None:
    try:
        session.producer.close(timeout)
    except NotPublished as exc:
        logger.error(
            "%s: not published: %s",
            session.producer.run_id,
            exc,
            extra={"action": "not-published", "run_id": session.producer.run_id},
        )


def _failure(module: str, exc: Exception, session: output_handler.Session) -> RealtimeError:
    if isinstance(exc, RealtimeError):
        return exc
    published = sum(session.producer.counts.values())
    return ScrapeFailed(
        f"the scrape of {module} failed: {type(exc).__name__}: {exc}"
        f" ({published} files are published; run {session.producer.run_id} has no end)"
    )


class _Stop:
    """Makes SIGTERM end the block as an interruption does, so that nothing scraped is lost."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread may have signal handlers.
        with suppress(ValueError):
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_if_asked(self) -> None:
        """Raises KeyboardInterrupt or SystemExit when a signal has come."""
        if self._asked == signal.SIGINT:
            raise KeyboardInterrupt
        if self._asked is not None:
            sys.exit(128 + self._asked)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._asked = number
        self.raise_if_asked()
