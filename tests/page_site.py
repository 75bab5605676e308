"""The operators' page as a running site, with a database, users and files."""

import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2

from tests import scrapes
from tests.support import ROOT, Aws, run_manage, wait_until

WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
JURISDICTION_PATH = f"/jurisdiction/{WYOMING}/"
OPERATOR, VISITOR, PASSWORD = "ada", "bo", secrets.token_hex(12)
UNREACHABLE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Site:
    """A running page. Commands with `environment` use the same database, bucket and queue."""

    url: str
    environment: Mapping[str, str]
    aws: Aws

    def publish(self, file: dict[str, Any] | bytes, key: str = "", **message: Any) -> str:
        """Upload a file and send its message, like older scrapers; returns the key."""
        if not key:
            assert isinstance(file, dict)
            key = f"wy/{scrapes.type_of(file)}_{file['_id']}.json"
        self.put(key, file)
        body = {"file_path": key, "bucket": self.aws.bucket, "jurisdiction_id": WYOMING, **message}
        self.aws.sqs.send_message(QueueUrl=self.aws.queue_url, MessageBody=json.dumps(body))
        return key

    def put(self, key: str, file: dict[str, Any] | bytes) -> None:
        body = file if isinstance(file, bytes) else json.dumps(file).encode()
        self.aws.s3.put_object(Bucket=self.aws.bucket, Key=key, Body=body)

    def run(self) -> dict[str, Any]:
        """Import and archive; returns the import's report."""
        result = run_manage("import_realtime", "--json", env=self.environment)
        run_manage("archive_realtime", env=self.environment)
        report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
        return report

    def fail(self, file: dict[str, Any] | bytes, key: str = "") -> str:
        """Publish a file that cannot be imported and import it; returns the path of its page."""
        key = self.publish(file, key)
        assert self.run()["failed"] == 1
        [(number,)] = self.rows("SELECT id FROM realtime_file WHERE key = %s", key)
        return f"/file/{number}/"

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.environment["DATABASE_URL"])) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database_away(self) -> Iterator[None]:
        """Make the site's database unreachable for the block."""
        server, _, name = self.environment["DATABASE_URL"].rpartition("/")
        with closing(psycopg2.connect(f"{server}/postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [name],
                )
                try:
                    yield
                finally:
                    cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def prepare(environment: Mapping[str, str]) -> dict[str, str]:
    """Create the site's tables, an operator and a visitor; returns the site's environment."""
    site = {**environment, "SECRET_KEY": secrets.token_hex(32)}
    # Set by pytest-django; manage.py chooses the settings itself.
    site.pop("DJANGO_SETTINGS_MODULE", None)
    _execute(
        site,
        "import django; django.setup()\n"
        "from django.contrib.auth import get_user_model\n"
        "from django.core.management import call_command\n"
        "for app in ('auth', 'admin', 'sessions'): call_command('migrate', app)\n"
        "users = get_user_model().objects\n"
        f"users.create_superuser('{OPERATOR}', password='{PASSWORD}')\n"
        f"users.create_user('{VISITOR}', password='{PASSWORD}')\n",
    )
    return site


@contextmanager
def serving(environment: Mapping[str, str], aws: Aws) -> Iterator[Site]:
    """Serve the site with `manage.py runserver` for the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=ROOT,
            env=dict(environment),
            stdout=output,
            stderr=output,
        )
        try:
            up = wait_until(lambda: process.poll() is not None or _answers(url), seconds=60)
            if not up or process.poll() is not None:
                output.seek(0)
                raise AssertionError(f"the site does not start:\n{output.read()}")
            yield Site(url, environment, aws)
        finally:
            process.terminate()
            process.wait()


def in_process(site: Site, program: str, **environment: str) -> str:
    """What a program prints that has a logged in `client` of the site, as Django's tests do."""
    start = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        "from django.contrib.auth import get_user_model\n"
        "from django.test import Client\n"
        "settings.ALLOWED_HOSTS, client = ['testserver'], Client()\n"
        f"client.force_login(get_user_model().objects.get(username='{OPERATOR}'))\n"
    )
    return _execute(site.environment, start + program, **environment)


def _execute(environment: Mapping[str, str], program: str, **more: str) -> str:
    """What a program prints that has the site's settings, or `more` of the environment."""
    settings = {"DJANGO_SETTINGS_MODULE": "site_settings", "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, **settings},
        text=True,
        capture_output=True,
        check=True,
    ).stdout


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/login/", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        time.sleep(0.1)
        return False
