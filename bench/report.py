"""The figures as a table and a picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_TITLES = {
    "loopback": "the database on this machine",
    "away": "the database 1 ms away",
    "large": "a large batch",
}
_HEAD = (
    "| {title}, {objects} objects | core, s | ours, s | core ÷ ours | statements | CPU, s"
    " | in the database, s | peak MiB |\n|---|---|---|---|---|---|---|---|"
)
_BAR_HEIGHT, _BAR_SCALE, _MARGIN = 18, 8, 230


def table(results: dict[str, Any]) -> str:
    """Markdown; `core → ours` in one cell."""
    return "\n".join(_lines(results))


def _lines(results: dict[str, Any]) -> Iterator[str]:
    for section, title in _TITLES.items():
        if section not in results:
            continue
        result = results[section]
        yield _HEAD.format(title=title, objects=result["objects"])
        for name in ("insert", "unchanged", "update"):
            core, ours = result[name]["core"], result[name]["ours"]
            pairs = " | ".join(
                f"{core[what]:.{digits}f} → {ours[what]:.{digits}f}"
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
            f" ours ÷ floor: {insert['ours ÷ floor']:.1f}.\n"
        )
    if "growth" in results:
        yield "| bills in the database before | insert of one batch, s |\n|---|---|"
        for held, seconds in results["growth"].items():
            yield f"| {int(held):,} | {seconds:.2f} |"


def write(path: Path, results: dict[str, Any], command: Sequence[str]) -> None:
    """Put the table into `path`, and the picture beside it."""
    picture = path.with_suffix(".svg")
    picture.write_text(_picture(results))
    path.write_text(
        "# Performance\n\nCore's importers and the set-based ones over the same objects, in turn,"
        " in one process; medians. Only\nratios are worth comparing between machines.\n\n"
        f"Made by `{' '.join(command)}`.\n\n![core ÷ ours]({picture.name})\n\n{table(results)}\n"
    )


def _picture(results: dict[str, Any]) -> str:
    bars = [
        (f"{name}, {_TITLES[section]}", results[section][name]["core ÷ ours"])
        for section in _TITLES
        if section in results
        for name in ("insert", "unchanged", "update")
    ]
    width = _MARGIN + int(max([ratio for _, ratio in bars], default=1) * _BAR_SCALE) + 60
    rows = "".join(
        f'<text x="{_MARGIN - 8}" y="{n * 24 + 38}" text-anchor="end">{label}</text>'
        f'<rect x="{_MARGIN}" y="{n * 24 + 24}" width="{ratio * _BAR_SCALE:.0f}"'
        f' height="{_BAR_HEIGHT}" fill="#3b6ea5"/>'
        f'<text x="{_MARGIN + ratio * _BAR_SCALE + 6:.0f}" y="{n * 24 + 38}">{ratio:.1f}</text>'
        for n, (label, ratio) in enumerate(bars)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{len(bars) * 24 + 40}"'
        ' font-family="sans-serif" font-size="12">'
        f'<text x="8" y="14">core ÷ ours, seconds</text>{rows}</svg>\n'
    )
