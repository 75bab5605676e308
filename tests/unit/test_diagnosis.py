"""What Django's fields and core's schemas are asked about a file, and what they are not."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from realtime.domain.scraped_object import read
from realtime.importers.diagnosis import schemas
from realtime.importers.diagnosis.explain import explain, problem_of
from tests import full_scrapes
from tests.bad_input import edit

STAMP = datetime(2031, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def vote_event(pointer: str, value: Any) -> Any:
    data = full_scrapes.full_vote_event(full_scrapes.full_bill())
    edit(data, pointer, value)
    return read("vote_event", json.dumps(data).encode(), STAMP)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2**31, "less than or equal to 2147483647. It is 2147483648."),
        (-1, "greater than or equal to 0. It is -1."),
        ("many", "\u201c'many'\u201d value must be an integer."),
        (float("inf"), "cannot convert float infinity to integer: inf"),
        (None, "counts.0.value is null"),
    ],
)
def test_problem_of__number_that_its_column_cannot_hold__says_the_value(
    value: Any, said: str
) -> None:
    problem = problem_of(vote_event("/counts/0/value", value))
    assert problem is not None
    assert (problem.reason, problem.field) == ("invalid", "counts.0.value")
    assert problem.detail.endswith(said)


def test_problem_of__text_longer_than_its_column__says_both_lengths() -> None:
    problem = problem_of(vote_event("/result", "x" * 51))
    assert problem is not None
    assert (problem.reason, problem.field) == ("too-long", "result")
    assert "at most 50 characters (it has 51)" in problem.detail


def test_problem_of__long_value_that_is_no_number__end_of_sentence_kept() -> None:
    problem = problem_of(vote_event("/counts/0/value", "x" * 5000))
    assert problem is not None
    assert problem.detail.endswith("value must be an integer.")


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("/result", "maybe"), ("/motion_text", ""), ("/sources/0/url", "no address"),
     ("/motion_classification", ["exploded"]), ("/sources", [])],
)  # fmt: skip
def test_problem_of__what_forms_refuse_and_core_imports__none(pointer: str, value: Any) -> None:
    assert problem_of(vote_event(pointer, value)) is None


def test_explain__nothing_that_tables_refuse__what_the_schema_objects_to() -> None:
    problem = explain(TypeError("no reason given"), vote_event("/result", "maybe"))
    assert str(problem).startswith("result: 'maybe' is not one of")


def test_objection__type_without_a_schema__empty() -> None:
    assert schemas.objection("person", {"name": 7}) == ("", "")


def test_import_realtime__before_the_first_bad_file__loads_no_diagnosis() -> None:
    code = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'; django.setup();"
        " import realtime.management.commands.import_realtime, realtime.importers.bulk.applier;"
        " assert not [m for m in sys.modules if m.startswith(('realtime.importers.diagnosis',"
        " 'jsonschema'))]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
