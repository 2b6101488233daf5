"""Several rankings become one, by ranks or by scores of one scale. Values only; nothing here performs I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from popoto.exceptions import QueryException
from popoto.queries.hits import Hit, Part

RRF_K: Final = 60.0
Method = Literal["minmax", "rrf"]


@dataclass(slots=True)
class Ranking:
    """One list that was given.

    Attributes:
        name: its keyword.
        scores: each row's score by its key, in the list's order.
        least: what a row that is not in the list would score; None where nobody can tell.
    """

    name: str
    scores: dict[str, float] = field(default_factory=dict)
    least: float | None = None


@dataclass(slots=True)
class Fused:
    """A row's score so far, and what made it."""

    score: float = 0.0
    parts: list[Part] = field(default_factory=list)

    def add(self, part: Part) -> None:
        """Take one part in."""
        self.score += part.contribution
        self.parts.append(part)


def ranking(name: str, given: Any, key_of: Callable[[Any], str]) -> Ranking:
    """One list of rows, hits, keys, or pairs of any of these with a score; or a mapping of keys to scores.

    Rows tell their score where a search noted one on them (`_bm25_score`); where any item has none, the places decide.

    Raises:
        QueryException: for another thing.
    """
    if isinstance(given, Mapping):
        pairs = sorted(((key_of(key), score) for key, score in given.items()), key=lambda pair: (-pair[1], pair[0]))
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes):
        pairs = [_pair(name, item, key_of) for item in given]
    else:
        raise QueryException(f"fuse({name}={given!r:.60}) is no list: give rows, keys, or (key, score) pairs")
    if any(score is None for _, score in pairs):
        pairs = [(key, 1.0 - place / len(pairs)) for place, (key, _) in enumerate(pairs)]
    found = Ranking(name)
    for key, score in pairs:
        if score is not None and math.isfinite(score):
            found.scores.setdefault(key, float(score))
    return found


def _pair(name: str, item: Any, key_of: Callable[[Any], str]) -> tuple[str, float | None]:
    if isinstance(item, Hit):
        return item.key, item.score
    if isinstance(item, tuple) and len(item) == 2:
        if isinstance(item[1], bool) or not isinstance(item[1], int | float):
            raise QueryException(f"fuse({name}=...): {item!r:.60} has no number for its score")
        return key_of(item[0]), float(item[1])
    return key_of(item), _noted(name, item)


def _noted(name: str, row: Any) -> float | None:
    noted = {key: value for key, value in getattr(row, "__dict__", {}).items() if key.endswith("_score")}
    noted = {key: value for key, value in noted.items() if key[0] == "_" and isinstance(value, float)}
    own: float | None = noted.get(f"_{name}_score")
    if own is not None or len(noted) != 1:
        return own
    score: float = next(iter(noted.values()))
    return score


def fused(rankings: Sequence[Ranking], method: Method, k: float, weights: Mapping[str, float]) -> dict[str, Fused]:
    """Every row of any ranking with its score.

    `rrf` is the sum of weight / (k + rank), ranks from 1 (Cormack, Clarke and Buettcher 2009, "Reciprocal rank fusion
    outperforms Condorcet and individual rank learning methods"). `minmax` brings each ranking to 0 to 1 by its least
    and greatest score, all 1 when these are the same, and gives the weighted mean; a row that it lacks has 0 there.
    """
    found: dict[str, Fused] = {}
    total = sum(weights[one.name] for one in rankings)
    for one in rankings:
        scores = one.scores
        low, high = (min(scores.values()), max(scores.values())) if scores else (0.0, 0.0)
        low = low if one.least is None else min(low, one.least)
        for rank, (key, score) in enumerate(scores.items(), 1):
            if method == "rrf":
                weight = weights[one.name]
                part = Part(one.name, float(rank), weight, weight / (k + rank))
            else:
                weight = weights[one.name] / total
                part = Part(one.name, score, weight, weight * _scaled(score, low, high))
            found.setdefault(key, Fused()).add(part)
    return found


def _scaled(score: float, low: float, high: float) -> float:
    return (score - low) / (high - low) if high > low else 1.0


def mix_neighbours(found: Mapping[str, Fused], ranks: Mapping[str, tuple[Any, int]], share: float) -> None:
    """Add a share of the scores of the rows right before and after each, as they were before any was mixed.

    Args:
        ranks: of each row the order that it is in, and its place there.
    """
    before = {ranks[key]: one.score for key, one in found.items() if key in ranks}
    for key, one in found.items():
        if key in ranks:
            order, rank = ranks[key]
            raw = before.get((order, rank - 1), 0.0) + before.get((order, rank + 1), 0.0)
            if raw:
                one.add(Part("neighbours", raw, share, share * raw))


def mix_groups(found: Mapping[str, Fused], groups: Mapping[str, Any], share: float) -> None:
    """Add a share of the best score in each row's group."""
    best: dict[Any, float] = {}
    for key, one in found.items():
        best[groups[key]] = max(one.score, best.get(groups[key], one.score))
    for key, one in found.items():
        raw = best[groups[key]]
        one.add(Part("group", raw, share, share * raw))
