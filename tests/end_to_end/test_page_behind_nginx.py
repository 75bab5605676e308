"""The example of an authenticating proxy in deploy/nginx, run by a real nginx before the page."""

import os
import re
import shutil
import socket
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.page_site import OPERATOR, PASSWORD, Site
from tests.support import ROOT, not_installed, wait_until

CONFIGURATION = ROOT / "deploy/nginx/openstates-realtime-page.conf"
NAME = "imports.example.org"
GUARD = ("ops", "behind-nginx")
# Debian's lies where a user's PATH does not look.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")

pytestmark = pytest.mark.skipif(
    not (NGINX and shutil.which("openssl")),
    reason=not_installed("nginx or openssl", "apt-get install nginx-light openssl"),
)


@contextmanager
def proxy(page: str, folder: Path) -> Iterator[str]:
    """nginx with the example's own lines, but for its files, its ports and where the page is."""
    certificate(folder)
    hashed = openssl("passwd", "-apr1", GUARD[1])
    (folder / "openstates-realtime.htpasswd").write_text(f"{GUARD[0]}:{hashed}")
    port, insecure = free_port(), free_port()
    text = CONFIGURATION.read_text()
    for old, new in {
        f"/etc/letsencrypt/live/{NAME}": str(folder),
        "/etc/nginx": str(folder),
        "listen 443": f"listen 127.0.0.1:{port}",
        "listen 80": f"listen 127.0.0.1:{insecure}",
        "http://127.0.0.1:8000": page,
        NAME: "localhost",
    }.items():
        assert old in text
        text = text.replace(old, new)
    places = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{places}{text}}}\n"
    )
    assert NGINX
    command = [NGINX, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    subprocess.run([*command, "-t", "-q"], check=True)
    process = subprocess.Popen(command)
    try:
        assert wait_until(lambda: listens(port)), (folder / "error.log").read_text()
        yield f"https://localhost:{port}"
    finally:
        process.terminate()
        process.wait()


def openssl(*arguments: str) -> str:
    return subprocess.run(
        ["openssl", *arguments], check=True, capture_output=True, text=True
    ).stdout


def certificate(folder: Path) -> None:
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", f"{folder}/privkey.pem", "-out", f"{folder}/fullchain.pem", "-days", "2"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def browser(folder: Path) -> requests.Session:
    session = requests.Session()
    session.verify = f"{folder}/fullchain.pem"
    # Else the environment may name other authorities, and a proxy.
    session.trust_env = False
    return session


def test_nginx__example_before_the_page__nothing_without_a_password(
    site: Site, tmp_path: Path
) -> None:
    with proxy(site.url, tmp_path) as url:
        stranger = browser(tmp_path)
        for path in ("/", "/login/", "/static/realtime/page.css", "/admin/login/"):
            assert stranger.get(url + path, timeout=60).status_code == 401
        assert stranger.post(f"{url}/login/", data=b"a" * 70_000, timeout=60).status_code == 413
        operator = browser(tmp_path)
        operator.auth = GUARD
        assert operator.post(f"{url}/login/", data=b"a" * 70_000, timeout=60).status_code == 413
        parts = operator.post(f"{url}/login/", files={"file": b"a"}, timeout=60)
        assert (parts.status_code, "no files" in parts.text) == (415, True)
        assert log_in(operator, url).status_code == 200


def test_nginx__paths_of_machines__no_password_and_the_page_s_own_token(
    site: Site, tmp_path: Path
) -> None:
    with proxy(site.url, tmp_path) as url:
        stranger = browser(tmp_path)
        assert stranger.get(f"{url}/healthz", timeout=60).text in ("ok\n", "look\n", "bad\n")
        for path in ("/metrics", "/status.json"):
            answer = stranger.get(f"{url}{path}", timeout=60)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert stranger.get(f"{url}/healthz/", timeout=60).status_code == 401


def log_in(operator: requests.Session, url: str) -> requests.Response:
    form = operator.get(f"{url}/login/", timeout=60)
    [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
    fields = {"username": OPERATOR, "password": PASSWORD, "csrfmiddlewaretoken": token}
    referer = {"Referer": f"{url}/login/"}
    answer = operator.post(f"{url}/login/", data=fields, headers=referer, timeout=60)
    assert urllib.parse.urlsplit(answer.url).path == "/"
    return answer
