"""Renders the figures of files' whole lives as tables and a picture."""

from collections.abc import Iterator
from html import escape
from typing import Any

Results = dict[str, Any]

PARTS = ("publish", "import", "archive")
_COLUMNS = ("cpu_seconds", "seconds", "database CPU", "emulator CPU")
_DOLLARS = ("S3", "SQS", "Lambda")


def table(found: Results) -> Iterator[str]:
    """Markdown: the costs of each part, what follows from them, requests, and dollars."""
    for size in found["sizes"]:
        yield from _costs(size, found["emulator"])
        yield ""
    yield from _measures(found["sizes"])
    yield ""
    yield from _requests(found["sizes"])
    for million in found["a million"]:
        yield ""
        yield from _million(million)
    yield from _assumed(found["a million"][0])


def _named(size: Results) -> str:
    return f"{size['files']:,} files ({size['name']})"


def _costs(size: Results, emulator: str) -> Iterator[str]:
    orders = size["orders"]
    titles = " | ".join(
        f"{way}: CPU, s | s | CPU of the database, s | of the emulator | statements"
        for way in orders
    )
    yield f"| the whole life of {_named(size)}, on {emulator} | {titles} |"
    yield "|---" * (1 + 5 * len(orders)) + "|"
    rows = {
        "`publish_realtime --run`": [one["parts"]["publish"] for one in orders.values()],
        "`import_realtime --until-empty`, finalization included": [
            one["parts"]["import"] for one in orders.values()
        ],
        "finalization, in a run of its own, start-up not counted": [
            one["finalizing"] for one in orders.values()
        ],
        "`archive_realtime`": [one["parts"]["archive"] for one in orders.values()],
        "core's batch import of the folder": [size["core"] for _ in orders],
    }
    for title, costs in rows.items():
        columns = " | ".join(
            f"{' | '.join(f'{cost[name]:.2f}' for name in _COLUMNS)}"
            f" | {cost['statements'] or '-':{',.0f' if cost['statements'] else ''}}"
            for cost in costs
        )
        yield f"| {title} | {columns} |"
    stages = ", ".join(
        f"{one['parts']['import']['finalize seconds']:.2f} s {way}" for way, one in orders.items()
    )
    yield (
        f"\nMedians of {size['pairs']} pair{'s' * (size['pairs'] > 1)}. In order means as"
        " `publish_realtime` sends a folder. Of the import, by its own report, finalization takes"
        f" {stages}."
    )


def _measures(sizes: list[Results]) -> Iterator[str]:
    lives = [(size, way, one) for size in sizes for way, one in size["orders"].items()]
    yield f"| measure | {' | '.join(f'{_named(size)}, {way}' for size, way, _ in lives)} |"
    yield "|---" * (len(lives) + 1) + "|"
    rows = {
        "CPU of importing, finalizing and archiving, ours ÷ core": [
            f"{one['ours ÷ core']['cpu_seconds']:.2f}" for _, _, one in lives
        ],
        "the same in seconds, one worker": [
            f"{one['ours ÷ core']['seconds']:.2f}" for _, _, one in lives
        ],
        "the same in CPU of the database": [
            f"{one['ours ÷ core']['database CPU']:.2f}" for _, _, one in lives
        ],
        "files that finalizing reads ÷ files": [
            f"{one['finalizing']['reads ÷ files']:.2f}" for _, _, one in lives
        ],
        "CPU of publishing a file, ms": [
            f"{_cpu_ms(size, one, 'publish'):.2f}" for size, _, one in lives
        ],
        "CPU of importing, finalizing and archiving a file, ms": [
            f"{_cpu_ms(size, one, 'import', 'archive'):.2f}" for size, _, one in lives
        ],
    }
    for measure, values in rows.items():
        yield f"| {measure} | {' | '.join(values)} |"
    made = sorted((s for s in sizes if s["name"] == "generated"), key=lambda s: int(s["files"]))
    if len(made) > 1:
        few, many = made[0], made[-1]
        ratios = ", ".join(
            f"{_cpu_ms(many, many['orders'][way], *PARTS[1:]) / _cpu_ms(few, one, *PARTS[1:]):.2f}"
            f" {way}"
            for way, one in few["orders"].items()
        )
        yield f"\n{many['files']:,} generated files ÷ {few['files']:,}: CPU a file {ratios}."


def _cpu_ms(size: Results, order: Results, *parts: str) -> float:
    seconds = sum(float(order["parts"][part]["cpu_seconds"]) for part in parts)
    return seconds / int(size["files"]) * 1000


def _requests(sizes: list[Results]) -> Iterator[str]:
    yield "| requests for 1,000 files | publish | import | of it to finalize | archive |"
    yield "|---|---|---|---|---|"
    for size in sizes:
        for way, one in size["orders"].items():
            parts = one["parts"]
            columns = [parts["publish"], parts["import"], one["finalizing"], parts["archive"]]
            said = " | ".join(_counted(part["requests"], size["files"]) for part in columns)
            yield f"| {_named(size)}, {way} | {said} |"


def _counted(requests: Results, files: int) -> str:
    each = {name: count / files * 1000 for name, count in requests.items()}
    return ", ".join(f"{name} {count:,.0f}" for name, count in each.items()) or "-"


def _million(million: Results) -> Iterator[str]:
    kept = f"{million['a month in S3']:.2f}"
    yield (
        f"| a million files ({million['of']}), $ | {' | '.join(_DOLLARS)} | all | to keep them a"
        " month | a month without files | hours of work |"
    )
    yield "|---" * (len(_DOLLARS) + 5) + "|"
    for way, dollars in million["ways"].items():
        each = [dollars[name] for name in _DOLLARS]
        columns = " | ".join(f"{value:.2f}" for value in (*each, sum(each)))
        yield (
            f"| {way} | {columns} | {kept} | {dollars['an idle month']:.2f}"
            f" | {million['hours']:.1f} |"
        )


def _assumed(million: Results) -> Iterator[str]:
    prices, how = million["prices"], million["deployment"]
    yield (
        f"\nAt AWS's list prices of {prices['looked_up']} ({prices['region']}, no free tier):"
        f" S3 ${prices['s3_put_copy_list']:g} for 1,000 PUT, COPY and LIST requests,"
        f" ${prices['s3_get_and_others']:g} for 1,000 GET and HEAD requests, DELETE free;"
        f" SQS ${prices['sqs']:g} a million requests; Lambda (arm64)"
        f" ${prices['lambda_gb_second']:.10f} a GB-second and ${prices['lambda_requests']:g} a"
        f" million invocations; S3 Standard ${prices['s3_standard']:g} a GB-month. The requests and"
        " seconds are those measured in order. The hours are those of importing, finalizing and"
        " archiving by one worker: Lambda's price contains them, cron's not those of its host. The"
        " emulator and the database are on this machine: on AWS, waiting for them adds hours."
        f" Cron and schedule start every {how['every']:g} s, and a start that finds nothing counts"
        f" as slow as a cold one; the function has {how['gigabytes']:.2f} GB. The event source"
        f" receives and deletes {how['polled']} messages a request, invokes for {how['batch']}, and"
        f" keeps {how['pollers']} requests of {how['poll_seconds']:g} s open when there is nothing."
        " Not counted: the database, logs, alarms."
    )


_ROW, _BAR, _MARGIN, _WIDTH = 24, 16, 300, 420
_COLOURS = {
    "core": "#999",
    "publish": "#c9b458",
    "import": "#3b6ea5",
    "finalize": "#7fa8d1",
    "archive": "#5a9367",
}


def picture(found: Results) -> str:
    """An SVG with a bar for each life: its parts, in CPU milliseconds a file, beside core's."""
    bars = [bar for size in found["sizes"] for bar in _bars(size)]
    scale = _WIDTH / max(sum(parts.values()) for _, parts in bars)
    rows = "".join(_bar(row, scale, *bar) for row, bar in enumerate(bars))
    legend, x = "", _MARGIN
    for name, colour in _COLOURS.items():
        legend += (
            f'<rect x="{x}" y="26" width="10" height="10" fill="{colour}"/>'
            f'<text x="{x + 14}" y="35">{name}</text>'
        )
        x += 84
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_MARGIN + _WIDTH + 60}"'
        f' height="{len(bars) * _ROW + 56}" font-family="sans-serif" font-size="12">'
        '<rect width="100%" height="100%" fill="#fff"/>'
        '<text x="8" y="16" font-weight="bold">a file\'s whole life beside core\'s batch import,'
        f" CPU ms a file</text>{legend}{rows}</svg>\n"
    )


def _bars(size: Results) -> Iterator[tuple[str, dict[str, float]]]:
    each = 1000 / size["files"]
    yield f"{_named(size)}: core", {"core": size["core"]["cpu_seconds"] * each}
    for way, one in size["orders"].items():
        cpu = {part: one["parts"][part]["cpu_seconds"] * each for part in PARTS}
        finalizing = min(one["finalizing"]["cpu_seconds"] * each, cpu["import"])
        yield (
            way,
            {
                "publish": cpu["publish"],
                "import": cpu["import"] - finalizing,
                "finalize": finalizing,
                "archive": cpu["archive"],
            },
        )


def _bar(row: int, scale: float, label: str, parts: dict[str, float]) -> str:
    top, x, drawn = row * _ROW + 48, float(_MARGIN), ""
    for name, value in parts.items():
        drawn += (
            f'<rect x="{x:.0f}" y="{top}" width="{value * scale:.0f}" height="{_BAR}"'
            f' fill="{_COLOURS[name]}"/>'
        )
        x += value * scale
    return (
        f'<text x="{_MARGIN - 8}" y="{top + 12}" text-anchor="end">{escape(label)}</text>{drawn}'
        f'<text x="{x + 6:.0f}" y="{top + 12}">{sum(parts.values()):.1f}</text>'
    )
