"""Small charts of a day, as SVG to stand inside the page."""

from collections.abc import Sequence

import svg
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

# In the SVG's own units; the style sheet sizes and colours it.
_STEP, _HEIGHT = 5, 30
_BAR = 3.5


def bars(values: Sequence[float], title: str) -> SafeString:
    """A bar for each value, the highest as high as the chart; nothing for zero.

    `title` is what the chart says, for those who cannot see it.
    """
    highest = max(values, default=0) or 1
    drawn: list[svg.Element] = []
    for at, value in enumerate(values):
        if value:
            height = max(value / highest * (_HEIGHT - 2), 1.5)
            drawn.append(
                svg.Rect(
                    x=round(at * _STEP + (_STEP - _BAR) / 2, 2),
                    y=round(_HEIGHT - 1 - height, 2),
                    width=_BAR,
                    height=round(height, 2),
                    rx=0.8,
                )
            )
    return _chart(len(values), title, "chart bars", drawn)


def line(values: Sequence[float | None], title: str) -> SafeString:
    """A line through the values, broken where there is none; a lone one is a dot."""
    highest = max((value for value in values if value is not None), default=0) or 1
    drawn: list[svg.Element] = []
    for stretch in _stretches(values, highest):
        if len(stretch) == 2:
            drawn.append(svg.Circle(cx=stretch[0], cy=stretch[1], r=1.6))
        else:
            drawn.append(svg.Polyline(points=list(stretch)))
    return _chart(len(values), title, "chart line", drawn)


def _stretches(values: Sequence[float | None], highest: float) -> list[list[float]]:
    """The coordinates of neighbouring values, x and y in turn."""
    found: list[list[float]] = []
    broken = True
    for at, value in enumerate(values):
        if value is not None:
            if broken:
                found.append([])
            y = _HEIGHT - 2 - value / highest * (_HEIGHT - 4)
            found[-1] += [at * _STEP + _STEP / 2, round(y, 2)]
        broken = value is None
    return found


def _chart(steps: int, title: str, kind: str, drawn: list[svg.Element]) -> SafeString:
    width = max(steps, 1) * _STEP
    base = svg.Line(x1=0, y1=_HEIGHT - 0.5, x2=width, y2=_HEIGHT - 0.5, class_=["base"])
    chart = svg.SVG(
        viewBox=svg.ViewBoxSpec(0, 0, width, _HEIGHT),
        class_=kind.split(),
        elements=[base, *drawn],
        extra={"role": "img", "aria-label": escape(title)},
    )
    # svg.py escapes nothing; all else that is drawn are numbers.
    return mark_safe(chart.as_str())
