"""From messages to the files they name."""

from collections.abc import Sequence

from realtime.domain import messages
from realtime.domain.config import Bucket
from realtime.domain.errors import PoisonMessage, WrongClaim
from realtime.domain.in_flight import CONTROL, InFlightFile
from realtime.domain.jurisdictions import jurisdiction_of
from realtime.domain.messages import FileMessage, ReceivedMessage, RunFinished
from realtime.domain.results import Delivery, FileIdentity, Ignored
from realtime.files.fetch import locate, require_ours


def parse(received: Sequence[ReceivedMessage], bucket: Bucket) -> list[InFlightFile]:
    """The files that the messages name, at least one for each message.

    A message, or part of one, that cannot be understood is a file with an `error`; one that names
    no file to import is `ignored`; the end of a scrape run has `run_finished`.
    """
    return [file for message in received for file in _files(message, bucket)]


def unparsed(message: ReceivedMessage) -> InFlightFile:
    """The one file of a message that was not parsed, or cannot be."""
    identity = FileIdentity.of_message(message.message_id)
    return InFlightFile(identity, Delivery(message.sent_at, message.body), message)


def _files(message: ReceivedMessage, bucket: Bucket) -> list[InFlightFile]:
    try:
        parts = messages.parse(message.body)
        for part in parts:
            if isinstance(part, RunFinished):
                require_ours(part.bucket, bucket)
    except PoisonMessage as problem:
        file = unparsed(message)
        file.error = problem
        return [file]
    return [_file(message, number, part, bucket) for number, part in enumerate(parts)]


def _file(
    message: ReceivedMessage, number: int, part: messages.Parsed, bucket: Bucket
) -> InFlightFile:
    match part:
        case FileMessage():
            return _named_file(message, part, bucket)
        case RunFinished():
            return InFlightFile(
                FileIdentity("", "", ""),
                Delivery(message.sent_at, message.body, part.jurisdiction_id, run_id=part.run_id),
                message,
                run_finished=part.sent(message.sent_at),
                object_type=CONTROL,
                jurisdiction_id=part.jurisdiction_id,
            )
        case messages.Ignored():
            file = unparsed(message)
            file.identity, file.object_type = FileIdentity("", "", ""), CONTROL
            file.finish(Ignored())
            return file
        case PoisonMessage():
            file = unparsed(message)
            file.identity = FileIdentity("", f"message:{message.message_id}#{number}", "")
            file.error = part
            return file


def _named_file(message: ReceivedMessage, named: FileMessage, bucket: Bucket) -> InFlightFile:
    file = InFlightFile(
        FileIdentity(bucket.name, named.key, ""),
        Delivery(
            queued_at=message.sent_at,
            message=message.body,
            jurisdiction_id=named.jurisdiction_id,
            file_archiving=named.file_archiving_enabled,
            run_id=named.run_id,
        ),
        message,
        jurisdiction_id=named.jurisdiction_id,
    )
    try:
        key = locate(named, bucket)
    except WrongClaim as problem:
        file.blame_message()
        file.error = problem
        return file
    except PoisonMessage as problem:
        file.identity = FileIdentity(named.bucket, _storable(named.key), "")
        file.error = problem
        return file
    if key is None:
        file.finish(Ignored())
        return file
    file.abbr, file.object_type = key.abbr, key.object_type
    file.jurisdiction_id = named.jurisdiction_id or jurisdiction_of(key.abbr)
    return file


def _storable(key: str) -> str:
    # Percent signs of a hostile key can spell lone surrogates.
    return key.encode("utf-8", "backslashreplace").decode()
