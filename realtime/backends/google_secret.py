"""Reads a secret from Google's Secret Manager, as the credentials of the machine allow."""

from base64 import b64decode

from google.auth import default
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from realtime.domain.config import Secret
from realtime.domain.errors import ConfigurationError, Unavailable

_ENDPOINT = "https://secretmanager.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# Seconds.
_TIMEOUT = 10


def read(secret: Secret) -> str:
    """The newest version of `projects/…/secrets/…`, or the one whose `/versions/…` the name has.

    Raises ConfigurationError, naming the setting, when there is no such secret, it must not be read
    or there are no credentials, and Unavailable when Google cannot answer.
    """
    version = "" if "/versions/" in secret.name else "/versions/latest"
    url = f"{_ENDPOINT}/v1/{secret.name}{version}:access"
    try:
        credentials, _ = default(scopes=[_SCOPE])
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        answer = session.get(url, timeout=_TIMEOUT)
    except DefaultCredentialsError as exc:
        raise ConfigurationError(f"{secret.variable}: no credentials for Google: {exc}") from exc
    except (GoogleAuthError, OSError) as exc:
        raise Unavailable(f"{secret.variable}: Google cannot be reached: {exc}") from exc
    match answer.status_code:
        case 200:
            return b64decode(answer.json()["payload"]["data"]).decode()
        case 404:
            raise ConfigurationError(f"{secret.variable}: there is no {secret.name}")
        case 403:
            raise ConfigurationError(
                f"{secret.variable}: not allowed to read {secret.name}: this service account needs"
                " secretmanager.versions.access on it"
            )
    raise Unavailable(
        f"{secret.variable}: Google answers {answer.status_code}: {answer.text[:500]}"
    )
