"""Core's `os-update`, which publishes each object as it is scraped.

    os-update-realtime MODULE [scraper [k=v …]] [core's options]

runs core's scrape with core's own options and output, in a checkout of scrapers or wherever Python
can import the module. It never imports into a database and needs none. When the scrape has
succeeded and every file is published, it sends the end of the run. What an earlier scrape of the
jurisdiction in this folder could not publish, or was killed before it had, is published beside it.
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
Runs core's scrape and publishes each object as it is scraped. The options are those
of core's os-update, except that --import is ignored, --realtime is implied, and --archive asks the
importer to archive the files after their import. Needs S3_REALTIME_BASE, SQS_QUEUE_URL if there is
a queue, and the credentials of both, but no database.

Exit status: 0 when everything was scraped and published; 1 with one line on standard error when a
setting is wrong, the scrape failed, or files could not be published (they are kept in
_realtime_spool/, also when the process is killed: the next scrape of the jurisdiction in this
folder sends them, or publish_realtime does); 130 when interrupted.
"""
# Seconds to go on publishing scraped files after the scrape has failed, and after an interruption.
GRACE_AFTER_FAILURE = 60.0
GRACE_AFTER_INTERRUPT = 10.0


class ScrapeFailed(RealtimeError):
    """The scrape failed. Files published before stay published; its run has no end."""


def main(arguments: Sequence[str] | None = None, program: str = "os-update-realtime") -> int:
    """Run a scrape and return the exit status. Unless it is 0, print one line on standard error."""
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
    """Scrape as the command line `arguments` say, and publish.

    Raises ConfigurationError before anything is scraped, ScrapeFailed when the scrape fails,
    NotPublished when the scrape succeeded but files could not be published. Core's argument parser
    may raise SystemExit.
    """
    if {"-h", "--help"} & set(arguments):
        print(DIFFERENCES)
    # Imported here because it configures logging, which importing this module must not do.
    core = importlib.import_module("openstates.cli.update")
    args, scrapers = _parse(core, arguments, program)
    archiving = args.archive
    if "import" in (args.actions or ()):
        logger.info("--import is ignored: import_realtime imports what this command publishes")
    # Core's own --realtime and --archive use Google Cloud Storage.
    args.actions, args.realtime, args.archive = ("scrape",), False, False
    _log_as_core_does(core, args.loglevel)
    _import_from_here()
    with output_handler.publishing(archiving) as session, _ExitOnSignal() as exit_on_signal:
        started_at = datetime.now(UTC)
        producer = session.producer
        try:
            state, report = _update(core, args, scrapers)
            # The scraper may have swallowed the signal's exception, and lost an object by that.
            exit_on_signal.raise_if_signalled()
            producer.finish(
                output_handler.jurisdiction_of(state, args.module),
                started_at,
                scrapers=scraper_reports(report),
            )
            session.leftovers.wait()
        except NotPublished:
            raise
        except Exception as exc:
            _explain(exc, args.module, args.debug)
            _close(session, GRACE_AFTER_FAILURE)
            session.leftovers.wait(GRACE_AFTER_FAILURE)
            raise _failure(args.module, exc, session) from exc
        except BaseException:
            _close(session, GRACE_AFTER_INTERRUPT)
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
    """From core's report of an update, the part of each scraper, `jurisdiction` included."""
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
    # Our Django settings silence core's logger, but here core's log is the log of the scrape.
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
    """Print the traceback as core does, unless the error's message is enough."""
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
        f" ({published} files were published; run {session.producer.run_id} has no end)"
    )


class _ExitOnSignal:
    """Turns SIGTERM and SIGINT into exceptions in the block, so that no scraped file is lost."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Python allows signal handlers only in the main thread.
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

    def raise_if_signalled(self) -> None:
        """Raise KeyboardInterrupt after SIGINT, SystemExit after SIGTERM; else do nothing."""
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self._signal is not None:
            sys.exit(128 + self._signal)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        self.raise_if_signalled()
