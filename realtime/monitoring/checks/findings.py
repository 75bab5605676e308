"""How checks ask AWS: every refusal becomes a finding."""

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
    """A question that cannot be answered, and what that means."""

    def __init__(self, message: CheckMessage) -> None:
        super().__init__(message.msg)
        self.message = message


def ask(setting: str, what: str, action: str, call: Callable[[], Any]) -> Any:
    """The answer to `call`, which asks about `what` that `setting` names, by IAM's `action`.

    Raises Finding: an error when there is no such thing or AWS does not answer, a warning when we
    are not allowed to ask, since imports need no such permission.
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
                    f"{setting}: not allowed to look at {what}, so it is not checked",
                    hint=f"Give this role {action} on it, or check as somebody who has it.",
                    id="realtime.W003",
                )
            ) from exc
        raise Finding(Error(f"{setting}: {exc}", id="realtime.E004")) from exc
    except BotoCoreError as exc:
        raise Finding(
            Error(f"{setting}: AWS cannot be reached: {exc}", id="realtime.E004")
        ) from exc
