"""Small charts as inline SVG: they take the page's colours, and need no script."""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 30

Points = Sequence[tuple[float, float]]


def lines(
    series: Sequence[tuple[str, Points]], marks: Sequence[tuple[str, float]], label: str
) -> Markup:
    """Lines of (name, points by step), horizontal marks of (name, height), and their legend.

    Letters keep their size on a narrow page: places along it are percent, and only the lines, in a
    drawing of their own, are stretched.
    """
    points = [point for _, line in series for point in line]
    if not points:
        return Markup("")
    x_max = max(x for x, _ in points) or 1
    heights = [y for _, y in points] + [y for _, y in marks]
    low, high = math.floor(min(heights)), math.ceil(max(heights))

    def across(x: float) -> float:
        return 100 * x / x_max

    def down(y: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / ((high - low) or 1)

    parts = []
    for tick in range(low, high + 1, max(1, (high - low) // 5)):
        parts.append(_across(down(tick), "grid"))
        parts.append(_text(-8, down(tick) + 4, str(tick), "end"))
    parts += _steps(x_max)
    drawn = []
    for i, (_, line) in enumerate(series):
        path = " ".join(f"{10 * across(x):.1f},{down(y):.1f}" for x, y in line)
        drawn.append(f'<polyline class="line{i}" points="{path}"/>')
    inner = f'<svg viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none">{"".join(drawn)}</svg>'
    over = []
    for _, height in marks:
        over.append(_across(down(height), "mark"))
        over.append(_text("100%", down(height) - 5, f"{height:.2f}", "end", "halo"))
    return Markup(
        f'<svg class="plot" height="{HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}{inner}{''.join(over)}</svg>{_legend(series, marks)}"
    )


def _legend(series: Sequence[tuple[str, Points]], marks: Sequence[tuple[str, float]]) -> str:
    """Each line's and each mark's name, beside a sample of its stroke."""
    names = [(f"line{i}", name) for i, (name, _) in enumerate(series)]
    names += [("mark", f"{height:.2f}: {name}") for name, height in marks]
    items = [
        f'<li><svg width="24" height="10"><line class="{kind}" x1="0" y1="5" x2="24" y2="5"/></svg>'
        f" {escape(name)}</li>"
        for kind, name in names
    ]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _steps(x_max: float) -> list[str]:
    """Round numbers of steps below the drawing, at most five beside 0."""
    power = 10 ** max(0, math.floor(math.log10(x_max)) - 1)
    unit = next(
        (power * times for times in (1, 2, 5, 10) if x_max <= 5 * power * times), 20 * power
    )
    return [
        _text(
            f"{100 * tick / x_max:.2f}%",
            HEIGHT - 8,
            f"{tick:,}",
            "start" if tick == 0 else "end" if tick == x_max else "middle",
        )
        for tick in range(0, int(x_max) + 1, unit)
    ]


def _across(y: float, kind: str) -> str:
    return f'<line class="{kind}" x1="0" y1="{y:.1f}" x2="100%" y2="{y:.1f}"/>'


def losses_by_size(points: Sequence[tuple[float, float, str]], label: str) -> Markup:
    """Points of (parameters, loss, name), joined by a line; parameters on a logarithmic axis."""
    if not points:
        return Markup("")
    points = sorted(points)
    sizes, losses = [math.log10(x) for x, _, _ in points], [y for _, y, _ in points]
    span = (max(sizes) - min(sizes)) or 1
    # Ticks of a tenth, a fifth or a half of a nat: small differences are what it is about.
    unit = next((u for u in (0.1, 0.2, 0.5) if (max(losses) - min(losses)) / u < 8), 1.0)
    low, high = (f(v / unit) for f, v in ((math.floor, min(losses)), (math.ceil, max(losses))))
    high = max(high, low + 1)

    top = TOP + 10  # the figure above the highest point has its place

    def height(loss: float) -> float:
        return top + (HEIGHT - top - BOTTOM) * (high - loss / unit) / (high - low)

    parts = []
    for tick in range(low, high + 1):
        y = height(tick * unit)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "grid"))
        parts.append(_text(LEFT - 6, y + 4, f"{tick * unit:.1f}", "end"))
    places = []
    for size, (parameters, loss, name) in zip(sizes, points, strict=True):
        # A tenth of the width on both sides is left for the names.
        x = LEFT + (WIDTH - LEFT - RIGHT) * (0.1 + 0.8 * (size - min(sizes)) / span)
        places.append((x, height(loss)))
        parts.append(f'<circle cx="{x:.1f}" cy="{height(loss):.1f}" r="4"/>')
        parts.append(_text(x, height(loss) - 9, f"{loss:.3f}", "middle"))
        parts.append(_text(x, HEIGHT - BOTTOM + 14, f"{_short(parameters)}: {name}", "middle"))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return _svg(f'<polyline class="line1" points="{path}"/>' + "".join(parts), label)


def _svg(inside: str, label: str) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{inside}</svg>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "axis") -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float | str, y: float, text: str, anchor: str, kind: str = "") -> str:
    place = x if isinstance(x, str) else f"{x:.1f}"
    return (
        f'<text class="{kind}" x="{place}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:.3g}M"
    return f"{value / 1000:.3g}k" if value >= 1000 else f"{value:g}"
