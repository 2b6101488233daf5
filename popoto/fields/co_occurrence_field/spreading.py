"""Spreading activation: from some nodes along the heaviest edges, under a budget."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from popoto.fields.co_occurrence_field.graph import OLDER_TAG, SPREAD, TAG, Graph, encoded, pairs
from popoto.storage import Call, ask
from popoto.storage.steps import Arg

# Edges that one script looks at: benchmarks/graph.py says what they cost a server.
EDGES_OF_A_CALL: Final = 16_000
# Nodes whose names go with one call.
_NODES_OF_A_CALL: Final = 1000


class Associations(dict[str, float]):
    """Weights by key, the heaviest first, with what the budget allowed.

    Attributes:
        exact: whether these are the heaviest nodes, each with its true weight; False when the budget of edges ran out.
        complete: whether these are, besides, all nodes that reach the threshold; False when there were more of them.
        edges: how many edges were looked at; looking a node up counts as two.
    """

    def __init__(
        self, weights: Iterable[tuple[str, float]] = (), *, cut: bool = False, over: bool = False, edges: int = 0
    ) -> None:
        super().__init__(weights)
        self.exact = not cut
        self.complete = not cut and not over
        self.edges = edges


@dataclass(frozen=True, slots=True)
class Spread:
    """What is asked of a graph.

    Attributes:
        seeds: where to begin, each once.
        depth: how many hops.
        hop: the factor of each hop.
        threshold: the smallest weight.
        most: how many nodes to find.
        budget: how many edges to look at.
    """

    seeds: tuple[str, ...]
    depth: int
    hop: float
    threshold: float
    most: int
    budget: int


async def spread(graph: Graph, asked: Spread) -> Associations:
    """Follow edges: in one step, or level by level in more of them where the budget is larger than a step's."""
    start = [(pk, 1.0) for pk in asked.seeds]
    first = min(asked.budget, EDGES_OF_A_CALL)
    reply = await _call(graph, asked, start, asked.threshold, asked.depth, asked.most, first)
    cut, over, edges, _, *rest = reply
    if cut and asked.budget > first:
        return await _widely(graph, asked, asked.budget - edges)
    return Associations(pairs(rest), cut=bool(cut), over=bool(over), edges=edges)


async def _call(
    graph: Graph, asked: Spread, nodes: Sequence[tuple[str, float]], least: float, depth: int, most: int, budget: int
) -> Any:
    words: list[Arg] = [graph.base(TAG), graph.base(OLDER_TAG), repr(asked.hop), repr(least), depth, most, budget]
    words += (graph.most, len(nodes))
    for pk, weight in nodes:
        words += (encoded(pk), repr(weight))
    return await ask(Call(SPREAD, [graph.key(nodes[0][0])], words))


async def _widely(graph: Graph, asked: Spread, left: int) -> Associations:
    """The same with the weights kept here, from the seeds on: each call follows one level of some nodes."""
    best = dict.fromkeys(asked.seeds, 1.0)
    frontier = list(best.items())
    cut = False
    for _ in range(asked.depth):
        improved: set[str] = set()
        left, cut = await _level(graph, asked, frontier, best, improved, left)
        frontier = sorted(((pk, best[pk]) for pk in improved), key=_order)
        if cut or not frontier:
            break
    for pk in asked.seeds:
        del best[pk]
    heaviest = heapq.nsmallest(asked.most, best.items(), key=_order)
    return Associations(heaviest, cut=cut, over=len(best) > asked.most, edges=asked.budget - left)


async def _level(
    graph: Graph,
    asked: Spread,
    frontier: list[tuple[str, float]],
    best: dict[str, float],
    improved: set[str],
    left: int,
) -> tuple[int, bool]:
    """Follow one level; the budget that is left, and whether that was too little."""
    at = 0
    while at < len(frontier):
        least = _least(asked, best)
        if frontier[at][1] < least:
            break
        if left <= 0:
            return left, True
        some = frontier[at : at + _NODES_OF_A_CALL]
        _, _, edges, followed, *rest = await _call(graph, asked, some, least, 1, 0, min(left, EDGES_OF_A_CALL))
        left -= edges
        for pk, weight in pairs(rest):
            if weight > best.get(pk, 0.0):
                best[pk] = weight
                improved.add(pk)
        at += followed
    return left, False


def _least(asked: Spread, best: dict[str, float]) -> float:
    """What is lighter than so many nodes need not be followed: weights only fall along a walk."""
    if len(best) <= asked.most + len(asked.seeds):
        return asked.threshold
    heaviest = heapq.nlargest(asked.most + len(asked.seeds), best.values())
    return max(asked.threshold, heaviest[-1])


def _order(one: tuple[str, float]) -> tuple[float, bytes]:
    return -one[1], encoded(one[0])
