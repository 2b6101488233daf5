"""Draws the curves of the guides as SVG files beside this script; the standard library is enough.

python docs/images/plot_curves.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 320, 60, 50, 20, 170
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b")
SAMPLES = 200


@dataclass(frozen=True)
class Plot:
    """Some curves over one range: the file's name, the axes' titles and ends, and each curve by its label."""

    name: str
    across: str
    up: str
    low: float
    high: float
    top: float
    curves: dict[str, Callable[[float], float]]


def saturation(k1: float, b: float, length: float) -> Callable[[float], float]:
    """What a word adds by its count, before its idf; length is in means."""
    return lambda count: count * (k1 + 1) / (count + k1 * (1 - b + b * length))


def errors(hashes_of: float) -> Callable[[float], float]:
    """A Bloom filter's error rate by how many words it holds, in capacities."""
    bits = -math.log(hashes_of) / math.log(2) ** 2
    hashes = max(1, int(bits * math.log(2)))
    return lambda words: (1 - math.exp(-hashes * words / bits)) ** hashes


PLOTS = [
    Plot(
        "bm25_saturation",
        "count of the word in the text",
        "tf (k1 + 1) / (tf + k1 (1 - b + b dl/avgdl))",
        0,
        10,
        2.5,
        {
            "k1 1.2, b .75, mean length": saturation(1.2, 0.75, 1),
            "k1 1.2, b .75, 3 times as long": saturation(1.2, 0.75, 3),
            "k1 .9, b .4, mean length": saturation(0.9, 0.4, 1),
            "k1 .9, b .4, 3 times as long": saturation(0.9, 0.4, 3),
        },
    ),
    Plot(
        "bloom_errors",
        "distinct words held / capacity",
        "part of absent words that seem present",
        0,
        2,
        0.2,
        {"error_rate .01": errors(0.01), "error_rate .05": errors(0.05), "error_rate .001": errors(0.001)},
    ),
    Plot(
        "count_min_errors",
        "distinct words / width",
        "part of unseen words that are counted",
        0,
        2,
        1.0,
        {f"depth {depth}": (lambda load, depth=depth: (1 - math.exp(-load)) ** depth) for depth in (1, 3, 7)},
    ),
]


def drawn(plot: Plot) -> str:
    """A plot as the text of an SVG file."""

    def x(value: float) -> float:
        return LEFT + (value - plot.low) / (plot.high - plot.low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - min(value, plot.top) / plot.top * (HEIGHT - BOTTOM - TOP)

    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for step in range(6):
        across, up = plot.low + (plot.high - plot.low) * step / 5, plot.top * step / 5
        grid = f"M{x(across):.1f} {TOP}V{HEIGHT - BOTTOM}M{LEFT} {y(up):.1f}H{WIDTH - RIGHT}"
        parts.append(f'<path d="{grid}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(across):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{across:g}</text>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(up) + 4:.1f}" text-anchor="end">{up:.3g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">{escape(plot.across)}</text>')
    turned = f'transform="translate(14 {(HEIGHT - BOTTOM + TOP) / 2}) rotate(-90)"'
    parts.append(f'<text {turned} text-anchor="middle" font-size="10">{escape(plot.up)}</text>')
    for number, (label, curve) in enumerate(plot.curves.items()):
        values = [plot.low + (plot.high - plot.low) * place / SAMPLES for place in range(SAMPLES + 1)]
        points = [(x(value), y(curve(value))) for value in values if curve(value) <= plot.top]
        line = "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in points)
        colour = COLOURS[number]
        parts.append(f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        place = f'x="{WIDTH - RIGHT + 8}" y="{TOP + 14 + 18 * number}"'
        parts.append(f'<text {place} fill="{colour}" font-size="11">{escape(label)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    """Draw every plot."""
    for plot in PLOTS:
        Path(__file__).with_name(f"{plot.name}.svg").write_text(drawn(plot), encoding="utf-8")


if __name__ == "__main__":
    main()
