"""What to try next, where that is obvious."""

from collections.abc import Iterator

from realtime.domain.jurisdictions import abbreviation_of
from realtime.models import Outcome
from realtime.monitoring.report import Report


def told(command: str, why: str) -> str:
    """The line that names a command of manage.py and says what it is good for."""
    return f"next: manage.py {command}  ({why})"


def after_import(report: Report, *, of_source: bool) -> Iterator[str]:
    """What to try after an import run, a line each. `of_source`: of an import that recorded no
    failures."""
    failed = report.outcomes[Outcome.FAILED]
    missing = sorted(
        abbreviation_of(one)
        for one, share in report.shares.items()
        if one and share.reasons["unknown-jurisdiction"]
    )
    # An id that core does not know cannot be loaded.
    if known := [one for one in missing if one.isalpha()]:
        options = " ".join(f"--jurisdiction {one}" for one in known)
        yield (
            f"next: os-initdb  (the database lacks {', '.join(known)};"
            f" an embedded one has it from its start: local_stack {options})"
        )
    if report.reasons["foreign-bucket"]:
        yield (
            "next: set S3_REALTIME_BASE to the bucket of the messages, or correct their sender;"
            " then retry_realtime"
        )
    if failed and of_source:
        yield "next: mend these files and import the source again: what is in is not read again"
    elif failed or report.expired:
        yield told("status_realtime", "what failed, and what is parked")
        yield told("retry_realtime", "sends them again, once the cause is mended")
    if report.paused:
        names = " ".join(f"--jurisdiction {abbreviation_of(one)}" for one in sorted(report.paused))
        yield told(f"resume_realtime {names}", "imports what was parked by the pause")
    elif report.outcomes[Outcome.DEFERRED] and not failed:
        yield told("status_realtime", "which bills and sessions the parked files wait for")
    if report.outcomes[Outcome.RELEASED]:
        yield told("import_realtime --until-empty", "the released files come again")
