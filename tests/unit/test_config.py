"""Settings: what is read, and what is said of a wrong one."""

import re
import traceback
from pathlib import Path

import pytest

from realtime.domain.config import VARIABLES, Bucket, load, parse_base
from realtime.domain.errors import ConfigurationError

README = Path(__file__).resolve().parents[2] / "README.md"


def test_load__nothing_set__defaults() -> None:
    config = load({})
    assert (config.max_messages, config.max_workers, config.visibility_timeout) == (300, 10, 300)
    assert (config.max_receives, config.max_file_bytes) == (10, 25_000_000)
    assert config.file_archiving_enabled


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("s3://bucket", Bucket("bucket")),
        ("s3://bucket/", Bucket("bucket")),
        ("s3://bucket/some/prefix", Bucket("bucket", "some/prefix/")),
        ("gs://bucket/some/prefix", Bucket("gs://bucket", "some/prefix/")),
        ("file:///srv/open%20states/", Bucket("/srv/open states")),
        ("file://localhost/srv//realtime/./", Bucket("/srv/realtime")),
    ],
)
def test_parse_base__forms_in_use__understood(base: str, expected: Bucket) -> None:
    assert parse_base(base) == expected
    assert parse_base(expected.url) == expected


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("s3://bucket/pre", "s3://bucket/pre/wy/1.json"),
        ("gs://bucket/pre", "gs://bucket/pre/wy/1.json"),
        ("file:///srv/a b", "file:///srv/a%20b/wy/1.json"),
    ],
)
def test_bucket__url_of_a_key__names_the_object(base: str, url: str) -> None:
    bucket = parse_base(base)
    assert bucket.url_of(f"{bucket.prefix}wy/1.json") == url


def test_bucket__same_name_at_two_providers__are_two_places() -> None:
    names = {parse_base(f"{scheme}://bucket").name for scheme in ("s3", "gs")}
    assert len(names) == 2


def test_load__two_names_of_one_setting__either_but_not_two_values() -> None:
    assert load({"REALTIME_BASE": "gs://bucket"}).bucket == Bucket("gs://bucket")
    assert load({"S3_REALTIME_BASE": "s3://b", "REALTIME_BASE": "s3://b"}).bucket == Bucket("b")
    with pytest.raises(ConfigurationError, match="'s3://a' and REALTIME_BASE 'gs://b'"):
        load({"S3_REALTIME_BASE": "s3://a", "REALTIME_BASE": "gs://b"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REALTIME_MAX_WORKERS", "0"),
        ("REALTIME_MAX_MESSAGES", "many"),
        ("REALTIME_VISIBILITY_TIMEOUT", "43201"),
        ("FILE_ARCHIVING_ENABLED", "perhaps"),
        ("REALTIME_ARCHIVE", "perhaps"),
    ],
)
def test_load__wrong_value__named_with_its_variable(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is '{value}'"):
        load({name: value})


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "mysql://u:hunter2@host/name",
        "postgres://u:hunter2/x@host/name",
        "postgres://u:hunter2?x@host/name",
        "postgres://u:1/hunter2@host/name",
        "postgres://u:1?hunter2@host/name",
        "postgres://u:[hunter2@host/name",
        "postgres://u:p@host:hunter2/name",
    ],
)
def test_load__database_url_that_cannot_be_read__named_without_what_may_be_the_password(
    url: str,
) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL is no postgres://") as caught:
        load({"DATABASE_URL": url})
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_load__special_characters_escaped__are_the_password() -> None:
    config = load({"DATABASE_URL": "postgresql://u:%2F%3F%23%40@host:5433/name?sslmode=disable"})
    assert config.database_url == "postgres://u:%2F%3F%23%40@host:5433/name?sslmode=disable"


@pytest.mark.parametrize(
    "base",
    [
        *("", "s3://", "gs://", "https://bucket", "gs://s3://x", "file://", "file:///"),
        *("file://srv/x", "file:///srv/../etc", "file:///srv/%2e%2e/etc", "file:///srv/a%00b"),
    ],
)
def test_parse_base__no_bucket__named(base: str) -> None:
    with pytest.raises(ConfigurationError, match="S3_REALTIME_BASE"):
        parse_base(base)


@pytest.mark.parametrize("base", ["my-bucket/prefix", "my-bucket"])
def test_parse_base__no_scheme__says_how_to_write_it(base: str) -> None:
    with pytest.raises(ConfigurationError, match=f"S3_REALTIME_BASE.*: write s3://{base}$"):
        parse_base(base)


def test_parse_base__path_without_scheme__says_how_to_write_it() -> None:
    with pytest.raises(ConfigurationError, match=r"without file://: write file:///srv/x$"):
        parse_base("/srv/x")


@pytest.mark.parametrize("base", ["file:/srv/x", "file:srv/x"])
def test_parse_base__folder_with_too_few_slashes__not_taken_for_a_bucket(base: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{base}': write file:///path/to/folder"):
        parse_base(base)


@pytest.mark.parametrize("name", [variable.name for variable in VARIABLES])
def test_readme__each_setting__listed(name: str) -> None:
    assert f"`{name}`" in README.read_text()


DELIVERY = README.parent / "docs" / "delivery.md"


def test_delivery_page__each_test_it_names__exists() -> None:
    tests = "".join(path.read_text() for path in (README.parent / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", DELIVERY.read_text())
    assert len(named) > 20
    assert [name for name in named if f"def {name}(" not in tests] == []
