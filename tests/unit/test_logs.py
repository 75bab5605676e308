"""How log lines look, and whose they say they are."""

import json
import logging
import logging.config
import re
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from realtime.consumer.visibility import Lease
from realtime.devstack.memory import MemoryQueue
from realtime.domain import config
from realtime.domain.errors import ConfigurationError, Unavailable
from realtime.process import logs
from realtime.process.threads import Threads


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, ("realtime", "openstates", "botocore", "urllib3"))]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, error = capsys.readouterr()
    assert out == "", "standard output is for reports"
    return error.splitlines()


def configure(form: str, level: str = "INFO") -> logging.Logger:
    logging.config.dictConfig(logs.configuration(form, level, "CRITICAL"))
    return logging.getLogger("realtime.test")


def test_json__line_with_fields__one_object_with_constant_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_id = uuid.uuid4()
    configure(logs.JSON).info(
        "file done", extra={"outcome": "inserted", "run_id": run_id, "field": "", "count": 0}
    )
    [line] = said(capsys)
    found = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("timestamp"))
    assert found == {
        "level": "INFO",
        "logger": "realtime.test",
        "message": "file done",
        "outcome": "inserted",
        "run_id": str(run_id),
        "count": 0,
    }


@pytest.mark.parametrize("text", ["two\nlines", 'a "quote"', "Peña", "lone \udc80", "\x1b[31m"])
def test_json__odd_text_in_a_field__still_one_line_that_says_it(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(logs.JSON).warning("file failed", extra={"detail": text})
    [line] = said(capsys)
    assert json.loads(line)["detail"] == text


def test_json__exception__traceback_is_a_field_of_the_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        configure(logs.JSON).exception("batch broke")
    [line] = said(capsys)
    found = json.loads(line)
    assert found["message"] == "batch broke"
    assert found["traceback"].startswith("Traceback")
    assert found["traceback"].endswith("ValueError: two\nlines")


def test_text__line_with_fields__they_follow_the_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(logs.TEXT).warning(
        "file failed", extra={"key": "wy/bill_1.json", "detail": "no\n title", "files": 3}
    )
    [line] = said(capsys)
    assert line.endswith(
        r' WARNING realtime.test: file failed key=wy/bill_1.json detail="no\n title" files=3'
    )


def test_text__exception__traceback_below(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        configure(logs.TEXT).exception("batch broke")
    first, *rest = said(capsys)
    assert first.endswith("batch broke")
    assert (rest[0], rest[-1]) == ("Traceback (most recent call last):", "ValueError: odd")


@pytest.mark.parametrize("form", [logs.JSON, logs.TEXT])
def test_log_context__in_the_block_and_its_threads__and_not_after(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = configure(form)
    with logs.log_context(request_id="outer"), logs.log_context(import_run_id="inner"):
        logger.info("here")
        with Threads(2) as threads:
            list(threads.map(lambda number: logger.info("there", extra={"n": number}), range(4)))
    logger.info("after")
    *inside, after = said(capsys)
    assert len(inside) == 5
    assert all("outer" in line and "inner" in line for line in inside)
    assert "outer" not in after and "inner" not in after


def test_lease__renewal_fails__its_thread_says_so_in_the_name_of_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Refusing(MemoryQueue):
        def change_visibility(self, *arguments: Any) -> set[str]:
            refused.set()
            raise Unavailable("SQS cannot be reached")

    refused = threading.Event()
    configure(logs.JSON)
    with logs.log_context(import_run_id="this"), Lease(Refusing(), 1):
        assert refused.wait(15)
    [line] = map(json.loads, said(capsys))
    assert (line["import_run_id"], line["cause"]) == ("this", "SQS cannot be reached")


@pytest.mark.parametrize("name", ["boto3", "botocore.hooks", "s3transfer.tasks", "urllib3"])
def test_configuration__debug__nothing_of_aws_libraries_below_a_warning(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(logs.JSON, "DEBUG").debug("ours")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logging.getLogger(name).log(level, "theirs")
    found = [json.loads(line) for line in said(capsys)]
    assert [(line["message"], line["level"]) for line in found] == [
        ("ours", "DEBUG"),
        ("theirs", "WARNING"),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("REALTIME_LOG_FORMAT", "xml"), ("REALTIME_LOG_LEVEL", "loud"), ("OPENSTATES_LOG_LEVEL", "1")],
)
def test_load__wrong_value__named_with_what_to_write(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is '{value}': write "):
        config.load({name: value})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("", "INFO", "CRITICAL")),
        ({"REALTIME_LOG_FORMAT": "JSON", "REALTIME_LOG_LEVEL": "debug"}, ("json", "DEBUG", None)),
    ],
)
def test_load__log_settings__read_in_any_case(environ: dict[str, str], expected: Any) -> None:
    found = config.load(environ)
    assert (found.log_format, found.log_level) == expected[:2]
    assert found.core_log_level == (expected[2] or "CRITICAL")
