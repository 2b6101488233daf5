"""Draws the curves of the guides as SVG: `python docs/images/plot_curves.py`. The standard library is enough.

A curve is a function of x; add yours to `PLOTS`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 640, 320, 60, 46, 18
COLOURS = ("#3f51b5", "#c2185b", "#00796b", "#e65100")


@dataclass(frozen=True)
class Plot:
    """A picture: its file, axes, the highest y, where curves are taken, the curves by name, and where names stand."""

    file: str
    x_title: str
    y_title: str
    top: float
    points: tuple[float, ...]
    curves: dict[str, Callable[[float], float]]
    names_above: bool = False


def saturation(k1: float, b: float, length: float) -> Callable[[float], float]:
    """What BM25 adds for a word by its count, before its idf; length is in means."""
    return lambda count: count * (k1 + 1) / (count + k1 * (1 - b + b * length))


def bloom(error_rate: float) -> Callable[[float], float]:
    """A Bloom filter's errors by how many words it holds, in capacities."""
    bits = -math.log(error_rate) / math.log(2) ** 2
    hashes = max(1, int(bits * math.log(2)))
    return lambda words: (1 - math.exp(-hashes * words / bits)) ** hashes


def count_min(depth: int) -> Callable[[float], float]:
    """How often a Count-Min sketch counts an unseen word, by the number of words in widths."""
    return lambda words: (1 - math.exp(-words)) ** depth


def confidence(signals: Callable[[int], float], prior: float = 0.5) -> Callable[[float], float]:
    """Confidence after x signals."""

    def at(x: float) -> float:
        found = prior
        for number in range(int(x)):
            found = min(1.0, max(0.0, found + (signals(number) - found) / math.sqrt(number + 1)))
        return found

    return at


def wilson(failures: Callable[[int], int]) -> Callable[[float], float]:
    """The lower end of Wilson's interval after x events."""

    def at(x: float) -> float:
        total = int(x)
        if not total:
            return 0.0
        rate, square = (total - failures(total)) / total, 1.96**2
        margin = 1.96 * math.sqrt(rate * (1 - rate) / total + square / (4 * total * total))
        return (rate + square / (2 * total) - margin) / (1 + square / total)

    return at


def rewarded(alpha: float) -> Callable[[float], float]:
    """Q after x rewards of 1, from nothing."""
    return lambda count: 1 - (1 - alpha) ** count


def feeling(familiar: float) -> Callable[[float], float]:
    """The feeling of knowing a cue by how many of ten candidates there are, none of them weak."""
    return lambda candidates: 0.4 * familiar + 0.4 * min(candidates, 10) / 10


def adaptation(seed: int, best: float = 0.7) -> Callable[[float], float]:
    """A weight by the number of calls, with windows of one call and a quality that is highest at one weight."""
    chance, kept, course = random.Random(seed), 0.3, [0.3]
    while len(course) <= 60:
        moved = kept + chance.choice((-0.05, 0.05))
        course += [kept, moved]
        kept = moved if abs(moved - best) < abs(kept - best) - 1e-12 else kept
    return lambda call: course[int(call)]


def decay(rate: float, base: float = 1.0) -> Callable[[float], float]:
    """What is left of a base after days."""
    return lambda days: base * max(days, 0.01) ** -rate


def cyclic(days: float) -> float:
    """A row with a daily cycle of amplitude .3 and a pressure of .1 a day, resolved on the fourth."""
    waited = days if days < 4 else days - 4
    return decay(0.5)(days) + 0.3 * math.cos(2 * math.pi * days) + 0.1 * waited


PLOTS = [
    Plot(
        "wilson.svg",
        "events",
        "lower bound of the rate of success",
        1.0,
        tuple(range(31)),
        {
            "all succeed": wilson(lambda total: 0),
            "one in ten fails": wilson(lambda total: total // 10),
            "one in four fails": wilson(lambda total: total // 4),
            "where a policy begins": lambda events: 0.6,
        },
    ),
    Plot(
        "q_values.svg",
        "rewards",
        "Q",
        1.0,
        tuple(range(31)),
        {f"alpha {alpha}": rewarded(alpha) for alpha in (0.05, 0.1, 0.5)},
    ),
    Plot(
        "feeling_of_knowing.svg",
        "candidates, of ten that are wanted",
        "component score",
        1.0,
        tuple(range(16)),
        {
            "the cue is known": feeling(1.0),
            "nothing can tell": feeling(0.5),
            "the cue is not known": feeling(0.0),
        },
        names_above=True,
    ),
    Plot(
        "adaptation.svg",
        "calls",
        "weight of certainty",
        1.0,
        tuple(range(61)),
        {f"seed {seed}": adaptation(seed) for seed in (1, 2, 3)},
    ),
    Plot(
        "decay.svg",
        "days",
        "score",
        3.0,
        tuple(step / 20 for step in range(4, 601)),
        {
            "rate .1": decay(0.1),
            "rate .5": decay(0.5),
            "rate 1": decay(1.0),
            "rate .5, base 6": decay(0.5, 6.0),
        },
    ),
    Plot(
        "cycles.svg",
        "days",
        "score",
        2.0,
        tuple(step / 50 for step in range(25, 401)),
        {"decay alone": decay(0.5), "a daily cycle, and pressure that is resolved on day 4": cyclic},
    ),
    Plot(
        "confidence.svg",
        "signals",
        "confidence",
        1.0,
        tuple(range(21)),
        {
            "always 0.9": confidence(lambda number: 0.9),
            "0.9, one 0.1 at the tenth": confidence(lambda number: 0.1 if number == 9 else 0.9),
            "0.9 and 0.1 in turn": confidence(lambda number: (0.9, 0.1)[number % 2]),
        },
    ),
    Plot(
        "bm25_saturation.svg",
        "count of the word in the text",
        "before its idf",
        2.0,
        tuple(step / 10 for step in range(101)),
        {
            "k1 1.2, b .75, mean length": saturation(1.2, 0.75, 1),
            "k1 1.2, b .75, three times as long": saturation(1.2, 0.75, 3),
            "k1 .9, b .4, mean length": saturation(0.9, 0.4, 1),
            "k1 .9, b .4, three times as long": saturation(0.9, 0.4, 3),
        },
    ),
    Plot(
        "bloom_errors.svg",
        "distinct words / capacity",
        "errors among absent words",
        0.16,
        tuple(step / 50 for step in range(76)),
        {f"error_rate {rate}": bloom(rate) for rate in (0.05, 0.01, 0.001)},
        names_above=True,
    ),
    Plot(
        "count_min_errors.svg",
        "distinct words / width",
        "unseen words that are counted",
        1.0,
        tuple(step / 50 for step in range(101)),
        {f"depth {depth}": count_min(depth) for depth in (1, 3, 7)},
        names_above=True,
    ),
]


def drawn(plot: Plot) -> str:
    """The picture as SVG."""
    first, last = plot.points[0], plot.points[-1]

    def place(x: float, y: float) -> str:
        across = LEFT + (x - first) / (last - first) * (WIDTH - LEFT - EDGE)
        up = HEIGHT - BOTTOM - y / plot.top * (HEIGHT - BOTTOM - EDGE)
        return f"{across:.1f},{up:.1f}"

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>')
    for step in range(5):
        y, x = plot.top * step / 4, first + (last - first) * step / 4
        left, up = place(first, y).split(",")
        parts.append(f'<path d="M{left},{up}H{WIDTH - EDGE}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{float(up) + 4:.1f}" font-size="12" text-anchor="end">{y:g}</text>')
        across = place(x, 0).split(",")[0]
        parts.append(f'<text x="{across}" y="{HEIGHT - 28}" font-size="12" text-anchor="middle">{x:g}</text>')
    middle = (LEFT + WIDTH - EDGE) // 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" font-size="13" text-anchor="middle">{plot.x_title}</text>')
    half = HEIGHT // 2
    turned = f'x="14" y="{half}" font-size="13" text-anchor="middle" transform="rotate(-90 14 {half})"'
    parts.append(f"<text {turned}>{plot.y_title}</text>")
    for number, (name, curve) in enumerate(plot.curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(place(x, curve(x)) for x in plot.points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        label = f'x="{WIDTH - EDGE - 8}" y="{HEIGHT - BOTTOM - 14 - 18 * number}" font-size="12" text-anchor="end"'
        if plot.names_above:
            label = f'x="{LEFT + 8}" y="{EDGE + 14 + 18 * number}" font-size="12"'
        parts.append(f'<text {label} fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    for one in PLOTS:
        Path(__file__).with_name(one.file).write_text(drawn(one), encoding="utf-8")
