"""Groups of failures and flags, what is done to one, to chosen ones and to all; roles; controls."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests import page_site, scrapes
from tests.fault_proxy import AwsProxy, after, on, refusal
from tests.page_site import OPERATOR, PASSWORD, VISITOR, WYOMING, Site, in_process
from tests.support import run_manage

LOOKER = "lou"


class Browser:
    """As much of a browser as forms need."""

    def __init__(self, site: Site, name: str = OPERATOR) -> None:
        self.url, self.session = site.url, requests.Session()
        self.get("/login/")
        self.post("/login/", username=name, password=PASSWORD)

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"{self.url}{path}", timeout=60)

    def post(self, path: str, **fields: Any) -> requests.Response:
        fields["csrfmiddlewaretoken"] = self.session.cookies["csrftoken"] or ""
        return self.session.post(f"{self.url}{path}", data=fields, timeout=60)

    def propose(self, do: str, **fields: Any) -> str:
        """Propose an action; returns the path of its page, which asks whether it is meant."""
        answer = self.post("/actions/propose/", do=do, **fields)
        assert re.fullmatch(f"{self.url}/action/\\d+/", answer.url), answer.url
        return answer.url.removeprefix(self.url)


def told(answer: requests.Response) -> str:
    """The text of a page."""
    return " ".join(re.sub("<[^>]+>", " ", answer.text).split())


def results(answer: requests.Response) -> dict[str, int]:
    """What an action's page says that came of it."""
    return results_in(answer.text)


def results_in(page: str) -> dict[str, int]:
    found = re.findall(r'<dt>([^<]+)</dt><dd class="figure">([\d,]+)</dd>', page)
    return {name: int(number.replace(",", "")) for name, number in found}


def untitled(identifier: str) -> dict[str, Any]:
    return {**scrapes.bill(identifier), "title": None}


@pytest.fixture
def operator(site: Site) -> Browser:
    return Browser(site)


@pytest.fixture
def failed(site: Site) -> Callable[[int], list[int]]:
    """Makes so many files fail alike, and all others forgotten; returns their ids."""

    def fail(number: int) -> list[int]:
        site.rows("DELETE FROM realtime_file WHERE outcome = 'failed'")
        for n in range(number):
            site.publish(untitled(f"HB {n}"))
        assert site.run()["failed"] == number
        found = site.rows("SELECT id FROM realtime_file WHERE outcome = 'failed' ORDER BY id")
        return [id for (id,) in found]

    return fail


def alike(site: Site, file_id: int) -> str:
    [(alike,)] = site.rows("SELECT alike FROM realtime_file WHERE id = %s", file_id)
    return str(alike)


def outcomes(site: Site, ids: list[int]) -> list[str]:
    found = site.rows("SELECT outcome FROM realtime_file WHERE id = ANY(%s) ORDER BY id", ids)
    return [outcome for (outcome,) in found]


def mend(site: Site, ids: list[int]) -> None:
    """Give these failed files a title."""
    found = site.rows("SELECT id, scrape_id FROM realtime_file WHERE id = ANY(%s)", ids)
    for number, scrape_id in found:
        bill = {**scrapes.bill(f"HB {number}"), "_id": scrape_id}
        site.put(f"failed/wy/bill_{scrape_id}.json", bill)


def test_failures__alike_but_for_names__one_group_with_its_files(
    site: Site, operator: Browser, failed: Callable[[int], list[int]]
) -> None:
    ids = failed(3)
    overview = operator.get("/").text
    assert re.search('href="/failures/">Failed</a></h2><p class="figure">3<', overview)
    page = operator.get("/failures/")
    assert "3 files in 1 group" in told(page)
    assert "invalid at title" in told(page)
    [group] = set(re.findall(r'href="(/failures/[0-9a-f]{16}/)"', page.text))
    assert alike(site, ids[0]) in group
    files = operator.get(f"{group}?jurisdiction={WYOMING}").text
    assert all(f'href="/file/{id}/"' in files for id in ids)
    assert "No failures here" in told(operator.get("/failures/?reason=gone"))
    assert operator.get("/failures/nonsense/").status_code == 404
    assert "No file is in this group" in operator.get(f"/failures/{'0' * 16}/").text


def test_retry_all__queue_lost_half_way__result_is_true_and_going_on_sends_the_rest(
    site: Site, proxy: AwsProxy, failed: Callable[[int], list[int]]
) -> None:
    ids = failed(12)
    first = on("SendMessageBatch", fault=after(lambda: None), times=1)
    lost = on("SendMessageBatch", fault=refusal(403, "AccessDenied"))
    proxy.rule = lambda request: first(request) or lost(request)
    environment = {**site.environment, "AWS_ENDPOINT_URL": proxy.endpoint}
    with page_site.serving(environment, site.aws) as slow:
        operator = Browser(slow)
        action = operator.propose("retry:all", alike=alike(site, ids[0]), jurisdiction=WYOMING)
        asked = operator.get(action)
        assert "Retry 12 files of Wyoming that failed as invalid at title: title is null?" in told(
            asked
        )
        assert outcomes(site, ids) == ["failed"] * 12, "nothing before it is confirmed"
        mend(site, ids[:4])
        answer = operator.post(f"{action}go/")
    assert "nothing is lost" in answer.text
    sent = "sent again, waiting for the next import run"
    unsent = "put back, but no message was sent: go on"
    assert results(answer) == {unsent: 2, sent: 10}
    operator = Browser(site)
    answer = operator.post(f"{action}go/")
    assert results(answer) == {sent: 12}
    site.run()
    assert results(operator.get(action)) == {"failed again": 8, "imported": 4}
    # As if the requests had been killed before they could record what they sent.
    number = action.split("/")[2]
    site.rows("UPDATE realtime_action_item SET result = '' WHERE action_id = %s", number)
    site.rows("UPDATE realtime_action SET is_done = false WHERE id = %s", number)
    answer = operator.post(f"{action}go/")
    assert results(answer) == {"failed again": 8, "imported": 4}, "and nothing is sent again"
    assert ">done<" in answer.text
    assert "retry" in told(operator.get(f"/file/{ids[0]}/")).partition("History")[2]
    assert "12 files of Wyoming" in told(operator.get("/actions/"))


def test_discard_all__another_fails_alike_meanwhile__not_included_and_undone_later(
    site: Site, operator: Browser, failed: Callable[[int], list[int]]
) -> None:
    ids = failed(2)
    group = alike(site, ids[0])
    action = operator.propose("discard:all", alike=group)
    late = int(site.fail(untitled("HB 99")).split("/")[2])
    assert "1 has joined since" in told(operator.get(action))
    assert "Say in a note" in operator.post(f"{action}go/", note=" ").text
    answer = operator.post(f"{action}go/", note="a test page")
    assert results(answer) == {"discarded": 2}
    marked = "SELECT id FROM realtime_file WHERE discarded_by = %s AND discard_note = 'a test page'"
    assert {id for (id,) in site.rows(marked, OPERATOR)} == set(ids)
    assert "1 file " in told(operator.get("/failures/"))
    undo = operator.propose("undiscard", action=action.split("/")[2])
    assert results(operator.post(f"{undo}go/")) == {"brought back": 2}
    assert results(operator.get(action)) == {"discarded, and brought back since": 2}
    assert site.rows(marked, OPERATOR) == []
    assert f"/file/{late}/" in operator.get(f"/failures/{group}/").text


def test_discard_all__one_fails_otherwise_meanwhile__left_alone(
    site: Site, operator: Browser, failed: Callable[[int], list[int]]
) -> None:
    ids = failed(3)
    of_group = operator.propose("discard:all", alike=alike(site, ids[0]))
    retried = operator.propose("retry:all", alike=alike(site, ids[0]))
    chosen = operator.propose("discard", alike=alike(site, ids[0]), id=[str(ids[1]), str(ids[2])])
    site.rows(
        "UPDATE realtime_file SET reason = 'constraint', alike = %s, imported_at = now()"
        " WHERE id = %s",
        "f" * 16, ids[1],
    )  # fmt: skip
    otherwise = "no longer failed so when it was their turn"
    answer = operator.post(f"{chosen}go/", note="a test page")
    assert results(answer) == {"discarded": 1, otherwise: 1}
    answer = operator.post(f"{of_group}go/", note="a test page")
    assert results(answer) == {"discarded": 1, otherwise: 2}
    assert results(operator.post(f"{retried}go/")) == {otherwise: 3}
    discarded = "SELECT id FROM realtime_file WHERE discarded_at IS NULL AND id = ANY(%s)"
    assert site.rows(discarded, ids) == [(ids[1],)]


def test_undo__another_has_decided_since__that_stays(
    site: Site, operator: Browser, failed: Callable[[int], list[int]]
) -> None:
    ids = failed(3)
    action = operator.propose("discard:all", alike=alike(site, ids[0]))
    operator.post(f"{action}go/", note="test pages")
    undo = operator.propose("undiscard", action=action.split("/")[2])
    for file_id in ids[:2]:
        operator.post(f"/file/{file_id}/undiscard/")
    operator.post(f"/file/{ids[0]}/discard/", note="it has no title")
    came = results(operator.get(action))
    assert came == {"discarded": 1, "discarded, and brought back since": 2}
    later = operator.propose("undiscard", action=action.split("/")[2])
    assert "Undo discard 1 of 3 files that failed" in told(operator.get(later))
    answer = operator.post(f"{undo}go/")
    assert results(answer)["brought back"] == 1
    noted = "SELECT discard_note FROM realtime_file WHERE id = ANY(%s) ORDER BY id"
    assert site.rows(noted, ids) == [("it has no title",), ("",), ("",)]
    number = action.split("/")[2]
    answer = operator.post("/actions/propose/", do="undiscard", action=number)
    assert "Nothing is left to undo" in answer.text


def test_chosen__one_settled_meanwhile__others_done_and_said(
    site: Site, operator: Browser, failed: Callable[[int], list[int]]
) -> None:
    ids = failed(3)
    group = alike(site, ids[0])
    assert "Nothing was chosen" in operator.post("/actions/propose/", do="retry", alike=group).text
    action = operator.propose("discard", alike=group, id=[str(id) for id in ids[:2]])
    assert "2 files that failed as invalid at title: title is null (chosen)" in told(
        operator.get(action)
    )
    assert "HB 0 wy/bill_" in told(operator.get(action)), "which, in words"
    operator.post(f"/file/{ids[1]}/discard/", note="before")
    assert "Discard HB 1 done" in told(operator.get("/actions/"))
    answer = operator.post(f"{action}go/", note="then")
    assert results(answer) == {"discarded": 1, "no longer failed so when it was their turn": 1}
    assert "among the failures again" in operator.post(f"/file/{ids[0]}/undiscard/").text


def test_flags__of_one_kind__resolved_together_and_reopened(site: Site, operator: Browser) -> None:
    for n in (81, 82):
        site.publish(scrapes.bill(f"HB {n}`"))
    site.run()
    listed = operator.get("/flags/")
    assert "odd-identifier · bill" in told(listed)
    [address] = set(re.findall(r'href="(/flags/\?kind=odd-identifier&amp;of=bill&amp;lost=)"',
                               listed.text))  # fmt: skip
    assert "Resolve all 2" in told(operator.get(address.replace("&amp;", "&")))
    action = operator.propose("resolve:all", kind="odd-identifier", of="bill", lost="")
    assert "Resolve 2 flags raised as odd-identifier (bill)?" in told(operator.get(action))
    assert results(operator.post(f"{action}go/", note="so it is written")) == {"resolved": 2}
    opened = "SELECT count(*) FROM realtime_flag WHERE kind = %s AND resolved_at IS NULL"
    assert site.rows(opened, "odd-identifier") == [(0,)]
    undo = operator.propose("reopen", action=action.split("/")[2])
    answer = operator.post(f"{undo}go/")
    assert results(answer) == {"open again": 2}, told(answer)
    assert site.rows(opened, "odd-identifier") == [(2,)]
    action = operator.propose("resolve:all", kind="odd-identifier", of="bill", lost="")
    operator.post(f"{action}go/", note="so it is written")
    [(first,), _] = site.rows(
        "SELECT id FROM realtime_flag WHERE kind = 'odd-identifier' ORDER BY id"
    )
    operator.post(f"/flag/{first}/reopen/")
    operator.post(f"/flag/{first}/resolve/", note="it is the clerk's")
    came = results(operator.get(action))
    assert came == {"resolved": 1, "resolved, and opened again since": 1}
    undo = operator.propose("reopen", action=action.split("/")[2])
    assert results(operator.post(f"{undo}go/")) == {"open again": 1}
    assert site.rows("SELECT resolution FROM realtime_flag WHERE id = %s", first) == [
        ("it is the clerk's",)
    ]


def test_pause_and_resume__breaker__meant_only_where_it_was_said(
    site: Site, operator: Browser
) -> None:
    site.rows(
        "INSERT INTO realtime_pause"
        " (jurisdiction_id, since, by, reason, resumed_by, resumed_reason)"
        " VALUES (%s, now(), 'breaker', '60 of 60 files <fail>', '', '')",
        WYOMING,
    )
    key = site.publish(scrapes.bill("HB 91"))
    site.run()
    parked = "SELECT outcome, meant_at IS NOT NULL FROM realtime_file WHERE key = %s"
    assert site.rows(parked, key) == [("deferred", False)]
    asked = operator.get(f"/controls/resume/?jurisdiction={WYOMING}")
    assert "60 of 60 files <fail>" in told(asked).replace("&lt;", "<").replace("&gt;", ">")
    assert (
        f"1 parked file is imported by the next import runs, the newest first. Such as: HB 91 {key}"
        in told(asked)
    )
    [pause] = re.findall(r'name="pause" value="(\d+)"', asked.text)
    stale = operator.post("/controls/resume/", jurisdiction=WYOMING, pause="0", meant="on")
    assert "that pause has ended" in stale.text
    [as_of] = re.findall(r'name="as_of" value="([^"]+)"', asked.text)
    late = site.publish(scrapes.bill("HB 94"))
    site.run()
    answer = operator.post(
        "/controls/resume/", jurisdiction=WYOMING, pause=pause, as_of=as_of, meant="on"
    )
    assert "2 parked files are imported next" in answer.text
    assert site.rows(parked, key) == [("deferred", True)]
    assert site.rows(parked, late) == [("deferred", False)], "nobody has looked at it"
    site.run()
    assert site.rows("SELECT outcome FROM realtime_file WHERE key = %s", key) == [("inserted",)]

    assert "Say why" in operator.post("/controls/pause/", jurisdiction=WYOMING, reason=" ").text
    operator.post("/controls/pause/", jurisdiction=WYOMING, reason="the <site> is down")
    assert "the &lt;site&gt; is down" in operator.get("/controls/").text
    [(pause,)] = site.rows("SELECT id FROM realtime_pause WHERE resumed_at IS NULL")
    operator.post("/controls/resume/", jurisdiction=WYOMING, pause=str(pause))
    assert "Nothing is paused" in operator.get("/controls/").text
    assert operator.get("/controls/pause/?jurisdiction=nowhere").status_code == 404


def test_resume_all__breaker_trips_meanwhile__its_pause_stays(
    site: Site, operator: Browser
) -> None:
    ohio, utah = (WYOMING.replace("wy", abbr) for abbr in ("oh", "ut"))
    paused = (
        "INSERT INTO realtime_pause (jurisdiction_id, since, by, reason, resumed_by,"
        " resumed_reason) VALUES (%s, now(), %s, 'why', '', '')"
    )
    site.rows(paused, "", "ada")
    site.rows(paused, utah, "ada")
    asked = operator.get("/controls/resume/?jurisdiction=all")
    assert "also ends the pause of Utah" in told(asked)
    looked_at = re.findall(r'name="pause" value="(\d+)"', asked.text)
    site.rows(paused, ohio, "breaker")
    answer = operator.post("/controls/resume/", jurisdiction="all", pause=looked_at)
    opened = site.rows("SELECT jurisdiction_id FROM realtime_pause WHERE resumed_at IS NULL")
    site.rows("UPDATE realtime_pause SET resumed_at = now()")
    assert opened == [(ohio,)]
    assert "still so: Ohio" in answer.text


def test_lost_message__sent_again_from_the_page__imported_by_the_next_run(
    site: Site, operator: Browser
) -> None:
    bill = scrapes.bill("HB 92")
    key = f"wy/bill_{bill['_id']}.json"
    site.put(key, bill)
    # Which an import run reads when it sweeps: no message names it.
    site.put("wy/run_finished_1.json", {"run_finished": {}})
    answer = operator.post("/actions/propose/", do="announce")
    assert "No file has lost its message" in answer.text, "it is too young for that"
    said = in_process(
        site,
        "from datetime import timedelta\n"
        "from realtime.monitoring.status import unannounced\n"
        "unannounced.LATE = timedelta()\n"
        "import time; time.sleep(1.1)\n"
        "form = 'application/x-www-form-urlencoded'\n"
        "asked = client.post('/actions/propose/', 'do=announce', content_type=form)\n"
        "page = asked['Location']\n"
        "print(client.get(page).content.decode())\n"
        "client.post(page + 'go/', '', content_type=form)\n"
        "print(client.get(page).content.decode())\n",
    )
    assert "Send lost messages again 1 file without an outcome?" in said
    assert re.search(r"messages sent</dt><dd class=\"figure\">1<", said)
    site.run()
    assert site.rows("SELECT outcome FROM realtime_file WHERE key = %s", key) == [("inserted",)]


def test_housekeeping__asked_for_twice_at_once__only_one_works(
    site: Site, operator: Browser
) -> None:
    one, other = operator.propose("archive"), operator.propose("archive")
    site.rows(
        "UPDATE realtime_action SET confirmed_at = now(),"
        " working_until = now() + interval '1 minute' WHERE id = %s",
        one.split("/")[2],
    )
    assert "another request works on this, or alike" in operator.post(f"{other}go/").text
    site.rows("UPDATE realtime_action SET working_until = now() - interval '1 s' WHERE id = %s",
              one.split("/")[2])  # fmt: skip
    assert ">done<" in operator.post(f"{other}go/").text
    prune = operator.propose("prune")
    assert ">done<" in operator.post(f"{prune}go/").text


def test_prune__by_the_page_and_by_the_command__same_rows_by_the_site_s_days(site: Site) -> None:
    days = {"REALTIME_LEDGER_DAYS": "90", "REALTIME_CHANGES_DAYS": "9"}
    for table in ("change", "import_run"):
        site.rows(f"DELETE FROM realtime_{table}")
    in_process(
        site,
        "from realtime.ledger import receivers\n"
        "receivers.register({'crm': 'https://example.org'})\n",
    )

    def fill(*identifiers: str) -> None:
        """Two old files, one of them older than what is kept; changes; runs; titles not noted."""
        keys = [site.publish(scrapes.bill(identifier)) for identifier in identifiers]
        assert site.run()["inserted"] == 2
        aged = "UPDATE realtime_file SET imported_at = now() - %s * interval '1 day' WHERE key = %s"
        for key, age in zip(keys, (60, 100), strict=True):
            site.rows(aged, age, key)
        site.rows("UPDATE realtime_change SET at = now() - interval '10 days'")
        site.rows("UPDATE realtime_import_run SET began_at = now() - interval '31 days'")
        site.rows("DELETE FROM realtime_bill_title")

    def left() -> list[tuple[int, ...]]:
        return site.rows(
            "SELECT"
            " (SELECT count(*) FROM realtime_file WHERE imported_at < now() - '90 d'::interval),"
            " (SELECT count(*) FROM realtime_change), (SELECT count(*) FROM realtime_import_run),"
            " (SELECT count(*) FROM opencivicdata_bill WHERE id NOT IN"
            "   (SELECT core_id FROM realtime_bill_title))"
        )

    fill("HB 890", "HB 891")
    command = run_manage("prune_realtime", "--json", env={**site.environment, **days})
    report = json.loads(command.stdout.splitlines()[-1])
    assert left() == [(0, 0, 0, 0)]
    fill("HB 892", "HB 893")
    said = in_process(
        site,
        "form = 'application/x-www-form-urlencoded'\n"
        "page = client.post('/actions/propose/', 'do=prune', content_type=form).url\n"
        "client.post(page + 'go/', '', content_type=form)\n"
        "print(client.get(page).content.decode())\n",
        **days,
    )
    assert left() == [(0, 0, 0, 0)]
    [(old,)] = site.rows(
        "SELECT count(*) FROM realtime_file WHERE imported_at < now() - '59 d'::interval"
    )
    assert (old, report["files"]) == (2, 1), "older than 30 days, and kept"
    not_told = report.pop("not_told")
    assert not_told == {"crm": report["changes"]} == {"crm": 2}
    counted = {f"{name.replace('_', ' ')} deleted": n for name, n in report.items() if n}
    counted["of the changes never told to a receiver"] = not_told["crm"]
    assert results_in(said) == counted
    assert f"never told of some of these changes: crm ({not_told['crm']})" in said
    site.rows("DELETE FROM realtime_receiver")


POSTS = ("/actions/propose/", "/action/1/go/", "/file/1/retry/", "/file/1/discard/",
         "/file/1/undiscard/", "/flag/1/resolve/", "/flag/1/reopen/", "/controls/pause/",
         "/controls/resume/")  # fmt: skip


def test_roles__who_may_only_look__sees_all_and_can_do_nothing(
    site: Site, failed: Callable[[int], list[int]]
) -> None:
    [file_id] = failed(1)
    group = f"/failures/{alike(site, file_id)}/"
    run_manage(
        "createsuperuser", "--noinput", "--username", LOOKER, "--email", "l@localhost",
        env={**site.environment, "DJANGO_SUPERUSER_PASSWORD": PASSWORD},
    )  # fmt: skip
    site.rows(
        "UPDATE auth_user SET is_staff = false, is_superuser = false WHERE username = %s", LOOKER
    )
    member = (
        "INSERT INTO auth_user_groups (user_id, group_id) SELECT auth_user.id, auth_group.id"
        " FROM auth_user, auth_group WHERE username = %s AND name = %s"
    )
    assert Browser(site, LOOKER).get("/").status_code == 403
    site.rows(member, LOOKER, "Realtime: look")
    looker = Browser(site, LOOKER)
    for path in ("/", "/failures/", group, f"/file/{file_id}/", "/flags/", "/controls/",
                 "/actions/"):  # fmt: skip
        page = looker.get(path)
        assert page.status_code == 200
        assert 'id="verdict"' in page.text, path
        assert re.findall(r'<button[^>]*type="submit"[^>]*>(?!Log out|Show)', page.text) == [], path
    for path in POSTS:
        answer = looker.post(path, do="retry:all", alike=alike(site, file_id), note="x", reason="x")
        assert (answer.status_code, "You may look, not act" in answer.text) == (403, True), path
    visitor = Browser(site, VISITOR)
    assert all(visitor.post(path).status_code == 403 for path in POSTS)
    assert outcomes(site, [file_id]) == ["failed"]
    assert site.rows("SELECT count(*) FROM realtime_action WHERE by = %s", LOOKER) == [(0,)]
    site.rows(member, LOOKER, "Realtime: act")
    actor = Browser(site, LOOKER)
    assert "Retry all 1" in told(actor.get(group))
    assert "1 sent again" in actor.post(f"/file/{file_id}/retry/").text
    site.run()


def test_roles__site_of_before_there_were_any__staff_lose_nothing_and_are_put_in_once(
    site: Site, failed: Callable[[int], list[int]]
) -> None:
    [file_id] = failed(1)
    migrate = ("migrate", "auth", "--settings", "site_settings")
    ours = "SELECT id FROM auth_permission WHERE codename IN ('look', 'act')"
    site.rows("DELETE FROM auth_user_groups")
    site.rows(f"DELETE FROM auth_group_permissions WHERE permission_id IN ({ours})")
    site.rows("DELETE FROM auth_group")
    site.rows(f"DELETE FROM auth_permission WHERE id IN ({ours})")
    site.rows("UPDATE auth_user SET is_staff = true WHERE username = %s", VISITOR)
    staff = Browser(site, VISITOR)
    try:
        assert "sent again" in staff.post(f"/file/{file_id}/retry/").text, "as before"
        run_manage(*migrate, env=site.environment)
        named = (
            "SELECT username FROM auth_user JOIN auth_user_groups ON user_id = auth_user.id"
            " JOIN auth_group ON auth_group.id = group_id WHERE name = 'Realtime: act'"
        )
        assert (VISITOR,) in site.rows(named)
        site.run()
        assert "sent again" in staff.post(f"/file/{file_id}/retry/").text
        site.rows("DELETE FROM auth_user_groups")
        run_manage(*migrate, env=site.environment)
        assert site.rows(named) == [], "who was taken out stays out"
        assert staff.post(f"/file/{file_id}/retry/").status_code == 403
        assert staff.get("/").status_code == 200
    finally:
        site.rows("UPDATE auth_user SET is_staff = false WHERE username = %s", VISITOR)
        site.run()
