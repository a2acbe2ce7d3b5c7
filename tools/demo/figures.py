"""Pages around tables of figures: the rows, and sentences that are true of them."""

from collections.abc import Callable, Sequence
from itertools import combinations

from tools.demo.grammar import Block, Writer, below, choose, rules, sample

Made = tuple[list[Sequence[object]], str]  # rows, the first being the heads; what they show
# Degrees above the coldest month, month by month.
WARMTH = (0, 1, 3, 5, 8, 11, 13, 13, 10, 7, 3, 1)


def figures(writer: Writer) -> tuple[str, list[Block]]:
    """A page of one of the kinds below: title and blocks."""
    kind = choose(writer.rng, sorted(_KINDS))
    title = writer.write(f"figures.{kind}.title")
    opening = writer.write(f"figures.{kind}.open")
    rows, shown = _KINDS[kind](writer)
    after = writer.several(f"figures.{kind}.after", 4)
    table = "\n".join("\t".join(map(str, row)) for row in rows)
    return title, [
        ("p", opening),
        ("table", table),
        ("p", f"{shown} {after[0]} {after[1]}"),
        ("p", " ".join(after[2:])),
    ]


def _tides(writer: Writer) -> Made:
    rng = writer.rng
    high_min, spring = below(rng, 360), below(rng, 15)
    rows: list[Sequence[object]] = [("day", "high water", "metres", "low water", "metres")]
    heights = []
    for day in range(1, 17 + below(rng, 13)):
        # The range shrinks and grows again within 15 days; a tide is 50 minutes later each day.
        swell = abs((day - spring) % 15 - 7.5) / 7.5
        high, low = 4.1 + 1.6 * swell + below(rng, 20) / 100, 1.9 - 1.4 * swell
        heights.append((round(high, 1), day))
        at = high_min + 50 * day
        rows.append((day, _clock(at), f"{high:.1f}", _clock(at + 372), f"{low:.1f}"))
    best, day = max(heights)
    worst, other = min(heights)
    shown = (
        f"The highest water, {best} metres, is expected on day {day}; the lowest of the high"
        f" waters, {worst} metres, on day {other}."
    )
    return rows, shown


def _weather(writer: Writer) -> Made:
    rng = writer.rng
    months = rules()["month"]
    coldest = below(rng, 60) / 10 - 1
    rows: list[Sequence[object]] = [("month", "mean", "rain", "days with rain", "days with frost")]
    rain = []
    for month, warmth in zip(months, WARMTH, strict=True):
        mean = coldest + warmth + below(rng, 20) / 10
        rain.append(18 + below(rng, 110))
        frost = max(0, int(12 - 2 * mean) + below(rng, 4)) if mean < 8 else 0
        rows.append((month, f"{mean:.1f}", rain[-1], 4 + rain[-1] // 9, frost))
    wettest, driest = (months[rain.index(pick(rain))] for pick in (max, min))
    shown = (
        f"In all {sum(rain)} millimetres of rain fell, most of it in {wettest}"
        f" ({max(rain)} millimetres); the driest month was {driest}, with {min(rain)}."
    )
    return rows, shown


def _league(writer: Writer) -> Made:
    rng = writer.rng
    names = [
        f"{writer.expand('{town}')} {word}"
        for word in sample(rng, rules()["teamword"], 7 + below(rng, 4))
    ]
    won, drawn, lost = (dict.fromkeys(names, 0) for _ in range(3))
    for home, away in combinations(names, 2):
        for first, second in ((home, away), (away, home)):
            luck = rng.random()
            if luck < 0.2:
                drawn[first] += 1
                drawn[second] += 1
            else:
                better, worse = (first, second) if luck < 0.68 else (second, first)
                won[better] += 1
                lost[worse] += 1
    points = {name: 2 * won[name] + drawn[name] for name in names}
    table = sorted(names, key=lambda name: (-points[name], -won[name], name))
    rows: list[Sequence[object]] = [("", "team", "played", "won", "drawn", "lost", "points")]
    for place, name in enumerate(table, 1):
        matches = 2 * len(names) - 2
        rows.append((place, name, matches, won[name], drawn[name], lost[name], points[name]))
    shown = (
        f"The champions are {table[0]} with {points[table[0]]} points, ahead of {table[1]} with"
        f" {points[table[1]]}; {table[-1]} go down with {won[table[-1]]} wins."
    )
    return rows, shown


def _prices(writer: Writer) -> Made:
    rng = writer.rng
    rows: list[Sequence[object]] = [("goods", "per", "this week", "last week", "change")]
    changes = []
    for line in sample(rng, rules()["good"], 10 + below(rng, 6)):
        name, unit, usual = line.split(" | ")
        before = int(usual) * (85 + below(rng, 30)) // 100
        now = before + (below(rng, 31) - 15) * int(usual) // 100
        changes.append((now - before, name))
        rows.append((name, unit, now, before, f"{now - before:+d}"))
    rise, dearer = max(changes)
    fall, cheaper = min(changes)
    shown = (
        f"The largest step up was {rise:+d} for {dearer}, the largest down {fall:+d} for {cheaper}."
    )
    if (whole := sum(change for change, _ in changes)) > 0:
        shown += f" The whole basket costs {whole} pence more than last week."
    return rows, shown


def _timetable(writer: Writer) -> Made:
    rng = writer.rng
    middle = sample(rng, rules()["stopname"], 3 + below(rng, 3))
    stops = [writer.expand("{town@}"), *middle, writer.expand("{town@2}")]
    legs = [4 + below(rng, 19) for _ in stops[1:]]
    starts = [325 + below(rng, 60)]
    while starts[-1] < 1_170:
        starts.append(starts[-1] + 35 + 5 * below(rng, 22))
    rows: list[Sequence[object]] = [("stop", *(f"No. {n}" for n in range(1, len(starts[:9]) + 1)))]
    for place, stop in enumerate(stops):
        rows.append((stop, *(_clock(start + sum(legs[:place])) for start in starts[:9])))
    shown = (
        f"The first departure from {stops[0]} is at {_clock(starts[0])}, the last at"
        f" {_clock(starts[:9][-1])}; the journey to {stops[-1]} takes {sum(legs)} minutes."
    )
    return rows, shown


def _survey(writer: Writer) -> Made:
    rng = writer.rng
    species = sample(rng, rules()["animal"], 8 + below(rng, 6))
    places = [writer.expand("{town}") for _ in range(3)]
    rows: list[Sequence[object]] = [("species", *places, "total")]
    totals = []
    for name in species:
        # Few are frequent and most are rare.
        common = 2 + int(6 / (0.05 + rng.random()))
        counts = [below(rng, common) for _ in places]
        totals.append((sum(counts), name))
        rows.append((name, *counts, sum(counts)))
    most, frequent = max(totals)
    share = 100 * most // max(1, sum(total for total, _ in totals))
    rare = sum(total < 4 for total, _ in totals)
    shown = (
        f"In all {sum(total for total, _ in totals)} animals were counted. The {frequent} leads"
        f" with {most}, or {share} percent; {rare or 'none'} of the {len(species)} species were"
        " seen fewer than four times."
    )
    return rows, shown


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24}:{minutes % 60:02d}"


_KINDS: dict[str, Callable[[Writer], Made]] = {
    "league": _league,
    "prices": _prices,
    "survey": _survey,
    "tides": _tides,
    "timetable": _timetable,
    "weather": _weather,
}
