"""Roles of the database with few rights: what docs/operations.md gives them is enough, and where
one lacks something, `migrate` and the other commands say which role gives it, and how."""

import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psycopg2
import pytest
from django.core.management import call_command
from pytest_django.plugin import _DatabaseBlocker

from realtime.devstack import binaries
from realtime.devstack.database import using_database
from realtime.models import LoggedChange
from tests import page_site, scrapes
from tests.integration.test_people import ADA, new_ada, person, send
from tests.scrape_runs import Run
from tests.scrapes import Mail
from tests.support import ROOT, Aws, CompletedText

# Each migrates databases of its own, command by command.
pytestmark = pytest.mark.thorough

Manage = Callable[..., CompletedText]

PAGE = (ROOT / "docs" / "operations.md").read_text()
# Each begins with a comment that says whose it is. The last is for a site's own users.
OWNERS_NEEDS, LATER_TABLES, APPLICATIONS_NEEDS, SITES_USERS = re.findall(
    r"^```sql\n(-- .*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
CORE, OWNER, APPLICATION = "core_owner", "realtime_owner", "realtime_app"
# Of the tables that openstates.org has in core's database.
SITES_TABLES = """
    CREATE TABLE people_admin_unmatchedname (
        matched_person_id text REFERENCES opencivicdata_person
    );
    CREATE TABLE people_admin_persondelta (person_id text REFERENCES opencivicdata_person);
    CREATE TABLE people_admin_personretirement (person_id text REFERENCES opencivicdata_person);
    CREATE TABLE bulk_dataexport (id serial);
"""
PAGES_APPS, SITE = ("auth", "admin", "sessions"), ("--settings", "site_settings")


class Roles:
    """Three roles, none a superuser: one owns the database and core's tables, one is to migrate
    the ledger, which is not there, and one is to import."""

    def __init__(self, url: str, blocker: _DatabaseBlocker) -> None:
        self.url = url
        self._blocker = blocker

    def url_of(self, role: str) -> str:
        parts = urlsplit(self.url)
        return parts._replace(netloc=f"{role}:x@{parts.hostname}:{parts.port}").geturl()

    @contextmanager
    def as_user(self, role: str) -> Iterator[str]:
        """Connect Django to the database as this role; yields the URL."""
        with self._blocker.unblock(), using_database(self.url_of(role)):
            yield self.url_of(role)

    def migrate(self) -> None:
        with self.as_user(OWNER):
            call_command("migrate", "realtime", verbosity=0)

    def psql(self, role: str, script: str) -> None:
        """Run a script as the page has it."""
        psql = str(binaries.installed() / "bin" / "psql")
        command = [psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", self.url_of(role)]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        # A GRANT that gives nothing is a warning.
        assert (done.returncode, done.stderr) == (0, "")

    def follow(self, line: str) -> None:
        """Execute the statements of a command's line, each as the role it names."""
        parts = re.findall(r"as (\w+): ((?:GRANT [^;]*; ?)+)", line)
        assert parts, line
        for role, statements in parts:
            self.psql(role, statements)

    def rows(self, statement: str) -> list[tuple[str, ...]]:
        """What a statement of the superuser's gives."""
        with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
            connection.commit()
            return rows


@pytest.fixture
def roles(database_url: str, django_db_blocker: _DatabaseBlocker) -> Iterator[Roles]:
    made = Roles(database_url, django_db_blocker)
    made.rows(
        "".join(f"CREATE ROLE {role} LOGIN PASSWORD 'x';" for role in (CORE, OWNER, APPLICATION))
        + f"""
        DELETE FROM django_migrations WHERE app = 'realtime';
        DO $$ DECLARE name text; BEGIN
            EXECUTE format('ALTER DATABASE %I OWNER TO {CORE}', current_database());
            FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
                IF name LIKE 'realtime\\_%' THEN EXECUTE 'DROP TABLE ' || name || ' CASCADE';
                ELSE EXECUTE format('ALTER TABLE %I OWNER TO {CORE}', name); END IF;
            END LOOP;
        END $$;
        """
    )
    made.psql(CORE, SITES_TABLES)
    yield made
    for role in (APPLICATION, OWNER, CORE):
        made.rows(f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.fixture
def migrated(roles: Roles) -> Roles:
    """The roles as the page sets them up, and the ledger made by its owner."""
    roles.psql(CORE, OWNERS_NEEDS)
    roles.psql(OWNER, LATER_TABLES)
    roles.migrate()
    roles.psql(CORE, APPLICATIONS_NEEDS)
    return roles


def test_roles__set_up_as_the_page_says__application_imports_and_finalizes(
    migrated: Roles, aws: Aws
) -> None:
    with migrated.as_user(APPLICATION) as url:
        mail = Mail(aws, url)
        mail.publish(scrapes.jurisdiction())
        first = Run(mail)
        bill = scrapes.bill()
        first.publish(bill, scrapes.vote_event(bill), scrapes.event("Hearing", "HB 1"))
        first.end()
        mail.run()
        again = Run(mail)
        bill = scrapes.bill(actions=0)
        again.publish(bill, scrapes.vote_event(bill, "reading"), scrapes.event("Markup"))
        again.end()
        mail.run()
        assert again.row.finalized_at
        send(mail, person(), "1")
        mail.run()
        migrated.psql(CORE, f"INSERT INTO people_admin_unmatchedname VALUES ('{ADA}')")
        send(mail, new_ada(), "2", "2021-01-02")
        assert mail.run().outcomes["inserted"] == 1
        changes = set(LoggedChange.objects.values_list("change", flat=True))
        assert changes >= {"updated", "deleted", "merged"}


def test_roles__set_up_as_the_page_says__application_has_no_more_than_it_needs(
    migrated: Roles,
) -> None:
    may = (
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    may += f" AND has_table_privilege('{APPLICATION}', oid, '%s') ORDER BY relname"
    changed = {name for (name,) in migrated.rows(may % "INSERT")}
    assert {re.match("[a-z]+", name)[0] for name in changed} == {  # type: ignore[index]
        *("opencivicdata", "openstates", "pupa", "realtime")
    }
    assert {name for (name,) in migrated.rows(may % "SELECT")} - changed == {
        *("django_content_type", "django_migrations"),
        *("opencivicdata_division", "opencivicdata_post"),
        *re.findall("people_admin_[a-z]+", SITES_TABLES),
    }
    # Tables of later migrations: ours at once, a site's never.
    migrated.psql(CORE, "CREATE TABLE profiles_profile (id serial)")
    migrated.psql(OWNER, "CREATE TABLE realtime_later (id serial PRIMARY KEY, what text)")
    migrated.psql(APPLICATION, "INSERT INTO realtime_later (what) VALUES ('row')")
    assert ("profiles_profile",) not in migrated.rows(may % "SELECT")


def test_roles__ledger_from_before__its_owner_grants_with_the_same_query(
    roles: Roles, environment: dict[str, str], run_manage: Manage
) -> None:
    roles.psql(CORE, OWNERS_NEEDS)
    roles.migrate()
    for role in (CORE, OWNER):
        roles.psql(role, APPLICATIONS_NEEDS)
    as_application = {**environment, "DATABASE_URL": roles.url_of(APPLICATION)}
    assert "0 received" in run_manage("import_realtime", env=as_application).stdout
    checked = run_manage("check", "--tag", "realtime", env=as_application, check=False)
    assert "E027" not in checked.stderr


def test_import__tables_of_two_owners__one_line_whose_statements_each_can_execute(
    roles: Roles, environment: dict[str, str], run_manage: Manage
) -> None:
    roles.psql(CORE, OWNERS_NEEDS)
    roles.migrate()
    as_application = {**environment, "DATABASE_URL": roles.url_of(APPLICATION)}
    refused = run_manage("import_realtime", env=as_application, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    # Before it, the log has that this run is not recorded, for the same reason.
    *logged, line = refused.stderr.splitlines()
    assert all("import run not recorded" in one for one in logged)
    assert "permission denied for table" in line and "migrate" not in line
    assert "GRANT SELECT, DELETE ON people_admin_persondelta" in line
    roles.follow(line)
    assert "0 received" in run_manage("import_realtime", env=as_application).stdout


def test_check__a_right_of_each_owner_is_missing__names_each_and_nothing_else(
    migrated: Roles, environment: dict[str, str], run_manage: Manage
) -> None:
    as_application = {**environment, "DATABASE_URL": migrated.url_of(APPLICATION)}
    migrated.psql(CORE, f"REVOKE ALL ON django_migrations, opencivicdata_post FROM {APPLICATION}")
    migrated.psql(CORE, f"REVOKE UPDATE ON opencivicdata_bill FROM {APPLICATION}")
    migrated.psql(OWNER, f"REVOKE USAGE ON SEQUENCE realtime_file_id_seq FROM {APPLICATION}")
    found = run_manage("check", "--tag", "realtime", env=as_application, check=False).stderr
    assert re.findall(r"as \w+: .*", found) == [
        f"as {CORE}: GRANT SELECT ON django_migrations, opencivicdata_post TO {APPLICATION};",
        f"as {CORE}: GRANT UPDATE ON opencivicdata_bill TO {APPLICATION};",
        f"as {OWNER}: GRANT USAGE ON SEQUENCE realtime_file_id_seq TO {APPLICATION};",
    ]
    migrated.follow(found)
    found = run_manage("check", "--tag", "realtime", env=as_application, check=False).stderr
    assert "realtime.E02" not in found


def test_migrate__role_without_rights__one_line_whose_statements_are_enough(
    roles: Roles, environment: dict[str, str], run_manage: Manage
) -> None:
    as_owner = {**environment, "DATABASE_URL": roles.url_of(OWNER)}
    refused = run_manage("migrate", "realtime", env=as_owner, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    [line] = refused.stderr.splitlines()
    assert "GRANT CREATE ON SCHEMA public TO realtime_owner;" in line
    assert "REFERENCES" not in line
    roles.follow(line)
    run_manage("migrate", "realtime", env=as_owner)
    # Going back takes no more.
    run_manage("migrate", "realtime", "zero", env=as_owner)


def test_migrate__ledger_of_another_role__says_whose(
    migrated: Roles, environment: dict[str, str], run_manage: Manage
) -> None:
    as_application = {**environment, "DATABASE_URL": migrated.url_of(APPLICATION)}
    refused = run_manage("migrate", "realtime", env=as_application, check=False)
    [line] = refused.stderr.splitlines()
    assert f"belong to {OWNER}; migrate as that role" in line


@pytest.fixture
def site(environment: dict[str, str]) -> dict[str, str]:
    """The environment of the commands of the page's site."""
    site = {**environment, "SECRET_KEY": secrets.token_hex(32)}
    # Set by pytest-django; manage.py chooses the settings itself.
    site.pop("DJANGO_SETTINGS_MODULE", None)
    return site


@pytest.mark.parametrize("maker", [OWNER, CORE])
def test_page__its_tables_made_by_either_owner__application_serves_it(
    migrated: Roles,
    environment: dict[str, str],
    site: dict[str, str],
    aws: Aws,
    run_manage: Manage,
    maker: str,
) -> None:
    page_site.prepare({**environment, "DATABASE_URL": migrated.url_of(maker)})
    if maker == CORE:
        migrated.psql(CORE, SITES_USERS)
    as_application = {**site, "DATABASE_URL": migrated.url_of(APPLICATION)}
    asked = page_site.in_process(
        page_site.Site("", as_application, aws),
        "form = {'content_type': 'application/x-www-form-urlencoded'}\n"
        "new = 'username=cy&password1=plains-ridges&password2=plains-ridges'\n"
        "print(client.get('/').status_code,\n"
        "      client.post('/admin/auth/user/add/', new, **form).status_code,\n"
        "      client.post('/admin/auth/user/3/delete/', 'post=yes', **form).status_code)\n",
    )
    assert asked.split() == ["200", "302", "302"]
    users = migrated.rows("SELECT username FROM auth_user ORDER BY id")
    assert users == [(page_site.OPERATOR,), (page_site.VISITOR,)]
    checked = run_manage(*("check", "--tag", "realtime", *SITE), env=as_application, check=False)
    assert "E027" not in checked.stderr


def test_migrate__tables_of_the_page_without_rights__one_line_whose_statements_are_enough(
    roles: Roles, site: dict[str, str], run_manage: Manage
) -> None:
    as_owner = {**site, "DATABASE_URL": roles.url_of(OWNER)}
    refused = run_manage("migrate", "auth", *SITE, env=as_owner, check=False)
    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert "GRANT SELECT, INSERT, REFERENCES ON django_content_type" in line
    roles.follow(line)
    for app in PAGES_APPS:
        run_manage("migrate", app, *SITE, env=as_owner)


def test_migrate__users_of_a_site__what_can_be_granted_is_and_else_their_owner_is_needed(
    migrated: Roles, site: dict[str, str], run_manage: Manage
) -> None:
    as_core = {**site, "DATABASE_URL": migrated.url_of(CORE)}
    run_manage("migrate", "auth", *SITE, env=as_core)
    as_owner = {**site, "DATABASE_URL": migrated.url_of(OWNER)}
    refused = run_manage("migrate", "admin", *SITE, env=as_owner, check=False)
    assert "GRANT SELECT, REFERENCES ON auth_user" in refused.stderr
    migrated.follow(refused.stderr)
    run_manage("migrate", "admin", *SITE, env=as_owner)
    migrated.psql(CORE, "DELETE FROM django_migrations WHERE name LIKE '0012_%first_name%'")
    refused = run_manage("migrate", "auth", *SITE, env=as_owner, check=False)
    [line] = refused.stderr.splitlines()
    assert "must be owner of table auth_user; migrate as its owner" in line
