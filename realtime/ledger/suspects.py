"""Messages that may have killed the process that imported them."""

from django.db import transaction

from realtime.domain.text import sanitized
from realtime.models import Suspect

# Attempts without any result after which a message fails.
ATTEMPTS = 3


def start_attempt(message_id: str, body: str) -> bool:
    """Record, in a transaction of its own, an attempt to import a suspect message.

    False, and nothing recorded, when ATTEMPTS attempts have ended without a result.
    """
    with transaction.atomic():
        suspect, _ = Suspect.objects.select_for_update().get_or_create(
            message_id=message_id, defaults={"body": sanitized(body)}
        )
        if suspect.attempts >= ATTEMPTS:
            return False
        suspect.attempts += 1
        suspect.save()
    return True


def end_attempt(message_id: str) -> None:
    """Forget the attempts on a message: the process survived the last one."""
    Suspect.objects.filter(message_id=message_id).delete()
