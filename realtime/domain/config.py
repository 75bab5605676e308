"""The settings of this project: names, defaults and help, checked once at start."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from realtime.domain.errors import ConfigurationError
from realtime.domain.receivers import Receiver, receivers
from realtime.process import logs

# `application_name` in pg_stat_activity: of a connection that imports, of one that looks for a free
# worker slot, and of one that only reads status.
APPLICATION_NAME = "openstates-realtime"
SLOT_SEEKER_NAME = "openstates-realtime-slot"
ONLOOKER_NAME = "openstates-realtime-status"
# Of one that reads the change log, for `changes_realtime` and for receivers.
READER_NAME = "openstates-realtime-changes"

# Values of --importer: our set-based importers, or core's own.
BULK, CORE = "bulk", "core"

# Values of REALTIME_ARCHIVE: imported files are archived by the run that read them, or by
# `archive_realtime`.
INLINE, LATER = "inline", "later"

# Seconds: longer than the attempts to get a lock that a run may have to give up.
SHORTEST_STATEMENT_TIMEOUT = 2

# Characters: a token that cannot be guessed.
_SHORTEST_TOKEN = 16

# Where files may be stored: a bucket of S3 or of Google Cloud Storage, or a folder.
S3, GS, FILE = "s3", "gs", "file"

# The service of a Secret that Google keeps.
GOOGLE = "google"
_GOOGLE_SECRET = re.compile("projects/[^/]+/secrets/[^/]+(/versions/[^/]+)?")

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
        "secret that holds the same, or the JSON that RDS writes: name or ARN of Secrets Manager,"
        " or projects/…/secrets/… of Google's Secret Manager",
    ),
    Variable(
        "S3_REALTIME_BASE",
        "",
        "where files are stored: s3://bucket/prefix, gs://bucket/prefix or file:///folder",
    ),
    Variable("REALTIME_BASE", "", "another name for S3_REALTIME_BASE"),
    Variable(
        "SQS_QUEUE_URL",
        "",
        "queue that scrapers send to and imports receive from; none: imports list the store's root",
    ),
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
        str(1 / 3),
        "share of a jurisdiction's updated bills that may shrink before it is paused; 0: any",
    ),
    Variable(
        "REALTIME_LEDGER_DAYS",
        "30",
        "days that prune_realtime and the page's Prune keep files, runs, flags and actions",
    ),
    Variable("REALTIME_CHANGES_DAYS", "30", "days that the change log keeps a change"),
    Variable("REALTIME_IMPORT_RUNS_DAYS", "30", "days that an import run is kept"),
    Variable(
        "REALTIME_NO_IMPORT_MINUTES",
        "15",
        "verdict: nobody imports when files wait and no import run has begun for so long",
    ),
    Variable(
        "REALTIME_BEHIND_MINUTES",
        "30",
        "verdict: imports are behind when a message, file or ended scrape run has waited so long",
    ),
    Variable(
        "REALTIME_SILENT_MINUTES",
        "130",
        "verdict: a person should look when no import run has begun for so long, though none waits",
    ),
    Variable(
        "REALTIME_SLOW_MINUTES",
        "10",
        "page: a jurisdiction is slow, not fresh, when one file of twenty took so long",
    ),
    Variable(
        "REALTIME_LAG_MINUTES",
        "60",
        "verdict: a jurisdiction lags when one file of twenty took so long from scraped to visible",
    ),
    Variable(
        "REALTIME_STALLED_MINUTES",
        "120",
        "verdict: a scrape is stalled when it is open, and nothing was imported for so long",
    ),
    Variable(
        "REALTIME_STUCK_MINUTES",
        "15",
        "verdict: a worker is stuck when it has asked the database nothing for so long",
    ),
    Variable(
        "REALTIME_FAILING_FILES",
        "10",
        "verdict: imports of a jurisdiction fail when so many files have failed within an hour,",
    ),
    Variable("REALTIME_FAILING_SHARE", "0.1", "and more than this share of all that were tried"),
    Variable(
        "REALTIME_STATUS_TOKEN",
        "",
        "lets machines read the page's /status.json and /metrics; none: only who is logged in",
    ),
    Variable(
        "REALTIME_CHANGES_URL",
        "",
        "who is told of changes: https://host/path, sns:ARN or sqs:URL; REALTIME_CHANGES_URL_NAME"
        " names one more",
    ),
    Variable(
        "REALTIME_CHANGES_SECRET", "", "signs what the webhook gets: whsec_…; two: an old and a new"
    ),
    Variable(
        "REALTIME_CHANGES_FILTER",
        "",
        "what the receiver is told of: abbreviations and types, such as wy dc bill"
        " vote_event.deleted; none: everything",
    ),
    Variable(
        "REALTIME_CHANGES_ALLOW_PRIVATE",
        "false",
        "true: a webhook may have an address of a private network, and plain HTTP",
    ),
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
    """Where files are stored, and the prefix of our keys there (empty, or ending in a slash).

    `name` is what messages, the ledger and log lines call it: a bucket of S3 by its own name, one
    of Google Cloud Storage `gs://name`, a folder by its absolute path. No two places have one name.
    """

    name: str
    prefix: str = ""

    @property
    def scheme(self) -> str:
        """S3, GS or FILE."""
        if self.name.startswith("/"):
            return FILE
        return GS if self.name.startswith(f"{GS}://") else S3

    @property
    def url(self) -> str:
        """Its URL, prefix included."""
        return self.url_of(self.prefix).rstrip("/")

    def url_of(self, key: str) -> str:
        """The URL of the object with this full key."""
        if self.scheme == FILE:
            return f"file://{quote(f'{self.name}/{key}')}"
        return f"{self.name}/{key}" if self.scheme == GS else f"s3://{self.name}/{key}"

    def strip(self, key: str) -> str | None:
        """The key without the prefix; None for a key that does not start with it."""
        return key[len(self.prefix) :] if key.startswith(self.prefix) else None


@dataclass(frozen=True)
class Secret:
    """Where AWS or Google keeps a value that must not be in the environment.

    `variable` is the setting that names it, `service` boto3's name of the service that holds it, or
    GOOGLE.
    """

    variable: str
    service: str
    name: str


@dataclass(frozen=True)
class Config:
    """The settings of one process. Durations are seconds unless named otherwise, sizes bytes.
    Shares are from 0 (turned off) to 1.

    With a `database_secret`, `database_url` may be empty or lack the password that the secret
    holds. `stats_enabled`: metrics go to InfluxDB. `archive` is INLINE or LATER. `function` is the
    name of the Lambda function that the process runs in. `log_format` is `logs.JSON`, `logs.TEXT`,
    or empty for the default.
    """

    database_url: str
    database_secret: Secret | None
    base: str
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
    ledger_days: int
    changes_days: int
    import_runs_days: int
    no_import_minutes: int
    behind_minutes: int
    silent_minutes: int
    slow_minutes: int
    lag_minutes: int
    stalled_minutes: int
    stuck_minutes: int
    failing_files: int
    failing_share: float
    status_token: str
    receivers: tuple[Receiver, ...]
    max_batch_bytes: int
    statement_timeout: int
    log_format: str
    log_level: str
    core_log_level: str
    stats_enabled: bool
    function: str

    @property
    def in_lambda(self) -> bool:
        """Whether the process runs in AWS Lambda."""
        return bool(self.function)

    @property
    def bucket(self) -> Bucket:
        """Where files are stored. Raises ConfigurationError when `S3_REALTIME_BASE` is missing or
        malformed."""
        return parse_base(self.base)

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


def parse_base(base: str, setting: str = "S3_REALTIME_BASE") -> Bucket:
    """The Bucket that a URL names: `s3://bucket/prefix`, `gs://bucket/prefix` or `file:///folder`.

    Raises ConfigurationError, naming `setting`, for anything else.
    """
    if not base:
        raise ConfigurationError(
            f"{setting} is not set: name the bucket, s3://bucket/prefix, or a folder,"
            " file:///path/to/folder"
        )
    scheme, separator, rest = base.partition("://")
    if base.startswith(f"{FILE}:") and not separator:
        return _parse_folder(base, rest, setting)
    if not separator:
        better = f"file://{base}" if base.startswith("/") else f"s3://{base.strip('/')}"
        missing = better.partition("://")[0]
        raise ConfigurationError(f"{setting} is {base!r}, without {missing}://: write {better}")
    if scheme == FILE:
        return _parse_folder(base, rest, setting)
    name, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if scheme not in (S3, GS) or not name or "://" in rest or ":" in name:
        raise ConfigurationError(
            f"{setting} is {base!r}: write s3://bucket or s3://bucket/prefix, or the same with"
            " gs://, or file:///path/to/folder"
        )
    name = f"{GS}://{name}" if scheme == GS else name
    return Bucket(name, f"{prefix}/" if prefix else "")


def _parse_folder(base: str, rest: str, setting: str) -> Bucket:
    host, _, path = unquote(rest).partition("/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if host not in ("", "localhost") or not parts or ".." in parts or "\0" in path:
        raise ConfigurationError(
            f"{setting} is {base!r}: write file:///path/to/folder, with three slashes and the whole"
            " path"
        )
    return Bucket("/" + "/".join(parts))


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
        base=_base(values),
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
        ledger_days=_positive("REALTIME_LEDGER_DAYS", values),
        changes_days=_positive("REALTIME_CHANGES_DAYS", values),
        import_runs_days=_positive("REALTIME_IMPORT_RUNS_DAYS", values),
        no_import_minutes=_positive("REALTIME_NO_IMPORT_MINUTES", values),
        behind_minutes=_positive("REALTIME_BEHIND_MINUTES", values),
        silent_minutes=_positive("REALTIME_SILENT_MINUTES", values),
        slow_minutes=_positive("REALTIME_SLOW_MINUTES", values),
        lag_minutes=_positive("REALTIME_LAG_MINUTES", values),
        stalled_minutes=_positive("REALTIME_STALLED_MINUTES", values),
        stuck_minutes=_positive("REALTIME_STUCK_MINUTES", values),
        failing_files=_positive("REALTIME_FAILING_FILES", values),
        failing_share=_share("REALTIME_FAILING_SHARE", values),
        status_token=_token("REALTIME_STATUS_TOKEN", values),
        receivers=receivers(environ, _boolean("REALTIME_CHANGES_ALLOW_PRIVATE", values)),
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
        function=environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
    )


def _base(values: Mapping[str, str]) -> str:
    old, new = values["S3_REALTIME_BASE"], values["REALTIME_BASE"]
    if old and new and old != new:
        raise ConfigurationError(
            f"S3_REALTIME_BASE is {old!r} and REALTIME_BASE {new!r}, which are two names of one"
            " setting: set one of them"
        )
    return old or new


def _secret(values: Mapping[str, str]) -> Secret | None:
    parameter, secret = values["DATABASE_URL_PARAMETER"], values["DATABASE_URL_SECRET"]
    if parameter and secret:
        raise ConfigurationError(
            "DATABASE_URL_PARAMETER and DATABASE_URL_SECRET are both set: name one of them"
        )
    if parameter:
        return Secret("DATABASE_URL_PARAMETER", "ssm", parameter)
    if secret:
        service = GOOGLE if _GOOGLE_SECRET.fullmatch(secret) else "secretsmanager"
        return Secret("DATABASE_URL_SECRET", service, secret)
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


def _token(name: str, values: Mapping[str, str]) -> str:
    token = values[name].strip()
    if token and len(token) < _SHORTEST_TOKEN:
        # Never quote it.
        raise ConfigurationError(f"{name} is shorter than {_SHORTEST_TOKEN} characters")
    return token


def _share(name: str, values: Mapping[str, str]) -> float:
    try:
        number = float(values[name])
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise ConfigurationError(f"{name} is {values[name]!r}: write a number from 0 to 1")
    return number
