"""The verdict on each page and for machines, and the pages of import runs."""

import html
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from realtime.monitoring.verdict.finding import Kind
from tests import page_site, scrapes
from tests.page_site import JURISDICTION_PATH, OPERATOR, PASSWORD, UNREACHABLE, VISITOR, Site
from tests.support import run_manage, wait_until

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def site(site: Site) -> Iterator[Site]:
    """The site, where a token lets machines in."""
    with page_site.serving({**site.environment, "REALTIME_STATUS_TOKEN": TOKEN}, site.aws) as ours:
        yield ours


def logged_in(site: Site, name: str = OPERATOR) -> requests.Session:
    session = requests.Session()
    session.get(f"{site.url}/login/", timeout=60)
    token = session.cookies["csrftoken"] or ""
    fields = {"username": name, "password": PASSWORD, "csrfmiddlewaretoken": token}
    session.post(f"{site.url}/login/", data=fields, timeout=60)
    return session


def verdict_of(page: requests.Response) -> str:
    [section] = re.findall(r'<section id="verdict".*?</section>', page.text, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", section).split())


def test_verdict__on_every_page__says_what_is_wrong_and_what_mends_it(site: Site) -> None:
    operator = logged_in(site)
    failure = site.fail({**scrapes.bill("HB 5"), "title": None})
    site.rows("DELETE FROM realtime_flag")
    for path in ("/", JURISDICTION_PATH, failure, "/flags/", "/imports/"):
        said = verdict_of(operator.get(f"{site.url}{path}", timeout=60))
        assert "Wyoming: 1 of" in said and "failed in the last hour" in said, path
        assert "retry_realtime --jurisdiction wy" in said
        assert "The last import run began" in said
    run_manage("pause_realtime", "--jurisdiction", "oh", "--reason", "new", env=site.environment)
    assert "Ohio is paused by" in verdict_of(operator.get(f"{site.url}/", timeout=60))
    here = verdict_of(operator.get(f"{site.url}{JURISDICTION_PATH}", timeout=60))
    assert "Ohio" not in here and "1 about other jurisdictions" in here
    run_manage("resume_realtime", "--jurisdiction", "oh", env=site.environment)


def test_verdict__of_each_finding__its_page_is_there(site: Site) -> None:
    operator = logged_in(site)
    site.fail({**scrapes.bill("HB 6"), "title": None})
    found = operator.get(f"{site.url}/status.json", timeout=60).json()["verdict"]["findings"]
    assert found
    for one in found:
        assert operator.get(f"{site.url}/{one['page']}", timeout=60).status_code == 200, one


@pytest.mark.parametrize("kind", [Kind.BEHIND, Kind.AWAY])
def test_verdict__of_the_store_beside_a_queue__page_healthz_command_and_monitor_agree(
    site: Site, tmp_path: Path, kind: Kind
) -> None:
    base = f"file://{tmp_path}/"
    if kind == Kind.BEHIND:
        lost = tmp_path / "wy" / "bill_lost.json"
        lost.parent.mkdir()
        lost.write_text("{}")
        os.utime(lost, (time.time() - 7200,) * 2)
    else:
        base = "s3://there-is-no-such-bucket"
    with page_site.serving({**site.environment, "S3_REALTIME_BASE": base}, site.aws) as ours:
        by_command = run_manage("status_realtime", "--json", env=ours.environment)
        expected = json.loads(by_command.stdout)["verdict"]
        assert kind.value in [one["kind"] for one in expected["findings"]]

        def said_by_the_page() -> list[str]:
            found = requests.get(f"{ours.url}/status.json", headers=BEARER, timeout=60).json()
            return [one["kind"] for one in found["verdict"]["findings"]]

        assert wait_until(
            lambda: said_by_the_page() == [one["kind"] for one in expected["findings"]], 20
        )
        [sentence] = [one["sentence"] for one in expected["findings"] if one["kind"] == kind.value]
        assert sentence in html.unescape(verdict_of(logged_in(ours).get(ours.url, timeout=60)))
        late = run_manage("status_realtime", "--max-age", "30", env=ours.environment, check=False)
        assert (late.returncode == 1) == (kind == Kind.BEHIND)
        health = (503, "bad\n") if expected["level"] == "bad" else (200, "look\n")

        def is_said_by_healthz() -> bool:
            answer = requests.get(f"{ours.url}/healthz", timeout=60)
            return (answer.status_code, answer.text) == health

        assert wait_until(is_said_by_healthz, 20), "an answer holds for five seconds"


@pytest.mark.parametrize("path", ["/login/", "/"])
def test_verdict__strangers_and_visitors__do_not_see_it(site: Site, path: str) -> None:
    who = logged_in(site, VISITOR) if path == "/" else requests.Session()
    assert 'id="verdict"' not in who.get(f"{site.url}{path}", timeout=60).text


def test_machines__without_token_or_staff__only_healthz(site: Site) -> None:
    health = requests.get(f"{site.url}/healthz", timeout=60)
    assert (health.status_code, health.text) in ((200, "ok\n"), (200, "look\n"))
    assert "no-store" in health.headers["Cache-Control"]
    assert not health.cookies
    for path in ("/status.json", "/metrics"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            answer = requests.get(f"{site.url}{path}", headers=headers, timeout=60)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert "Wyoming" not in answer.text
        assert logged_in(site, VISITOR).get(f"{site.url}{path}", timeout=60).status_code == 401
        assert logged_in(site).get(f"{site.url}{path}", timeout=60).status_code == 200
        assert requests.post(f"{site.url}{path}", headers=BEARER, timeout=60).status_code in (
            403, 405,
        )  # fmt: skip


def test_machines__with_the_token__read_status_and_series(site: Site) -> None:
    status = requests.get(f"{site.url}/status.json", headers=BEARER, timeout=60)
    assert status.json()["verdict"]["last_import_run"]
    assert status.json()["queue"]["problem"] is None
    series = requests.get(f"{site.url}/metrics", headers=BEARER, timeout=60)
    assert series.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for kind in Kind:
        assert f'openstates_realtime_verdict{{kind="{kind}"}} ' in series.text
    assert re.search(r"^openstates_realtime_last_import_run_timestamp_seconds \d{10}", series.text,
                     re.MULTILINE)  # fmt: skip


def test_machines__database_away__are_told(site: Site) -> None:
    def healthy() -> bool:
        health = requests.get(f"{site.url}/healthz", timeout=60)
        return (health.status_code, health.text) != (503, "bad\n")

    with site.database_away():
        assert wait_until(lambda: not healthy()), "an answer holds for five seconds"
        status = requests.get(f"{site.url}/status.json", headers=BEARER, timeout=60)
        series = requests.get(f"{site.url}/metrics", headers=BEARER, timeout=60)
    assert wait_until(healthy)
    assert status.status_code == 503
    assert [one["kind"] for one in status.json()["verdict"]["findings"]] == ["database-away"]
    assert series.status_code == 200
    assert 'openstates_realtime_verdict{kind="database-away"} 2' in series.text
    assert "not currently accepting" not in status.text + series.text


def test_healthz__asked_by_the_host_itself__answers_whatever_names_others_use(site: Site) -> None:
    asked = (
        ("/healthz", {"HTTP_HOST": "127.0.0.1:8000"}),
        ("/healthz", {"HTTP_HOST": "localhost"}),
        ("/healthz", {"HTTP_HOST": "imports.example.org", "REMOTE_ADDR": "198.51.100.7"}),
        ("/healthz", {"HTTP_HOST": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "198.51.100.7"}),
        ("/healthz", {"HTTP_HOST": "127.0.0.1", "REMOTE_ADDR": "198.51.100.7"}),
        ("/healthz", {"HTTP_HOST": "elsewhere.example.org"}),
        ("/login/", {"HTTP_HOST": "127.0.0.1"}),
    )
    said = page_site.in_process(
        site,
        "settings.ALLOWED_HOSTS = ['imports.example.org']\n"
        f"for path, meta in {asked!r}:\n"
        "    print(client.get(path, **meta).status_code == 400)\n",
        REALTIME_PAGE_HOSTS="imports.example.org",
    )
    assert said.split() == ["False"] * 3 + ["True"] * 4


@pytest.mark.parametrize("last", ["0014", "zero"])
def test_pages_and_machines__migration_missing__say_which_and_the_command(
    site: Site, last: str
) -> None:
    operator = logged_in(site)
    run_manage("migrate", "realtime", last, env=site.environment)

    def healthy() -> bool:
        return requests.get(f"{site.url}/healthz", timeout=60).status_code == 200

    try:
        assert wait_until(lambda: not healthy()), "an answer holds for five seconds"
        status = requests.get(f"{site.url}/status.json", headers=BEARER, timeout=60)
        series = requests.get(f"{site.url}/metrics", headers=BEARER, timeout=60)
        paths = ("/", "/controls/", "/imports/", "/flags/", JURISDICTION_PATH, "/receivers/")
        pages = [operator.get(f"{site.url}{path}", timeout=60) for path in paths]
    finally:
        run_manage("migrate", "realtime", env=site.environment)
    assert wait_until(healthy)
    assert status.status_code == 503
    [finding] = status.json()["verdict"]["findings"]
    assert finding["kind"] == "migrations-missing"
    assert series.status_code == 200
    assert 'openstates_realtime_verdict{kind="migrations-missing"} 2' in series.text
    for page in pages:
        assert "tables are older than this release" in page.text, page.url
        assert "python manage.py migrate realtime" in page.text
    assert pages[-1].status_code == 503, "it needs the table that is missing"
    assert last == "0014" or {page.status_code for page in pages} == {503}


def test_pages__queue_away__render_and_say_so(site: Site) -> None:
    environment = {**site.environment, "AWS_ENDPOINT_URL": UNREACHABLE}
    with page_site.serving(environment, site.aws) as without_aws:
        operator = logged_in(without_aws)
        page = operator.get(f"{without_aws.url}/imports/", timeout=60)
        assert page.status_code == 200
        assert "The state of the queue is unknown" in verdict_of(page)


def test_imports_pages__run_that_imported__listed_with_its_own_page(site: Site) -> None:
    operator = logged_in(site)
    site.publish(scrapes.bill("HB 7"))
    site.run()
    [(row, host)] = site.rows(
        "SELECT id, host FROM realtime_import_run WHERE way = 'queue' ORDER BY id DESC LIMIT 1"
    )
    text = operator.get(f"{site.url}/imports/", timeout=60).text
    assert f'href="/import/{row}/"' in text and "1 received: 1" in text and host in text
    page = operator.get(f"{site.url}/import/{row}/", timeout=60).text
    for said in ("messages of the queue", "inserted", "ReceiveMessage", "receive", host):
        assert said in page
    assert operator.get(f"{site.url}/import/999999/", timeout=60).status_code == 404


def test_imports_page__more_runs_than_a_page_and_one_row_that_goes_on__each_is_reached(
    site: Site,
) -> None:
    operator = logged_in(site)
    before = site.rows("SELECT id FROM realtime_import_run")
    # The row with the smallest id is of a run that began last but many.
    site.rows(
        "INSERT INTO realtime_import_run (way, host, request_id, process_id, backend_pid,"
        " import_run_id, runs, started_at, began_at, ended_at, is_idle, counts, seconds, requests,"
        " statements, cpu_seconds, error)"
        " SELECT 'sweep', 'here', '', 1, 1, 'x', 1, began_at, began_at, began_at, true,"
        " '{}', '{}', '{}', 0, 0, '' FROM generate_series(0, 120) AS number,"
        " LATERAL (SELECT now() - interval '1 min' * (CASE number WHEN 0 THEN 20 ELSE 121 - number"
        " END)) AS one (began_at) ORDER BY number"
    )
    reached: list[str] = []
    address, pages = "/imports/", 0
    while address:
        page = operator.get(f"{site.url}{address}", timeout=60).text
        reached += re.findall(r'href="/import/(\d+)/"', page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        address, pages = f"/imports/{older[1].replace('&amp;', '&')}" if older else "", pages + 1
    assert pages == 3
    assert len(reached) == len({*reached}) == len(before) + 121
    site.rows("DELETE FROM realtime_import_run WHERE way = 'sweep'")
