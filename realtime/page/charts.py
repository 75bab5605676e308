"""Small charts of a day, as SVG to stand inside the page.

Of svg.py's elements, not by a charting library: a page has a hundred of them, and one of pygal's
takes eight milliseconds.
"""

from collections.abc import Sequence

import svg
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

# In the SVG's own units; the style sheet sizes and colours it.
_STEP = 5
_BAR = 3.5
NARROW, WIDE = 30, 20


def bars(values: Sequence[float], title: str, height: int = NARROW) -> SafeString:
    """A bar for each value, the highest as high as the chart; nothing for zero.

    `title` is what the chart says, for those who cannot see it; `height` NARROW, or WIDE for a
    chart as wide as the page.
    """
    highest = max(values, default=0) or 1
    # One outline along the ground: an element for each bar would take most of a page's time.
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
    """A line through the values, broken where there is none; a lone one is a dot."""
    highest = max((value for value in values if value is not None), default=0) or 1
    drawn: list[svg.Element] = []
    for stretch in _stretches(values, highest, height):
        # A value to itself is a dot: a line without length, by its round ends.
        alone = len(stretch) == 2
        points = _points(stretch * 2 if alone else stretch)
        drawn.append(svg.Polyline(class_=["dot"] if alone else None, extra=points))
    return _chart(len(values), height, title, drawn)


def _stretches(values: Sequence[float | None], highest: float, height: int) -> list[list[float]]:
    """The coordinates of neighbouring values, x and y in turn."""
    found: list[list[float]] = []
    broken = True
    for at, value in enumerate(values):
        if value is not None:
            if broken:
                found.append([])
            y = height - 2 - value / highest * (height - 4)
            found[-1] += [at * _STEP + _STEP / 2, y]
        broken = value is None
    return found


def _points(coordinates: Sequence[float]) -> dict[str, str]:
    # As one text: a page of charts has ten thousand of them.
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
    # svg.py escapes nothing; all else that is drawn are numbers.
    return mark_safe(chart.as_str())
