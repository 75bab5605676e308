"""Renders the simulation of more scrapers as tables and a picture."""

from collections.abc import Iterator
from html import escape
from typing import Any

Results = dict[str, Any]
_TITLES = ("lag p50, s", "lag p95, s", "oldest message, s", "workers", "files a batch",
           "database busy", "$ a day")  # fmt: skip


def table(found: Results) -> Iterator[str]:
    """Markdown: each way under each load, what helps, and how far the simulation can be trusted."""
    times = found["service"]
    yield f"| all legislatures, simulated | files a day | {' | '.join(_TITLES)} |"
    yield "|---" * (len(_TITLES) + 2) + "|"
    for one in found["compared"]:
        load = "their peak" if one["times"] == 1 else f"{one['times']} times that"
        yield f"| {load}, {one['way']} | {_columns(one)} |"
    yield ""
    yield f"| what helps, `--follow`, {found['relieved times']} times the peak | files a day" + (
        f" | {' | '.join(_TITLES)} |"
    )
    yield "|---" * (len(_TITLES) + 2) + "|"
    for one in found["relieved"]:
        yield f"| {one['remedy']} | {_columns(one)} |"
    check = found["check"]
    yield (
        f"\nService times measured here: {times['start']:.2f} s to start, {times['run']:.2f} s a"
        f" run, {times['batch'] * 1000:.0f} ms a batch, {times['file'] * 1000:.1f} ms a file, of"
        f" which {times['database']:.0%} is the database's CPU. Check: ten workers on ten"
        f" jurisdictions ({check['files']:,} files, {check['cores']:g} cores for all) took"
        f" {check['measured']:.1f} s; the simulation says {check['predicted']:.1f} s. Each"
        " legislature scrapes once within six hours, 4,000 files in the median, 2.5 a second;"
        " the database has four cores. Lambda's seconds are counted as here."
    )


def _columns(one: Results) -> str:
    if not one["keeps up"]:
        return (
            f"| does not keep up | | over an hour | {one['workers']}"
            f" | {one['files a batch']:.0f} | {one['database']:.0%} |"
        )
    return (
        f"{one['files']:,} | {one['lag p50']:,.0f} | {one['lag p95']:,.0f} | {one['oldest']:,.0f}"
        f" | {one['workers']} | {one['files a batch']:.0f} | {one['database']:.0%}"
        f" | {one['dollars']:.2f}"
    )


_ROW, _BAR, _MARGIN, _WIDTH = 24, 16, 250, 420
# Seconds at which a bar ends; longer lags are cut, and written beside it.
_LONGEST = 600.0


def picture(found: Results) -> str:
    """An SVG with a bar for the lag of each way under each load: p50, and paler p95."""
    rows = "".join(_bar(row, one) for row, one in enumerate(found["compared"]))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_MARGIN + _WIDTH + 110}"'
        f' height="{len(found["compared"]) * _ROW + 36}" font-family="sans-serif" font-size="12">'
        '<rect width="100%" height="100%" fill="#fff"/>'
        '<text x="8" y="16" font-weight="bold">seconds from scraped to visible, p50 and p95,'
        f" simulated; cut at {_LONGEST:.0f} s</text>{rows}</svg>\n"
    )


def _bar(row: int, one: Results) -> str:
    top, scale = row * _ROW + 28, _WIDTH / _LONGEST
    middle, most = (min(one[name], _LONGEST) * scale for name in ("lag p50", "lag p95"))
    label = escape(f"{one['times']} times, {one['way']}")
    said = f"{one['lag p50']:,.0f} / {one['lag p95']:,.0f}"
    if not one["keeps up"]:
        middle, most, said = 0.0, float(_WIDTH), "does not keep up"
    return (
        f'<text x="{_MARGIN - 8}" y="{top + 12}" text-anchor="end">{label}</text>'
        f'<rect x="{_MARGIN}" y="{top}" width="{most:.0f}" height="{_BAR}" fill="#9bbbdc"/>'
        f'<rect x="{_MARGIN}" y="{top}" width="{middle:.0f}" height="{_BAR}" fill="#3b6ea5"/>'
        f'<text x="{_MARGIN + most + 6:.0f}" y="{top + 12}">{said}</text>'
    )
