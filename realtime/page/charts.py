"""Small bar and line charts as inline SVG.

Built from svg.py's elements, not by a charting library: a page has about a hundred charts, and
pygal takes 8 ms for one.
"""

from collections.abc import Sequence

import svg
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

# In SVG user units; page.css sets size and colours.
_STEP = 5
_BAR = 3.5
NARROW, WIDE = 30, 20


def bars(values: Sequence[float], title: str, height: int = NARROW) -> SafeString:
    """A bar for each value; the highest fills the chart, and zero draws nothing.

    `title` describes the chart for screen readers. `height` is NARROW for a table cell, WIDE for
    a chart as wide as the page.
    """
    highest = max(values, default=0) or 1
    # One polygon for all bars: an element each would take most of the page's rendering time.
    outline: list[float] = []
    for at, value in enumerate(values):
        if value:
            left = at * _STEP + (_STEP - _BAR) / 2
            top = height - max(value / highest * (height - 1), 1.5)
            right = left + _BAR
            for x, y in ((left, height), (left, top), (right, top), (right, height)):
                outline += [x, y]
    return _chart(len(values), height, title, [svg.Polygon(extra=_points(outline))])


def line(values: Sequence[float | None], title: str, height: int = NARROW) -> SafeString:
    """A line through the values, with a gap for each None; a value between two gaps is a dot."""
    highest = max((value for value in values if value is not None), default=0) or 1
    drawn: list[svg.Element] = []
    for segment in _segments(values, highest, height):
        # A zero-length line with round caps draws a dot.
        alone = len(segment) == 2
        points = _points(segment * 2 if alone else segment)
        drawn.append(svg.Polyline(class_=["dot"] if alone else None, extra=points))
    return _chart(len(values), height, title, drawn)


def _segments(values: Sequence[float | None], highest: float, height: int) -> list[list[float]]:
    """For each run of values without a gap, its coordinates: x, y, x, y, …."""
    found: list[list[float]] = []
    gap = True
    for at, value in enumerate(values):
        if value is not None:
            if gap:
                found.append([])
            y = height - 2 - value / highest * (height - 4)
            found[-1] += [at * _STEP + _STEP / 2, y]
        gap = value is None
    return found


def _points(coordinates: Sequence[float]) -> dict[str, str]:
    # One joined string is faster than svg.py's list of numbers: a page has about 10,000 points.
    return {"points": " ".join(f"{one:.4g}" for one in coordinates)}


def _chart(steps: int, height: int, title: str, drawn: list[svg.Element]) -> SafeString:
    width = max(steps, 1) * _STEP
    base = svg.Line(x1=0, y1=height - 0.5, x2=width, y2=height - 0.5, class_=["base"])
    chart = svg.SVG(
        viewBox=svg.ViewBoxSpec(0, 0, width, height),
        class_=["chart"],
        elements=[base, *drawn],
        extra={"role": "img", "aria-label": escape(title)},
    )
    # svg.py does not escape. `title` is escaped above; everything else is numbers.
    return mark_safe(chart.as_str())
