"""The settings of this project: names, defaults and help, checked once at start."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from realtime.domain.errors import ConfigurationError
from realtime.process import logs

# `application_name` in pg_stat_activity: of a connection that imports, of one that looks for a free
# worker slot, and of one that only reads status.
APPLICATION_NAME = "openstates-realtime"
SLOT_SEEKER_NAME = "openstates-realtime-slot"
ONLOOKER_NAME = "openstates-realtime-status"

# Values of --importer: our set-based importers, or core's own.
BULK, CORE = "bulk", "core"

# Values of REALTIME_ARCHIVE: imported files are archived by the run that read them, or by
# `archive_realtime`.
INLINE, LATER = "inline", "later"

# Seconds: longer than the attempts to get a lock that a run may have to give up.
SHORTEST_STATEMENT_TIMEOUT = 2

DATABASE_SCHEMES = {"postgres", "postgresql", "pgsql", "psql", "postgis"}
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True)
class Variable:
    """One environment variable. `default` is text, as in the environment; `help` says what it is
    for."""

    name: str
    default: str
    help: str


VARIABLES = (
    Variable("DATABASE_URL", "", "core's PostgreSQL database, postgres://user:password@host/name"),
    Variable(
        "DATABASE_URL_PARAMETER",
        "",
        "SSM parameter that holds the whole URL, or the password for DATABASE_URL",
    ),
    Variable(
        "DATABASE_URL_SECRET",
        "",
        "Secrets Manager secret (name or ARN) that holds the same, or the JSON that RDS writes",
    ),
    Variable("S3_REALTIME_BASE", "", "where files are stored: s3://bucket or s3://bucket/prefix"),
    Variable("SQS_QUEUE_URL", "", "queue that scrapers send to and imports receive from"),
    Variable(
        "FILE_ARCHIVING_ENABLED",
        "true",
        "false: imported files are deleted, not archived, unless their message asks for archiving",
    ),
    Variable(
        "REALTIME_ARCHIVE",
        INLINE,
        "inline: an import run archives what it has imported; later: archive_realtime does",
    ),
    Variable("REALTIME_MAX_MESSAGES", "300", "most messages that one pass of an import run takes"),
    Variable("REALTIME_MAX_WORKERS", "10", "most import runs that work at once, over all hosts"),
    Variable(
        "REALTIME_VISIBILITY_TIMEOUT",
        "300",
        "seconds that a received message stays hidden; renewed while the run works",
    ),
    Variable(
        "REALTIME_MAX_RECEIVES",
        "10",
        "receives without an outcome after which a message is imported alone",
    ),
    Variable(
        "REALTIME_MAX_FILE_BYTES", "25000000", "a larger file fails, and its body is not read"
    ),
    Variable(
        "REALTIME_BREAKER_FAILED",
        "0.5",
        "share of a jurisdiction's files that may fail for one reason before it is paused; 0: any",
    ),
    Variable(
        "REALTIME_BREAKER_SHRUNK",
        "0.333",
        "share of a jurisdiction's updated bills that may shrink before it is paused; 0: any",
    ),
    Variable("REALTIME_CHANGES_DAYS", "30", "days that the change log keeps a change"),
    Variable(
        "REALTIME_MAX_BATCH_BYTES",
        "64000000",
        "most bytes of files that a run holds at once, whatever the number of messages",
    ),
    Variable(
        "REALTIME_STATEMENT_TIMEOUT",
        "60",
        "seconds after which the database cancels a statement; its file is then tried again, alone",
    ),
    Variable("REALTIME_LOG_FORMAT", "", "json or text; default: text on a terminal, else json"),
    Variable(
        "REALTIME_LOG_LEVEL", "INFO", "level of this project's log; DEBUG adds a line for each file"
    ),
    Variable("OPENSTATES_LOG_LEVEL", "CRITICAL", "level of the log of core's importers"),
    Variable(
        "STATS_ENABLED", "False", "True: send metrics to InfluxDB, by core's other STATS_ settings"
    ),
)


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the prefix of our keys in it (empty, or ending in a slash)."""

    name: str
    prefix: str = ""

    def strip(self, key: str) -> str | None:
        """The key without the prefix; None for a key that does not start with it."""
        return key[len(self.prefix) :] if key.startswith(self.prefix) else None


@dataclass(frozen=True)
class Secret:
    """Where AWS keeps a value that must not be in the environment.

    `variable` is the setting that names it, `service` boto3's name of the service that holds it.
    """

    variable: str
    service: str
    name: str


@dataclass(frozen=True)
class Config:
    """The settings of one process. Durations are seconds unless named otherwise, sizes bytes.
    Shares are from 0 (turned off) to 1.

    With a `database_secret`, `database_url` may be empty or lack the password that the secret
    holds. `stats_enabled`: metrics go to InfluxDB. `in_lambda`: the process runs in AWS Lambda.
    `archive` is INLINE or LATER. `log_format` is `logs.JSON`, `logs.TEXT`, or empty for the
    default.
    """

    database_url: str
    database_secret: Secret | None
    s3_base: str
    queue_url: str
    file_archiving_enabled: bool
    archive: str
    max_messages: int
    max_workers: int
    visibility_timeout: int
    max_receives: int
    max_file_bytes: int
    breaker_failed: float
    breaker_shrunk: float
    changes_days: int
    max_batch_bytes: int
    statement_timeout: int
    log_format: str
    log_level: str
    core_log_level: str
    stats_enabled: bool
    in_lambda: bool

    @property
    def bucket(self) -> Bucket:
        """Where files are stored. Raises ConfigurationError when `S3_REALTIME_BASE` is missing or
        malformed."""
        return parse_base(self.s3_base)

    def require_queue(self) -> str:
        """The queue's URL. Raises ConfigurationError when `SQS_QUEUE_URL` is missing."""
        if not self.queue_url:
            raise ConfigurationError("SQS_QUEUE_URL is not set: name the queue of the imports")
        return self.queue_url

    @property
    def has_database(self) -> bool:
        """Whether a database URL, or a secret for one, is set."""
        return bool(self.database_url or self.database_secret)

    def require_database(self) -> None:
        """Raises ConfigurationError when neither `DATABASE_URL` nor a secret for it is set."""
        if not self.has_database:
            raise ConfigurationError(
                "DATABASE_URL is not set: name core's database, postgres://user:password@host/name"
            )


def parse_base(base: str) -> Bucket:
    """The Bucket that `s3://bucket/prefix` names. Raises ConfigurationError for anything else."""
    if not base:
        raise ConfigurationError("S3_REALTIME_BASE is not set: name the bucket, s3://bucket/prefix")
    scheme, separator, rest = base.partition("://")
    if not separator:
        raise ConfigurationError(
            f"S3_REALTIME_BASE is {base!r}, without s3://: write s3://{base.strip('/')}"
        )
    name, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if scheme != "s3" or not name or "://" in rest or ":" in name:
        raise ConfigurationError(
            f"S3_REALTIME_BASE is {base!r}: write s3://bucket or s3://bucket/prefix"
        )
    return Bucket(name, f"{prefix}/" if prefix else "")


def parse_database_url(variable: str, url: str) -> str:
    """The database's URL with the scheme `postgres://`.

    Raises ConfigurationError, naming `variable` but never its value, when it is not such a URL.
    """
    scheme, _, rest = url.partition("://")
    # Never quote the value, nor urllib's error: either may contain the password.
    wrong = ConfigurationError(
        f"{variable} is no postgres://user:password@host/name: in a user or password write"
        " / ? # @ as %2F %3F %23 %40"
    )
    if scheme not in DATABASE_SCHEMES or not rest:
        raise wrong
    try:
        parts = urlsplit(f"postgres://{rest}")
        _ = parts.port
    except ValueError:
        raise wrong from None
    if "@" in parts.path + parts.query:
        raise wrong
    # Core's default scheme is postgis://, but core does not need PostGIS.
    return f"postgres://{rest}"


def load(environ: Mapping[str, str]) -> Config:
    """Read the settings from `environ` (VARIABLES has names and defaults).

    Raises ConfigurationError naming the variable and its value when a value is malformed. A
    missing value is reported by the command that needs it.
    """
    values = {v.name: environ.get(v.name, "") or v.default for v in VARIABLES}
    url = values["DATABASE_URL"]
    return Config(
        database_url=parse_database_url("DATABASE_URL", url) if url else "",
        database_secret=_secret(values),
        s3_base=values["S3_REALTIME_BASE"],
        queue_url=values["SQS_QUEUE_URL"],
        file_archiving_enabled=_boolean("FILE_ARCHIVING_ENABLED", values),
        archive=_one_of("REALTIME_ARCHIVE", values, (INLINE, LATER), str.lower),
        max_messages=_positive("REALTIME_MAX_MESSAGES", values),
        max_workers=_positive("REALTIME_MAX_WORKERS", values),
        visibility_timeout=_positive("REALTIME_VISIBILITY_TIMEOUT", values, at_most=43_200),
        max_receives=_positive("REALTIME_MAX_RECEIVES", values),
        max_file_bytes=_positive("REALTIME_MAX_FILE_BYTES", values),
        breaker_failed=_share("REALTIME_BREAKER_FAILED", values),
        breaker_shrunk=_share("REALTIME_BREAKER_SHRUNK", values),
        changes_days=_positive("REALTIME_CHANGES_DAYS", values),
        max_batch_bytes=_positive("REALTIME_MAX_BATCH_BYTES", values),
        statement_timeout=_positive(
            "REALTIME_STATEMENT_TIMEOUT", values, at_least=SHORTEST_STATEMENT_TIMEOUT
        ),
        log_format=_one_of("REALTIME_LOG_FORMAT", values, (logs.JSON, logs.TEXT), str.lower),
        log_level=_one_of("REALTIME_LOG_LEVEL", values, _LOG_LEVELS, str.upper),
        core_log_level=_one_of("OPENSTATES_LOG_LEVEL", values, _LOG_LEVELS, str.upper),
        # Only what core itself can parse.
        stats_enabled=_one_of("STATS_ENABLED", values, ("True", "False", "1", "0"), str)
        in ("True", "1"),
        in_lambda=bool(environ.get("AWS_LAMBDA_FUNCTION_NAME")),
    )


def _secret(values: Mapping[str, str]) -> Secret | None:
    parameter, secret = values["DATABASE_URL_PARAMETER"], values["DATABASE_URL_SECRET"]
    if parameter and secret:
        raise ConfigurationError(
            "DATABASE_URL_PARAMETER and DATABASE_URL_SECRET are both set: name one of them"
        )
    if parameter:
        return Secret("DATABASE_URL_PARAMETER", "ssm", parameter)
    if secret:
        return Secret("DATABASE_URL_SECRET", "secretsmanager", secret)
    return None


def _boolean(name: str, values: Mapping[str, str]) -> bool:
    value = values[name].strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise ConfigurationError(f"{name} is {values[name]!r}: write true or false")


def _one_of(
    name: str,
    values: Mapping[str, str],
    choices: Sequence[str],
    spelled: Callable[[str], str],
) -> str:
    value = spelled(values[name].strip())
    if value and value not in choices:
        raise ConfigurationError(f"{name} is {values[name]!r}: write {' or '.join(choices)}")
    return value


def _positive(
    name: str, values: Mapping[str, str], at_most: int | None = None, at_least: int = 1
) -> int:
    try:
        number = int(values[name])
    except ValueError:
        number = 0
    if number < at_least or (at_most is not None and number > at_most):
        limit = f" of at most {at_most}" if at_most is not None else ""
        limit += f" of at least {at_least}" if at_least > 1 else ""
        raise ConfigurationError(
            f"{name} is {values[name]!r}: write a positive whole number{limit}"
        )
    return number


def _share(name: str, values: Mapping[str, str]) -> float:
    try:
        number = float(values[name])
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise ConfigurationError(f"{name} is {values[name]!r}: write a number from 0 to 1")
    return number
