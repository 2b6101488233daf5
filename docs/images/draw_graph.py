"""Draws propagation.svg, the picture of the CoOccurrenceField guide: `python docs/images/draw_graph.py`."""

from __future__ import annotations

from pathlib import Path

from popoto import CoOccurrenceField, KeyField, Model, connect

PLACES = {"A": (70, 150), "B": (230, 70), "D": (230, 230), "C": (390, 150), "E": (550, 150), "F": (70, 270)}
EDGES = [("A", "B", 0.8), ("B", "C", 0.6), ("A", "D", 0.4), ("D", "C", 1.0), ("C", "E", 0.9), ("A", "F", 0.015)]
HEAVIEST = {("A", "B"), ("B", "C"), ("A", "D"), ("C", "E")}
STYLE = "text{font:14px sans-serif;text-anchor:middle;fill:#333}.w{font-size:12px;fill:#666}.n{font-weight:bold}"


class Fact(Model):
    """A row of the example."""

    name = KeyField()
    near = CoOccurrenceField()


def main() -> None:
    """Link, propagate, draw."""
    connect("fake://")
    for one, other, weight in EDGES:
        Fact.near.link(Fact, one, other, weight)
    found = Fact.near.propagate(Fact, ["A"], depth=3)
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 620 320" width="620" height="320">']
    parts.append(f"<style>{STYLE}</style>")
    for one, other, weight in EDGES:
        (x, y), (right, down) = PLACES[one], PLACES[other]
        colour, width = ("#1f77b4", 1 + 4 * weight) if (one, other) in HEAVIEST else ("#bbb", 1.5)
        parts.append(f'<path d="M{x} {y}L{right} {down}" stroke="{colour}" stroke-width="{width:g}"/>')
        parts.append(f'<text class="w" x="{(x + right) / 2 + 14:g}" y="{(y + down) / 2 - 8:g}">{weight:g}</text>')
    for name, (x, y) in PLACES.items():
        weight = 1.0 if name == "A" else found.get(name)
        shade = "#ffffff" if weight is None else f"hsl(210,75%,{95 - 40 * weight**0.5:.0f}%)"
        parts.append(f'<circle cx="{x}" cy="{y}" r="24" fill="{shade}" stroke="#1f77b4"/>')
        parts.append(f'<text class="n" x="{x}" y="{y + 5}">{name}</text>')
        label = "seed" if name == "A" else "not reached" if weight is None else f"{weight:.3g}"
        parts.append(f'<text x="{x}" y="{y - 32 if name in "AB" else y + 42}">{label}</text>')
    target = Path(__file__).with_name("propagation.svg")
    target.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
