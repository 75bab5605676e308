"""Helpers for tests of scrape runs: publish a run, import it, run commands on it."""

import io
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings

from realtime.domain.run_context import RunContext
from realtime.models import ScrapeRun
from tests import scrapes
from tests.scrapes import Mail


def import_only(mail: Mail) -> None:
    """One import run without finalization."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.consumer.run.finalize_complete", lambda context, **_: [])
        mail.run()


class Run:
    """A scrape run that starts when it is constructed; `end` sends its end message."""

    def __init__(self, mail: Mail) -> None:
        self.mail = mail
        self.id = str(uuid.uuid4())
        self.started_at = datetime.now(UTC)
        self.objects: dict[str, int] = {}
        self.jurisdiction_id = scrapes.WYOMING.jurisdiction_id
        self.args = "session=2031 chamber=lower"

    def publish(self, *files: dict[str, Any]) -> list[str]:
        for data in files:
            name = scrapes.type_of(data)
            self.objects[name] = self.objects.get(name, 0) + 1
        return self.mail.publish(*files, run_id=self.id)

    def end(self, clock_ahead: timedelta = timedelta(), **more: int) -> None:
        finished_at = datetime.now(UTC) + clock_ahead
        times = {
            "started_at": self.started_at.isoformat(),
            "finished_at": finished_at.isoformat(),
        }
        objects = {name: n + more.get(name, 0) for name, n in self.objects.items()}
        scraper = {"args": self.args, **times, "objects": objects}
        self.mail.send(
            {
                "run_id": self.id,
                "bucket": self.mail.aws.bucket,
                "jurisdiction_id": self.jurisdiction_id,
                "jurisdiction_name": "Wyoming",
                "run_finished": {**times, "objects": objects, "scrapers": {"bills": scraper}},
            }
        )

    @property
    def row(self) -> ScrapeRun:
        return ScrapeRun.objects.get(run_id=self.id)


def command(mail: Mail, name: str, *arguments: str) -> dict[str, Any]:
    output = io.StringIO()
    with override_settings(REALTIME=mail.config), pytest.MonkeyPatch.context() as patch:
        for variable, value in mail.aws.environment.items():
            patch.setenv(variable, value)
        call_command(name, *arguments, "--json", stdout=output, stderr=io.StringIO())
    report: dict[str, Any] = json.loads(output.getvalue().splitlines()[-1])
    return report


def context_of(mail: Mail, must_stop: Callable[[], bool] = lambda: False) -> RunContext:
    return RunContext(mail.config, mail.store, must_stop)
