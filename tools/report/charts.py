"""Small charts as inline SVG: they take the page's colours, and need no script."""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 30

Points = Sequence[tuple[float, float]]


def columns(bars: Sequence[tuple[str, int]], label: str) -> Markup:
    """A column for each (name, count), with its count above and its name below."""
    if not bars:
        return Markup("")
    highest = max(count for _, count in bars) or 1
    slot = (WIDTH - LEFT - RIGHT) / len(bars)
    every = max(1, math.ceil(len(bars) / 12))  # names that fit below
    parts = []
    for i, (name, count) in enumerate(bars):
        height = (HEIGHT - TOP - BOTTOM - 14) * count / highest
        x, y = LEFT + i * slot, HEIGHT - BOTTOM - height
        parts.append(
            f'<rect class="bar" x="{x + slot * 0.1:.1f}" y="{y:.1f}" width="{slot * 0.8:.1f}" '
            f'height="{height:.1f}"><title>{escape(name)}: {count:,}</title></rect>'
        )
        if i % every == 0:
            parts.append(_text(x + slot / 2, HEIGHT - BOTTOM + 16, name, "middle"))
        if len(bars) <= 12 and count:
            parts.append(_text(x + slot / 2, y - 4, f"{count:,}", "middle"))
    return _svg(
        "".join(parts) + _line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM), label
    )


def histogram(values: Sequence[float], edges: Sequence[float]) -> list[tuple[str, int]]:
    """Counts of values between neighbouring edges, named by the lower one; for `columns`."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        for i in range(len(counts)):
            if edges[i] <= value < edges[i + 1]:
                counts[i] += 1
                break
    return [(_short(edge), count) for edge, count in zip(edges, counts, strict=False)]


def lines(
    series: Sequence[tuple[str, Points]], marks: Sequence[tuple[str, float]], label: str
) -> Markup:
    """Lines of (name, points), with horizontal marks of (name, height)."""
    points = [point for _, line in series for point in line]
    if not points:
        return Markup("")
    x_max = max(x for x, _ in points) or 1
    heights = [y for _, y in points] + [y for _, y in marks]
    low, high = math.floor(min(heights)), math.ceil(max(heights))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * x / x_max,
            TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / ((high - low) or 1),
        )

    parts = []
    for tick in range(low, high + 1, max(1, (high - low) // 5)):
        y = place(0, tick)[1]
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "grid"))
        parts.append(_text(LEFT - 6, y + 4, str(tick), "end"))
    for name, height in marks:
        y = place(0, height)[1]
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "mark"))
        parts.append(_text(WIDTH - RIGHT, y - 4, name, "end"))
    for i, (name, line) in enumerate(series):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        parts.append(f'<polyline class="line{i}" points="{path}"/>')
        parts.append(_text(LEFT + 12 + 150 * i, HEIGHT - 4, f"— {name}", "start", f"name{i}"))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 4, f"step {x_max:,.0f}", "end"))
    return _svg("".join(parts), label)


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


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:.3g}M"
    return f"{value / 1000:.3g}k" if value >= 1000 else f"{value:g}"
