"""`manage.py flags_realtime`: lists what was imported and should be looked at, and resolves it."""

import json
from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.domain.flags import KINDS
from realtime.domain.jurisdictions import abbreviation_of, jurisdictions
from realtime.ledger import flags
from realtime.management.acting import operator
from realtime.management.ledger_command import EXIT_STATUS, LedgerCommand
from realtime.models import RaisedFlag
from realtime.monitoring.labels import row_labels

# Flags whose rows are looked up together.
_PAGE = 500


class Command(LedgerCommand):
    help = (
        "List the open flags, the newest first: what was imported and may be wrong. A flag goes"
        " when a later file puts it right, or when --resolve says that it has been looked at."
        + EXIT_STATUS
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_jurisdiction(parser)
        parser.add_argument("--kind", choices=KINDS, default="", help="only flags of this kind")
        parser.add_argument(
            "--resolve", type=_id, metavar="ID", help="resolve this flag instead; needs --note"
        )
        parser.add_argument("--note", default="", metavar="TEXT", help="why it is resolved")
        self.add_json(parser, "flags")

    def handle(self, *, resolve: int | None, note: str, **options: Any) -> None:
        if (resolve is not None) != bool(note.strip()):
            raise CommandError("--resolve and --note belong together: say why it is resolved")
        with self.database():
            if resolve is not None:
                if not flags.resolve([resolve], operator(), note):
                    raise CommandError(f"--resolve {resolve}: no open flag has this id")
                self.stdout.write(f"{resolve} resolved")
                return
            found = flags.open_flags(kind=options["kind"])
            if options["jurisdiction"]:
                ids = jurisdictions(options["jurisdiction"]).values()
                found = found.filter(jurisdiction_id__in=ids)
            if options["json"]:
                rows = list(found)
                called = row_labels({flag.core_id for flag in rows})
                listed = [_as_dict(flag, called.get(flag.core_id, "")) for flag in rows]
                self.stdout.write(json.dumps({"open": len(listed), "list": listed}))
                return
            for some in _in_pages(found.iterator()):
                called = row_labels({flag.core_id for flag in some})
                for flag in some:
                    self.stdout.write(_line(flag, called))


def _in_pages(flags: Iterator[RaisedFlag]) -> Iterator[list[RaisedFlag]]:
    while page := list(islice(flags, _PAGE)):
        yield page


def _as_dict(flag: RaisedFlag, label: str) -> dict[str, Any]:
    return {
        "id": flag.id,
        "kind": flag.kind,
        "jurisdiction_id": flag.jurisdiction_id,
        "subject": flag.subject,
        "object_type": flag.object_type,
        "core_id": flag.core_id,
        "label": label,
        "bill_identifier": flag.bill_identifier,
        "session": flag.session,
        "key": flag.key,
        "other_key": flag.other_key,
        "detail": flag.detail,
        "count": flag.count,
        "first_seen": flag.first_seen.isoformat(),
        "last_seen": flag.last_seen.isoformat(),
    }


def _line(flag: RaisedFlag, called: Mapping[str, str]) -> str:
    bill = f" {flag.bill_identifier} of {flag.session}" if flag.bill_identifier else ""
    if flag.core_id == flag.subject and flag.core_id in called:
        session = f" of {flag.session}" if flag.session else ""
        bill = f" {called[flag.core_id]}{session}"
    return (
        f"{flag.id} {flag.last_seen:%Y-%m-%d %H:%M} {abbreviation_of(flag.jurisdiction_id)}"
        f" {flag.kind}{bill} {flag.subject} (x{flag.count}): {json.dumps(flag.detail)}"
    )


def _id(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not the id of a flag")
    return int(text)
