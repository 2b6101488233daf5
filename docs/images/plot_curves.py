"""Draws the curves of the guides as SVG: `python docs/images/plot_curves.py [folder]`.

A curve is a function of x: a bare formula, here, or what popoto answers, in `library_curves.py`.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from pathlib import Path

import library_curves
from drawing import Plot, drawn


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


PLOTS = [
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


def main(folder: Path) -> None:
    """Draw all of them into a folder."""
    for one in [*PLOTS, *library_curves.plots()]:
        (folder / one.file).write_text(drawn(one), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent)
