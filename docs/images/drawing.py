"""How a curve is drawn as SVG. The standard library is enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 640, 320, 60, 46, 18
COLOURS = ("#3f51b5", "#c2185b", "#00796b", "#e65100")


@dataclass(frozen=True)
class Plot:
    """A picture: its file, axes, the highest y, where curves are taken, the curves by name, and where names stand.

    Names stand at the right below, unless above is asked for, or above at the left. `bottom` is the lowest y.
    """

    file: str
    x_title: str
    y_title: str
    top: float
    points: tuple[float, ...]
    curves: dict[str, Callable[[float], float]]
    names_above: bool = False
    names_right: bool = False
    bottom: float = 0.0


def drawn(plot: Plot) -> str:
    """The picture as SVG."""
    first, last = plot.points[0], plot.points[-1]

    def place(x: float, y: float) -> str:
        across = LEFT + (x - first) / (last - first) * (WIDTH - LEFT - EDGE)
        up = HEIGHT - BOTTOM - (y - plot.bottom) / (plot.top - plot.bottom) * (HEIGHT - BOTTOM - EDGE)
        return f"{across:.1f},{up:.1f}"

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>')
    for step in range(5):
        y, x = plot.bottom + (plot.top - plot.bottom) * step / 4, first + (last - first) * step / 4
        left, up = place(first, y).split(",")
        parts.append(f'<path d="M{left},{up}H{WIDTH - EDGE}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{float(up) + 4:.1f}" font-size="12" text-anchor="end">{y:g}</text>')
        across = place(x, plot.bottom).split(",")[0]
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
        if plot.names_right:
            label = f'x="{WIDTH - EDGE - 8}" y="{EDGE + 14 + 18 * number}" font-size="12" text-anchor="end"'
        if plot.names_above:
            label = f'x="{LEFT + 8}" y="{EDGE + 14 + 18 * number}" font-size="12"'
        parts.append(f'<text {label} fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
