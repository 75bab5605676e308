"""Reads the database's URL or password from Parameter Store, Secrets Manager or Google's Secret
Manager."""

import json
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from botocore.exceptions import BotoCoreError, ClientError

from realtime.backends import clients
from realtime.domain.config import DATABASE_SCHEMES, GOOGLE, Config, Secret, parse_database_url
from realtime.domain.errors import ConfigurationError, Unavailable

_REFUSED = {"AccessDenied", "AccessDeniedException", "UnrecognizedClientException"}
_MISSING = {"ParameterNotFound", "ResourceNotFoundException"}
_ACTIONS = {"ssm": "ssm:GetParameter", "secretsmanager": "secretsmanager:GetSecretValue"}


def database_url(config: Config) -> str:
    """The complete URL of the database. A process fetches the secret once, and never logs it.

    Raises ConfigurationError, naming the setting but never its value, when the secret does not
    exist, must not be read, or holds neither a URL nor what completes `DATABASE_URL`. Raises
    Unavailable when AWS or Google cannot answer.
    """
    if config.database_secret is None:
        return config.database_url
    return complete(config.database_url, config.database_secret, _fetch(config.database_secret))


def forget() -> None:
    """Drop the cached secret, so that the next call fetches it again: it may have been rotated."""
    _fetch.cache_clear()


def complete(url: str, secret: Secret, value: str) -> str:
    """The database's URL, from `url` (may be empty) and `value`, the content of `secret`.

    `value` is one of three: a complete URL, which is used instead of `url`; the password for
    `url`; or the JSON object that RDS writes. That object gives user and password and, when `url`
    is empty, host, port and database.
    """
    value = value.strip()
    if value.partition("://")[0] in DATABASE_SCHEMES:
        return parse_database_url(secret.variable, value)
    stored = _parse(value)
    if not url and stored.get("host"):
        port, name = stored.get("port") or 5432, quote(str(stored.get("dbname") or ""), safe="")
        url = f"postgres://{stored['host']}:{port}/{name}"
    if not url:
        raise ConfigurationError(
            f"{secret.variable} holds no postgres:// URL: set DATABASE_URL, without the password"
        )
    parts = urlsplit(url)
    user = quote(str(stored["username"]), safe="") if "username" in stored else parts.username
    if not user or not stored.get("password"):
        missing = "password" if user else "user"
        raise ConfigurationError(f"{secret.variable} and DATABASE_URL name no {missing}")
    host_and_port = parts.netloc.rpartition("@")[2]
    password = quote(str(stored["password"]), safe="")
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host_and_port}"))


def _parse(value: str) -> dict[str, Any]:
    try:
        document = json.loads(value)
    except ValueError:
        document = None
    # A password may also parse as JSON, for one all digits.
    return document if isinstance(document, dict) else {"password": value}


@cache
def _fetch(secret: Secret) -> str:
    if secret.service == GOOGLE:
        from realtime.backends import google_secret

        return google_secret.read(secret)
    client = clients.client(secret.service, threads=1)
    try:
        if secret.service == "ssm":
            found = client.get_parameter(Name=secret.name, WithDecryption=True)
            return str(found["Parameter"]["Value"])
        return str(client.get_secret_value(SecretId=secret.name)["SecretString"])
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        if code in _MISSING:
            raise ConfigurationError(f"{secret.variable}: there is no {secret.name}") from exc
        if code in _REFUSED:
            raise ConfigurationError(
                f"{secret.variable}: not allowed to read {secret.name}: this role needs"
                f" {_ACTIONS[secret.service]} on it, and kms:Decrypt if its key is your own"
            ) from exc
        raise Unavailable(f"{secret.variable}: {exc}") from exc
    except KeyError as exc:
        raise ConfigurationError(f"{secret.variable}: {secret.name} holds no text") from exc
    except BotoCoreError as exc:
        raise Unavailable(f"{secret.variable}: AWS cannot be reached: {exc}") from exc
