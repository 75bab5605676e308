"""The database's URL or password, where it is kept by AWS instead of in the environment."""

import json
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from botocore.exceptions import BotoCoreError, ClientError

from realtime.backends import clients
from realtime.domain.config import DATABASE_SCHEMES, Config, Secret, parse_database_url
from realtime.domain.errors import ConfigurationError, Unavailable

_REFUSED = {"AccessDenied", "AccessDeniedException", "UnrecognizedClientException"}
_MISSING = {"ParameterNotFound", "ResourceNotFoundException"}
_ACTIONS = {"ssm": "ssm:GetParameter", "secretsmanager": "secretsmanager:GetSecretValue"}


def database_url(config: Config) -> str:
    """The whole URL of the database. The secret is fetched once in a process, and never logged.

    Raises ConfigurationError, naming the setting and never the value, when there is no such
    secret, when we may not read it, or when it holds neither a URL nor what completes
    `DATABASE_URL`; Unavailable when AWS does not answer.
    """
    if config.database_secret is None:
        return config.database_url
    return complete(config.database_url, config.database_secret, _fetch(config.database_secret))


def forget() -> None:
    """Fetch again when asked next: the database refused what we had, so it may have changed."""
    _fetch.cache_clear()


def complete(url: str, secret: Secret, value: str) -> str:
    """The URL of the database, from `url` (may be empty) and what `secret` holds.

    That is a whole URL, which then stands for itself; or the password that `url` lacks; or the
    JSON object that RDS keeps, of which user and password, and without `url` the place, are taken.
    """
    value = value.strip()
    if value.partition("://")[0] in DATABASE_SCHEMES:
        return parse_database_url(secret.variable, value)
    stored = _stored(value)
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
    place = parts.netloc.rpartition("@")[2]
    password = quote(str(stored["password"]), safe="")
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{place}"))


def _stored(value: str) -> dict[str, Any]:
    try:
        document = json.loads(value)
    except ValueError:
        document = None
    # A password may be spelled like a number.
    return document if isinstance(document, dict) else {"password": value}


@cache
def _fetch(secret: Secret) -> str:
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
