"""Builds the Lambda function's zip for each architecture, and measures it: `make lambda`.

Packages come from the lock, as wheels for Lambda's Python; those that the consumer never imports
are left out. The same lock and sources give the same bytes on the same build of Python and zlib.
"""

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PYTHON_VERSION = "3.13"
# Lambda's architectures, and the wheel platforms that fit the C library of Amazon Linux 2023.
ARCHITECTURES = {"x86_64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
# Lambda's limit for an unzipped function, in bytes.
LIMIT = 250 * 1024 * 1024

# The packages that the consumer imports: a third of what core requires.
PACKAGES = frozenset(
    line
    for line in (ROOT / "deploy/aws/packages.txt").read_text().splitlines()
    if not line.startswith("#")
)
# Services whose definitions boto3 needs: those we use, and those that provide credentials.
_SERVICES = {
    *("s3", "sqs", "sns", "cloudwatch", "ssm", "secretsmanager"),
    *("sts", "sso", "sso-oidc", "signin"),
}
# Files of those packages that are never loaded, as patterns of paths in the zip.
_EXCLUDED = tuple(
    re.compile(pattern)
    for pattern in (
        r"bin/|share/",
        r".*\.dist-info/(RECORD|INSTALLER|REQUESTED|direct_url\.json|uv_cache\.json)$",
        r".*\.pyi$",
        r"(.*/)?tests?/",
        r"boto3/examples/",
        r"django/(conf/locale|contrib/[a-z]+/locale)/(?!en/|__init__)",
        r"django/contrib/(admin|admindocs|gis|flatpages|redirects|sitemaps|syndication)/",
        r"openstates/cli/(?!__init__|reports)",
    )
)
# Our own files that the function does not need, as prefixes.
_OURS_EXCLUDED = (
    *("realtime/devstack/", "realtime/demo/"),
    *("realtime/page/", "realtime/templatetags/", "realtime/templates/", "realtime/static/"),
    *("realtime/admin.py", "realtime/urls.py"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--architecture",
        choices=ARCHITECTURES,
        action="append",
        help="build only this one (repeatable)",
    )
    parser.add_argument("--no-start", action="store_true", help="do not measure the cold start")
    options = parser.parse_args()
    python = find_python()
    if python is None:
        print(
            f"Python {PYTHON_VERSION} is not installed: the zips have no bytecode and start slower"
        )
    here = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    for architecture in options.architecture or ARCHITECTURES:
        tree, target = build(architecture, python)
        report(architecture, tree, target)
        if architecture == here and python is not None and not options.no_start:
            measure(tree, python)


def build(architecture: str, python: str | None) -> tuple[Path, Path]:
    """Make `build/lambda/ARCHITECTURE` and `build/lambda-ARCHITECTURE.zip`."""
    tree = BUILD / "lambda" / architecture
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    install(tree, architecture, PACKAGES)
    for path in sorted(tree.rglob("*"), reverse=True):
        name = path.relative_to(tree).as_posix()
        if path.is_file() and (any(p.match(name) for p in _EXCLUDED) or _unused_service(name)):
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    _copy_ours(tree)
    if python is not None:
        _compile(tree, python)
    target = BUILD / f"lambda-{architecture}.zip"
    _zip(tree, target)
    return tree, target


def install(tree: Path, architecture: str, packages: frozenset[str]) -> None:
    """Install `packages` in the versions of the lock into `tree`.

    Raises SystemExit when one is not in the lock, CalledProcessError when one has no wheel.
    """
    blocks = dict(locked(architecture))
    if missing := packages - blocks.keys():
        raise SystemExit(f"not in requirements.lock: {', '.join(sorted(missing))}")
    requirements = tree.parent / f"{architecture}.txt"
    requirements.write_text("".join(blocks[name] for name in sorted(packages)))
    command = [
        *(str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet"),
        *("--target", str(tree), "--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("--python-version", PYTHON_VERSION, "--link-mode", "copy"),
        *("--python-platform", ARCHITECTURES[architecture], "--requirement", str(requirements)),
    ]
    subprocess.run(command, check=True)


def locked(architecture: str) -> Iterator[tuple[str, str]]:
    """The name and lines of each requirement in the lock that applies to Lambda's Python."""
    environment = {
        "python_version": PYTHON_VERSION,
        "python_full_version": f"{PYTHON_VERSION}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "platform_machine": {"arm64": "aarch64"}.get(architecture, architecture),
    }
    text = (ROOT / "requirements.lock").read_text()
    for block in re.findall(r"^[a-z0-9].*(?:\n .*)*\n", text, re.MULTILINE):
        head = block.splitlines()[0].rstrip("\\ ")
        requirement, _, marker = head.partition(" ; ")
        if not marker or Marker(marker).evaluate(environment):
            lines = [line for line in block.splitlines()[1:] if "--hash" in line]
            name = re.sub(r"\[.*\]", "", requirement.partition("==")[0])
            yield name, "\n".join([f"{requirement} \\", *lines]).rstrip(" \\") + "\n"


def find_python() -> str | None:
    """A working Python of Lambda's version; None when there is none."""
    version = f"*/{PYTHON_VERSION}*/bin/python{PYTHON_VERSION}"
    candidates = [f"python{PYTHON_VERSION}", *map(str, Path.home().glob(f".pyenv/{version}"))]
    for candidate in candidates:
        try:
            subprocess.run([candidate, "-c", ""], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return None


def report(architecture: str, tree: Path, target: Path) -> None:
    """Print sizes and digest. Raises SystemExit when the zip exceeds Lambda's limit."""
    unzipped = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    size = target.stat().st_size
    print(f"{target.relative_to(ROOT)}: {size / 1e6:.1f} MB, unzipped {unzipped / 1e6:.1f} MB")
    print(f"  sha256 {digest}", flush=True)
    if unzipped > LIMIT:
        raise SystemExit(f"{architecture}: Lambda's limit is {LIMIT / 1e6:.1f} MB unzipped")


def measure(tree: Path, python: str) -> None:
    """Print the cold and warm start times of the function in `tree`.

    It runs on the embedded stack under Lambda's runtime client, with no packages but its own.
    Raises SystemExit when an invocation fails.
    """
    from realtime.devstack import DevStack
    from realtime.devstack.database import load_jurisdiction, migrate, using_database
    from realtime.devstack.lambda_runtime import LambdaRuntime

    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    client = BUILD / "lambda" / "client"
    shutil.rmtree(client, ignore_errors=True)
    client.mkdir()
    architecture = tree.name
    install(client, architecture, frozenset({"awslambdaric", "simplejson", "snapshot-restore-py"}))
    with DevStack() as stack:
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **stack.environment(),
            "PYTHONPATH": str(client),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "settings",
        }
        os.environ.update(stack.environment())
        sys.path.insert(0, str(ROOT))
        import django

        django.setup()
        with using_database(environment["DATABASE_URL"]):
            migrate()
            load_jurisdiction("wy")
        handler = "realtime.lambda_handler.handler"
        with LambdaRuntime(handler, environment, tree, (python, "-s", "-B")) as function:
            times = []
            for _ in range(3):
                answer = function.invoke({"source": "aws.events"})
                if answer.error:
                    raise SystemExit(f"the function fails: {answer.error}")
                times.append(answer.seconds)
    cold, *warm = times
    print(
        f"  cold start {function.init_seconds + cold:.2f} s (until it asks for work"
        f" {function.init_seconds:.2f} s, first invocation {cold:.2f} s), warm {min(warm):.2f} s"
    )


def _unused_service(name: str) -> bool:
    match = re.match(r"(?:botocore|boto3)/data/([^/]+)/", name)
    return match is not None and match[1] not in _SERVICES


def _copy_ours(tree: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "realtime", "settings.py", "manage.py"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if not name.startswith(_OURS_EXCLUDED) and (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)


def _compile(tree: Path, python: str) -> None:
    """Add bytecode that Python uses without checking its source: Lambda cannot write bytecode, and
    unpacks the zip with other file times."""
    command = [
        *(python, "-m", "compileall", "-q", "-s", str(tree), "-p", "/var/task"),
        *("--invalidation-mode", "unchecked-hash", str(tree)),
    ]
    # Set constants are written in hash order, so fix the hash seed.
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})


def _zip(tree: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(tree).as_posix(), (1980, 1, 1, 0, 0, 0))
                entry.create_system = 3
                entry.external_attr = (0o755 if path.suffix == ".so" else 0o644) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes(), compresslevel=9)


if __name__ == "__main__":
    main()
