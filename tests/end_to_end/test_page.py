"""Who may see and do what on the operators' page, and what it says when something is away."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from tests import page_site, scrapes
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
from tests.support import ROOT, run_manage, wait_until

RUN = "4e4f3f0e-0000-4000-8000-000000000001"


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


PATHS = ["/", JURISDICTION_PATH, "/charts/", "/files/", "/runs/", "/parked/", "/file/1/"]
PATHS += ["/file/1/raw/", "/flags/", "/flag/1/", "/imports/", "/import/1/", "/receivers/"]
PATHS += ["/find/?q=hb1", "/bill/ocd-bill/1/", f"/run/{RUN}/", f"/run/{RUN}/finalize/"]


@pytest.mark.parametrize("path", [*PATHS, "/admin/realtime/file/"])
def test_page__not_logged_in__redirected_to_login(site: Site, path: str) -> None:
    assert "/login/" in Browser(site.url).get(path).url


@pytest.mark.parametrize("path", PATHS)
def test_page__visitor_who_is_no_operator__refused(site: Site, path: str) -> None:
    answer = Browser(site.url).log_in(VISITOR).get(path)
    assert answer.status_code == 403
    assert "Only for operators" in answer.text
    assert "Wyoming" not in answer.text


@pytest.mark.parametrize("action", ["retry/", "discard/", "undiscard/"])
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


def test_receivers_page__receiver_that_is_paused__says_how_far_it_is_and_why(
    site: Site, operator: Browser
) -> None:
    assert "Nobody is told of changes" in operator.get("/receivers/").text
    environment = {
        **site.environment,
        "REALTIME_CHANGES_URL": "https://user:hunter2@example.org/hunter2",
    }
    run_manage("receivers_realtime", "--deliver", env=environment)
    run_manage(
        "receivers_realtime", "--pause", "default", "--reason", "a <test>", env=site.environment
    )
    text = operator.get("/receivers/").text
    run_manage("receivers_realtime", "--forget", "default", env=site.environment)
    assert "https://example.org" in text
    assert "a &lt;test&gt;" in text
    assert "hunter2" not in text


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


def test_download__file_of_which_a_newer_upload_has_the_key__is_the_very_version(
    site: Site, operator: Browser
) -> None:
    body = b'{"<script>": 1}'
    key = f"wy/bill_{scrapes.fresh_id()}.json"
    path = site.fail(body, key)
    site.put(key, b"newer")
    answer = operator.get(f"{path}raw/")
    assert answer.content == body
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    name = key.rpartition("/")[2]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    for gone in (key, f"failed/{key}"):
        site.aws.s3.delete_object(Bucket=site.aws.bucket, Key=gone)
    assert operator.get(f"{path}raw/").status_code == 404


def test_file_page__imported_file__its_life_and_what_it_changed(
    site: Site, operator: Browser
) -> None:
    key = site.publish(scrapes.bill("HB 58"))
    site.run()
    [(number,)] = site.rows("SELECT id FROM realtime_file WHERE key = %s", key)
    text = " ".join(re.sub("<[^>]+>", " ", operator.get(f"/file/{number}/").text).split())
    steps = ["Scraped", "Uploaded", "Queued", "Received", "Imported", "Acknowledged", "Archived"]
    life = text[text.index("Its life") :]
    assert [life.index(step) for step in steps] == sorted(life.index(step) for step in steps)
    assert "inserted by this file" in text
    assert "retry_realtime" not in life


def test_pages__nothing_there__not_found_with_a_search_and_a_way_back(
    site: Site, operator: Browser
) -> None:
    for path in ("/file/999999/", "/nowhere/", "/jurisdiction/ocd-jurisdiction/country:xx/x/"):
        page = operator.get(path)
        assert page.status_code == 404
        assert 'role="search"' in page.text and 'href="/">overview</a>' in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    stranger = Browser(site.url).get("/nowhere/")
    assert (stranger.status_code, 'role="search"' in stranger.text) == (404, False)


@pytest.mark.parametrize("path", ["files", "runs", "parked", "failures", "flags", "jurisdiction"])
def test_lists__jurisdiction_that_is_none__say_so(operator: Browser, path: str) -> None:
    where = "/Wyoming/" if path == "jurisdiction" else "/?jurisdiction=Wyoming"
    page = operator.get(f"/{path}{where}")
    assert page.status_code == 404
    assert "No jurisdiction has the id Wyoming." in page.text


def test_pause__jurisdiction_without_files__what_leads_to_it_is_there(
    site: Site, operator: Browser
) -> None:
    nobody = "ocd-jurisdiction/country:xx/government"
    site.rows(
        "INSERT INTO realtime_pause (jurisdiction_id, since, by, reason, resumed_by,"
        " resumed_reason) VALUES (%s, now(), 'ada', 'new', '', '')",
        nobody,
    )
    try:
        for page in (operator.get("/"), operator.get("/controls/")):
            found = set(re.findall(f'href="(/[^"]*{nobody}[^"]*)"', page.text.replace("%3A", ":")))
            assert found
            for path in found:
                assert operator.get(path).status_code == 200, path
    finally:
        site.rows("DELETE FROM realtime_pause WHERE jurisdiction_id = %s", nobody)


def test_page__error_of_ours__is_no_outage(site: Site, operator: Browser) -> None:
    site.rows("ALTER TABLE realtime_action RENAME TO elsewhere")
    try:
        page = operator.get("/actions/")
    finally:
        site.rows("ALTER TABLE elsewhere RENAME TO realtime_action")
    assert page.status_code == 500
    assert "An error of this page" in page.text and 'id="content"' in page.text
    assert "elsewhere" not in page.text and "realtime_action" not in page.text


def test_forms__token_of_before_the_login__refused_in_words(operator: Browser) -> None:
    page = operator.post("/file/1/retry/", token=False)
    assert page.status_code == 403
    assert "The form is out of date" in page.text and 'id="content"' in page.text


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


def test_page__no_queue__retry_puts_the_file_back_and_what_waits_is_counted(site: Site) -> None:
    path = site.fail(untitled("HB 57"))
    without = {**site.environment, "SQS_QUEUE_URL": ""}
    with page_site.serving(without, site.aws) as swept:
        operator = Browser(swept.url).log_in(OPERATOR)
        assert "1 sent again" in operator.post(f"{path}retry/").text

        def overview() -> str:
            return " ".join(re.sub("<[^>]+>", " ", operator.get("/").text).split())

        # Shown for five seconds.
        waiting = "In the store 1 files not yet imported Oldest file"
        assert wait_until(lambda: waiting in overview()), overview()
        assert swept.run()["failed"] == 1


def test_admin__ledger__searched_and_read_but_not_written(site: Site, operator: Browser) -> None:
    key = site.publish(scrapes.bill("HB 56"))
    site.run()
    found = operator.get(f"/admin/realtime/file/?q={key.rpartition('/')[2]}").text
    assert found.count('class="field-key"') == 1
    [change] = re.findall(r'href="(/admin/realtime/file/\d+/change/[^"]*)"', found)
    assert key in operator.get(change).text
    assert operator.get("/admin/realtime/file/add/").status_code == 403
    for model in ("scraperun", "suspect", "raisedflag", "loggedchange", "pause", "operatoraction"):
        assert operator.get(f"/admin/realtime/{model}/?q=x").status_code == 200
        assert operator.get(f"/admin/realtime/{model}/add/").status_code == 403
    shown = set(re.findall(r'href="/admin/(\w+)/\w+/"', operator.get("/admin/").text))
    assert shown == {"auth", "realtime"}, "and none of core's tables, which core registers"


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


@pytest.mark.parametrize("path", ["/", JURISDICTION_PATH, f"/files/?jurisdiction={WYOMING}"])
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
        "TIME_ZONE = 'America/Denver'\n"
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
        "print(client.get('/imports/charts/').content.decode())\n"
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
    told = re.findall(r'<tr data-key="(\d+)"><th scope="row">([^<]+)<', page)
    assert told
    for seconds, said in told:
        assert said == f"{datetime.fromtimestamp(int(seconds), UTC):%a %H:%M}", "all times are UTC"


def test_bill_page__row_of_core__linked_where_a_sites_admin_shows_it_else_its_id(
    site: Site, operator: Browser, tmp_path: Path
) -> None:
    site.publish(scrapes.bill("HB 77"))
    site.run()
    [(bill,)] = site.rows("SELECT id FROM opencivicdata_bill WHERE identifier = 'HB 77'")
    ours = operator.get(f"/bill/{bill}/").text
    assert f'data-copy="id">{bill}<' in ours and "core's row" not in ours
    (tmp_path / "with_admin.py").write_text(
        "from site_settings import *\n"
        "INSTALLED_APPS = ['django.contrib.admin' if app.startswith('realtime.page') else app\n"
        "                  for app in INSTALLED_APPS]\n"
    )
    said = in_process(
        site,
        "import re\n"
        f"page = client.get('/bill/{bill}/').content.decode()\n"
        '[row] = re.findall(\'href="([^"]+)">core.s row<\', page)\n'
        "print(row, client.get(row).status_code)\n",
        DJANGO_SETTINGS_MODULE="with_admin",
        PYTHONPATH=f"{tmp_path}:{ROOT}",
    )
    assert "/data/bill/" in said and said.endswith(" 200\n")


@pytest.mark.parametrize(
    "path",
    [
        "/file/99999999999999999999/",
        "/jurisdiction/%00/",
        "/jurisdiction/x/?window=%00",
        "/flags/?kind=%00&jurisdiction=%00",
        "/files/?jurisdiction=%00&older=%00",
        "/files/?older=0001-01-01T00:00:00%2B14:00~9999999999999999999",
        "/runs/?newer=2026-01-01T00:00:00~1",
        "/parked/?jurisdiction=%00",
        "/flag/99999999999999999999/",
        "/admin/realtime/file/?q=%00",
        "/admin/realtime/suspect/?q=a%00",
        "/find/?q=%00",
        f"/find/?q={'x' * 2000}",
        "/bill/%00/",
        "/bill/?jurisdiction=%00&session=%00&identifier=%00",
        f"/run/{RUN}/finalize/",
    ],
    ids=lambda path: path[:40],
)
def test_pages__address_that_no_row_can_have__not_found_or_nothing_there(
    operator: Browser, path: str
) -> None:
    assert operator.get(path).status_code in (200, 404)
