"""Who may see and do what on the operators' page, and what it says when something is away."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests import page_site, scrapes
from tests.fault_proxy import AwsProxy, after, on, refusal
from tests.page_site import (
    JURISDICTION_PATH,
    OPERATOR,
    PASSWORD,
    UNREACHABLE,
    VISITOR,
    WYOMING,
    Site,
    in_process,
)
from tests.support import ROOT, run_manage


class Browser:
    """As much of a browser as forms need."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.url}{path}", timeout=60)

    def post(self, path: str, token: bool = True, **fields: str) -> requests.Response:
        if token:
            fields["csrfmiddlewaretoken"] = self.session.cookies["csrftoken"] or ""
        return self.session.post(f"{self.url}{path}", data=fields, timeout=60)

    def log_in(self, name: str) -> "Browser":
        self.get("/login/")
        self.post("/login/", username=name, password=PASSWORD)
        return self


@pytest.fixture
def operator(site: Site) -> Browser:
    return Browser(site.url).log_in(OPERATOR)


@pytest.fixture(scope="module")
def without_aws(site: Site) -> Iterator[Site]:
    """The same site, where AWS does not answer."""
    environment = {**site.environment, "AWS_ENDPOINT_URL": UNREACHABLE}
    with page_site.serving(environment, site.aws) as running:
        yield running


def untitled(identifier: str) -> dict[str, object]:
    return {**scrapes.bill(identifier), "title": None}


@pytest.mark.parametrize(
    "path", ["/", JURISDICTION_PATH, "/file/1/", "/flags/", "/flag/1/", "/admin/realtime/file/"]
)
def test_page__not_logged_in__redirected_to_login(site: Site, path: str) -> None:
    assert "/login/" in Browser(site.url).get(path).url


@pytest.mark.parametrize("path", ["/", JURISDICTION_PATH, "/file/1/", "/flags/", "/flag/1/"])
def test_page__visitor_who_is_no_operator__refused(site: Site, path: str) -> None:
    answer = Browser(site.url).log_in(VISITOR).get(path)
    assert answer.status_code == 403
    assert "Only for operators" in answer.text
    assert "Wyoming" not in answer.text


@pytest.mark.parametrize("action", ["retry/", "retry-alike/", "discard/"])
def test_actions__not_an_operators_post__do_nothing(site: Site, action: str) -> None:
    path = site.fail(untitled("HB 50"))
    operator = Browser(site.url).log_in(OPERATOR)
    assert operator.get(path + action).status_code == 405
    assert operator.post(path + action, token=False, note="no").status_code == 403
    assert Browser(site.url).log_in(VISITOR).post(path + action, note="no").status_code == 403
    assert "/login/" in Browser(site.url).log_in("nobody").post(path + action, note="no").url
    [(outcome, discarded)] = site.rows(
        "SELECT outcome, discarded_at FROM realtime_file WHERE id = %s", path.split("/")[2]
    )
    assert (outcome, discarded) == ("failed", None)


def test_discard__without_a_note__refused(site: Site, operator: Browser) -> None:
    path = site.fail(untitled("HB 51"))
    answer = operator.post(f"{path}discard/", note="  ")
    assert "Say in a note" in answer.text
    assert site.rows(
        "SELECT discarded_at FROM realtime_file WHERE id = %s", path.split("/")[2]
    ) == [(None,)]


def flagged(site: Site, *bills: dict[str, object]) -> str:
    """Import these bills, one after the other; returns the path of the flag that this raises."""
    known = {id for (id,) in site.rows("SELECT id FROM realtime_flag WHERE kind <> 'unmatched'")}
    for bill in bills:
        site.publish(bill)
        site.run()
    found = site.rows("SELECT id FROM realtime_flag WHERE kind <> 'unmatched'")
    [number] = {id for (id,) in found} - known
    return f"/flag/{number}/"


def test_flag_page__row_that_shrank__shows_what_it_had_and_its_file(
    site: Site, operator: Browser
) -> None:
    rich = scrapes.bill("HB 71", actions=7)
    poor = scrapes.bill("HB 71", title="Poorer <b>", actions=0)
    path = flagged(site, rich, poor)
    text = operator.get(path).text
    assert "HB 71 of 2031" in text
    assert re.search(r"actions</th>.*?>7</td>.*?>0</td>", text)
    assert str(poor["_id"]) in text
    assert "Poorer &lt;b&gt;" in text
    assert "<strong>updated</strong>" in text, "the row's changes"
    listed = operator.get(f"/flags/?kind=shrunk&jurisdiction={WYOMING}").text
    assert path in listed
    assert path not in operator.get("/flags/?kind=collision").text
    assert 'href="/flags/"' in operator.get("/").text


def test_flag_page__two_files__side_by_side(site: Site, operator: Browser) -> None:
    path = flagged(site, scrapes.bill("HB 72`", title="First"))
    other = scrapes.bill("HB 73", title="Second")
    site.publish(other)
    site.run()
    site.rows(
        "UPDATE realtime_flag SET (other_file_id, other_key) ="
        " (SELECT id, key FROM realtime_file WHERE scrape_id = %s) WHERE id = %s",
        other["_id"], path.split("/")[2],
    )  # fmt: skip
    text = operator.get(path).text
    assert text.index("First") < text.index("The other file") < text.index("Second")


def test_resolve__only_an_operators_post_with_a_note__resolves(
    site: Site, operator: Browser
) -> None:
    path = flagged(site, scrapes.bill("HB 74`"))
    by_id = "SELECT resolved_by, resolution FROM realtime_flag WHERE id = %s"

    def state() -> list[tuple[str, str]]:
        return site.rows(by_id, path.split("/")[2])

    assert operator.get(f"{path}resolve/").status_code == 405
    assert operator.post(f"{path}resolve/", token=False, note="no").status_code == 403
    visitor = Browser(site.url).log_in(VISITOR)
    assert visitor.post(f"{path}resolve/", note="no").status_code == 403
    assert "Say in a note" in operator.post(f"{path}resolve/", note=" ").text
    assert state() == [("", "")]
    text = operator.post(f"{path}resolve/", note="so it is written").text
    assert "Resolved." in text
    assert "resolve: so it is written" in text, "in its history"
    assert state() == [(OPERATOR, "so it is written")]
    assert "not open any more" in operator.post(f"{path}resolve/", note="again").text


def test_overview__paused_jurisdiction__says_who_and_why(site: Site, operator: Browser) -> None:
    run_manage(
        "pause_realtime", "--jurisdiction", "wy", "--reason", "a <test>", env=site.environment
    )
    try:
        text = operator.get("/").text
    finally:
        run_manage("resume_realtime", "--jurisdiction", "wy", env=site.environment)
    assert "a &lt;test&gt;" in text
    assert "a &lt;test&gt;" not in operator.get("/").text


def test_failure_page__what_strangers_wrote__is_text(site: Site, operator: Browser) -> None:
    hostile = "</pre><script>alert(1)</script>\u202e"
    path = site.fail({**untitled("HB 52"), "extras": {hostile: hostile}})
    text = operator.get(path).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in text


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe\x00", b'{"title": ', b"[" * 100_000, b'{"a": %s}' % (b"9" * 5000)],
    ids=["empty", "bytes", "cut off", "deep", "a long number"],
)
def test_failure_page__file_that_is_no_json__shown_as_it_is(
    site: Site, operator: Browser, body: bytes
) -> None:
    path = site.fail(body, f"wy/bill_{scrapes.fresh_id()}.json")
    answer = operator.get(path)
    assert answer.status_code == 200
    assert "bad-json" in answer.text


def test_failure_page__message_that_named_no_file__shown_with_its_field(
    site: Site, operator: Browser
) -> None:
    site.aws.sqs.send_message(QueueUrl=site.aws.queue_url, MessageBody='{"bucket": 7}')
    assert site.run()["failed"] == 1
    [(number,)] = site.rows("SELECT max(id) FROM realtime_file")
    text = operator.get(f"/file/{number}/").text
    assert "The message named no file" in text
    assert "bad-message" in text


def test_failure_page__large_file__not_read_into_the_page(site: Site, operator: Browser) -> None:
    path = site.fail({**untitled("HB 53"), "extras": {"much": "x" * 1_100_000}})
    text = operator.get(path).text
    assert "too large to show" in text
    assert len(text) < 50_000


def test_pages__nothing_there__not_found(operator: Browser) -> None:
    assert operator.get("/file/999999/").status_code == 404
    assert operator.get("/jurisdiction/ocd-jurisdiction/country:xx/government/").status_code == 404


def test_page__aws_is_away__says_so_and_shows_the_ledger(without_aws: Site, site: Site) -> None:
    path = site.fail(untitled("HB 54"))
    operator = Browser(without_aws.url).log_in(OPERATOR)
    overview = operator.get("/").text
    assert "SQS cannot be reached" in overview
    assert "Wyoming" in overview
    failure = operator.get(path).text
    assert "The file cannot be shown" in failure
    assert "title is null" in failure


def test_retry__aws_is_away__says_so_and_loses_nothing(without_aws: Site, site: Site) -> None:
    path = site.fail(untitled("HB 55"))
    answer = Browser(without_aws.url).log_in(OPERATOR).post(f"{path}retry/")
    assert "nothing is lost" in answer.text
    before = site.rows("SELECT outcome FROM realtime_file WHERE id = %s", path.split("/")[2])
    assert before == [("failed",)]
    answer = Browser(site.url).log_in(OPERATOR).post(f"{path}retry/")
    assert "1 sent again" in answer.text
    assert site.run()["failed"] == 1


def test_retry_all__queue_lost_half_way__says_and_records_what_was_sent(
    site: Site, proxy: AwsProxy
) -> None:
    for number in range(12):
        site.publish(untitled(f"HB 6{number}"))
    assert site.run()["failed"] == 12
    [(number,)] = site.rows("SELECT max(id) FROM realtime_file WHERE outcome = 'failed'")
    first = on("SendMessageBatch", fault=after(lambda: None), times=1)
    lost = on("SendMessageBatch", fault=refusal(403, "AccessDenied"))
    proxy.rule = lambda request: first(request) or lost(request)
    environment = {**site.environment, "AWS_ENDPOINT_URL": proxy.endpoint}
    with page_site.serving(environment, site.aws) as slow:
        answer = Browser(slow.url).log_in(OPERATOR).post(f"/file/{number}/retry-alike/")
    done = re.compile("10 sent again, [0-9]+ cannot be retried yet")
    assert done.search(answer.text)
    assert "nothing is lost" in answer.text
    [(recorded,)] = site.rows(
        "SELECT change_message FROM django_admin_log ORDER BY id DESC LIMIT 1"
    )
    assert done.search(recorded)


def test_admin__ledger__searched_and_read_but_not_written(site: Site, operator: Browser) -> None:
    key = site.publish(scrapes.bill("HB 56"))
    site.run()
    found = operator.get(f"/admin/realtime/file/?q={key.rpartition('/')[2]}").text
    assert found.count('class="field-key"') == 1
    [change] = re.findall(r'href="(/admin/realtime/file/\d+/change/[^"]*)"', found)
    assert key in operator.get(change).text
    assert operator.get("/admin/realtime/file/add/").status_code == 403
    for model in ("scraperun", "suspect"):
        assert operator.get(f"/admin/realtime/{model}/").status_code == 200


def test_runserver__no_secret_key__says_so(site: Site) -> None:
    environment = {**site.environment, "SECRET_KEY": ""}
    result = run_manage("runserver", env=environment, check=False)
    assert result.returncode == 1
    assert result.stderr.strip().endswith("let it be long, random and kept")


def test_check__site_for_other_machines__finds_nothing_to_warn_of(site: Site) -> None:
    environment = {**site.environment, "REALTIME_PAGE_HOSTS": "imports.example.org"}
    command = ("check", "--settings", "site_settings", "--deploy", "--tag", "security")
    result = run_manage(*command, "--fail-level", "WARNING", env=environment)
    assert "no issues" in result.stdout


def test_page__database_is_away__says_so_until_it_is_back(site: Site) -> None:
    operator = Browser(site.url).log_in(OPERATOR)
    with site.database_away():
        answer = operator.get("/")
        assert answer.status_code == 503
        assert "The database does not answer" in answer.text
    assert operator.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/", JURISDICTION_PATH])
def test_pages__much_or_little_to_show__ask_the_database_as_often(site: Site, path: str) -> None:
    count = (
        "from django.db import connection\n"
        "from django.test.utils import CaptureQueriesContext\n"
        "with CaptureQueriesContext(connection) as asked:\n"
        f"    assert client.get('{path}').status_code == 200\n"
        "print(len(asked))"
    )
    site.fail(untitled("HB 57"))
    few = in_process(site, count)
    added = [f"ocd-jurisdiction/country:us/district:{n}/government" for n in range(30)]
    columns = [name for (name,) in site.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'realtime_file'"
        " AND column_name NOT IN ('id', 'key', 'jurisdiction_id')"
    )]  # fmt: skip
    site.rows(
        f"INSERT INTO realtime_file (key, jurisdiction_id, {', '.join(columns)})"
        f" SELECT key || jurisdiction, jurisdiction, {', '.join(columns)}"
        " FROM realtime_file, unnest(%s) AS jurisdiction WHERE key NOT LIKE 'message:%%'",
        added,
    )
    assert in_process(site, count) == few
    site.rows("DELETE FROM realtime_file WHERE jurisdiction_id = ANY(%s)", added)


def test_page__mounted_in_another_site__works_at_its_place(site: Site, tmp_path: Path) -> None:
    (tmp_path / "theirs.py").write_text(
        "from site_settings import *\n"
        "ROOT_URLCONF, LOGIN_URL = 'their_urls', '/in/'\n"
        "STATIC_URL = 'https://static.example.org/'\n"
    )
    (tmp_path / "their_urls.py").write_text(
        "from django.urls import include, path\n"
        "urlpatterns = [path('imports/', include('realtime.urls'))]\n"
    )
    said = in_process(
        site,
        "answer = client.get('/imports/')\n"
        "print(Client().get('/imports/')['Location'])\n"
        "print(answer['Content-Security-Policy'])\n"
        "print(answer.content.decode())\n",
        DJANGO_SETTINGS_MODULE="theirs",
        PYTHONPATH=f"{tmp_path}:{ROOT}",
    )
    login, policy, page = said.split("\n", 2)
    assert login == "/in/?next=/imports/"
    assert "script-src https://static.example.org" in policy
    assert f'href="/imports{JURISDICTION_PATH}"' in page
    assert 'src="https://static.example.org/realtime/live.js"' in page
    assert "Ledger" not in page


@pytest.mark.parametrize(
    "path",
    [
        "/file/99999999999999999999/",
        "/jurisdiction/%00/",
        "/jurisdiction/x/?reason=%00",
        "/flags/?kind=%00&jurisdiction=%00",
        "/flag/99999999999999999999/",
        "/admin/realtime/file/?q=%00",
        "/admin/realtime/suspect/?q=a%00",
    ],
    ids=["number", "jurisdiction", "reason", "flags", "flag", "search", "message"],
)
def test_pages__address_that_no_row_can_have__not_found_or_nothing_there(
    operator: Browser, path: str
) -> None:
    assert operator.get(path).status_code in (200, 404)
