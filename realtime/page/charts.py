"""Charts as inline SVG: small ones without axes for table cells, and plots with axes.

Built from svg.py's elements, not by a charting library: a page has about a hundred charts, and
pygal takes 8 ms for one. Colours and sizes are in page.css.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import svg
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from realtime.page import axes

# In SVG user units, those of small charts first.
_STEP, _BAR, _HEIGHT = 5, 3.5, 30
_WIDTH, _PLOT_HEIGHT = 520, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 24, 12, 26
_INNER = _WIDTH - _LEFT - _RIGHT
_FLOOR = _PLOT_HEIGHT - _BOTTOM


def bars(values: Sequence[float], title: str) -> SafeString:
    """A bar for each value; the highest fills the chart, and zero draws nothing.

    `title` describes the chart for screen readers.
    """
    highest = max(values, default=0) or 1
    tops = [_HEIGHT - max(value / highest * (_HEIGHT - 1), 1.5) for value in values]
    boxes = [
        (at * _STEP + (_STEP - _BAR) / 2, top)
        for at, (value, top) in enumerate(zip(values, tops, strict=True))
        if value
    ]
    return _small(len(values), title, [_outline(boxes, _BAR, _HEIGHT)])


def line(values: Sequence[float | None], title: str) -> SafeString:
    """A line through the values, with a gap for each None; a value between two gaps is a dot."""
    highest = max((value for value in values if value is not None), default=0) or 1
    points = [
        None
        if value is None
        else (at * _STEP + _STEP / 2, _HEIGHT - 2 - value / highest * (_HEIGHT - 4))
        for at, value in enumerate(values)
    ]
    return _small(len(values), title, _lines(points))


@dataclass(frozen=True)
class Series:
    """Values at equal steps of time; `slug` is a CSS class, `name` what the legend says."""

    name: str
    slug: str
    values: Sequence[float | None]
    as_bars: bool = False


Ticks = Callable[[float], list[tuple[float, str]]]


def plot(
    title: str,
    since: datetime,
    until: datetime,
    series: Sequence[Series],
    ticks: Ticks = axes.counts,
    ending: tuple[datetime, float] | None = None,
) -> SafeString:
    """Series over one time axis, with labels at both axes.

    `ticks` labels the values from 0 to the highest. `ending`, a time and a value, draws a dashed
    line from the last series at that time to that value at the end.
    """
    known = [value for one in series for value in one.values if value is not None]
    up = ticks(max([*known, ending[1] if ending else 0], default=0))
    top = up[-1][0]

    def x(time: datetime) -> float:
        return _LEFT + (time - since) / (until - since) * _INNER

    def y(value: float) -> float:
        return _FLOOR - value / top * (_FLOOR - _TOP)

    drawn: list[svg.Element] = []
    for value, label in up:
        drawn.append(svg.Line(x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(value), y2=y(value)))
        drawn.append(_text(_LEFT - 6, y(value) + 4, label, "end"))
    for time, label in axes.times(since, until):
        drawn.append(svg.Line(x1=x(time), x2=x(time), y1=_FLOOR, y2=_FLOOR + 4))
        drawn.append(_text(x(time), _PLOT_HEIGHT - 6, label, "middle"))
    for one in series:
        drawn.append(svg.G(class_=[one.slug], elements=_drawn(one, y)))
    if ending:
        time, value = ending
        points = _points([x(time), y(_at(series[-1], time, since, until)), x(until), y(value)])
        drawn.append(svg.G(class_=["ending"], elements=[svg.Polyline(extra=points)]))
    return _chart(_WIDTH, _PLOT_HEIGHT, title, drawn, "plot")


def _drawn(one: Series, y: Callable[[float], float]) -> list[svg.Element]:
    step = _INNER / max(len(one.values), 1)
    if one.as_bars:
        boxes = [
            (_LEFT + (at + 0.12) * step, min(y(value), _FLOOR - 1))
            for at, value in enumerate(one.values)
            if value
        ]
        return [_outline(boxes, step * 0.76, _FLOOR)]
    return _lines(
        [
            None if value is None else (_LEFT + (at + 0.5) * step, y(value))
            for at, value in enumerate(one.values)
        ]
    )


def _at(one: Series, time: datetime, since: datetime, until: datetime) -> float:
    step = int((time - since) / (until - since) * len(one.values))
    return one.values[min(max(step, 0), len(one.values) - 1)] or 0


def _text(x: float, y: float, text: str, anchor: Literal["middle", "end"]) -> svg.Text:
    return svg.Text(x=round(x, 1), y=round(y, 1), text=text, text_anchor=anchor)


def _lines(points: Sequence[tuple[float, float] | None]) -> list[svg.Element]:
    """A polyline for each run of points without a gap."""
    segments: list[list[float]] = []
    gap = True
    for point in points:
        if point is not None:
            if gap:
                segments.append([])
            segments[-1] += point
        gap = point is None
    drawn: list[svg.Element] = []
    for segment in segments:
        # A zero-length line with round caps draws a dot.
        alone = len(segment) == 2
        extra = _points(segment * 2 if alone else segment)
        drawn.append(svg.Polyline(class_=["dot"] if alone else None, extra=extra))
    return drawn


def _outline(boxes: Sequence[tuple[float, float]], width: float, floor: float) -> svg.Element:
    # One polygon for all bars: an element each would take most of the page's rendering time.
    outline: list[float] = []
    for left, top in boxes:
        right = left + width
        for x, y in ((left, floor), (left, top), (right, top), (right, floor)):
            outline += [x, y]
    return svg.Polygon(extra=_points(outline))


def _points(coordinates: Sequence[float]) -> dict[str, str]:
    # One joined string is faster than svg.py's list of numbers: a page has about 10,000 points.
    return {"points": " ".join(f"{one:.4g}" for one in coordinates)}


def _small(steps: int, title: str, drawn: list[svg.Element]) -> SafeString:
    width = max(steps, 1) * _STEP
    base = svg.Line(x1=0, y1=_HEIGHT - 0.5, x2=width, y2=_HEIGHT - 0.5, class_=["base"])
    return _chart(width, _HEIGHT, title, [base, *drawn], "small-chart")


def _chart(
    width: float, height: float, title: str, drawn: list[svg.Element], kind: str
) -> SafeString:
    chart = svg.SVG(
        viewBox=svg.ViewBoxSpec(0, 0, width, height),
        class_=["chart", kind],
        elements=drawn,
        extra={"role": "img", "aria-label": escape(title)},
    )
    # svg.py does not escape. `title` is escaped above; everything else is numbers and our words.
    return mark_safe(chart.as_str())
