"""AWS calls of checks: every AWS error becomes a finding."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.checks import CheckMessage, Error, Warning

_REFUSED = {"403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled"}
_MISSING = {
    "404",
    "NoSuchBucket",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
}


class Finding(Exception):
    """A check could not read what it checks; `message` is the finding to report."""

    def __init__(self, message: CheckMessage) -> None:
        super().__init__(message.msg)
        self.message = message


def ask(setting: str, what: str, action: str, call: Callable[[], Any]) -> Any:
    """Return the result of `call`, which reads `what` (a bucket or queue named by `setting`).

    Raises Finding: E002 when it does not exist; E004 when AWS does not answer or answers with
    another error; warning W003 when IAM denies `action`, a permission that imports do not need.
    """
    try:
        return call()
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        if code in _MISSING:
            raise Finding(Error(f"{setting}: there is no {what}", id="realtime.E002")) from exc
        if code in _REFUSED:
            raise Finding(
                Warning(
                    f"{setting}: not allowed to inspect {what}, so it is not checked",
                    hint=f"Allow {action} for this role, or run the check with a role that has it.",
                    id="realtime.W003",
                )
            ) from exc
        raise Finding(Error(f"{setting}: {exc}", id="realtime.E004")) from exc
    except BotoCoreError as exc:
        raise Finding(
            Error(f"{setting}: AWS cannot be reached: {exc}", id="realtime.E004")
        ) from exc
