"""The model with graphs beside its rows, the graphs as they are stored, and what a spreading over one should find."""

from __future__ import annotations

from typing import Any

from stored import keyspace

from popoto import CoOccurrenceField, KeyField, Model


class Mem(Model):
    name = KeyField()
    near = CoOccurrenceField()
    few = CoOccurrenceField(max_edges=2)
    leads = CoOccurrenceField(symmetric=False, max_edges=3)


NEAR: Any = Mem.near
FEW: Any = Mem.few
LEADS: Any = Mem.leads


def edges(plain: Any, field: str = "near", tag: str = "$CoOcF") -> dict[str, dict[str, float]]:
    """The weights of each node's edges as they are stored."""
    base = f"{tag}:Mem:{field}:"
    return {
        key.decode().removeprefix(base): {node.decode(): weight for node, weight in value.items()}
        for key, value in keyspace(plain).items()
        if key.decode().startswith(base)
    }


def sources(plain: Any, field: str) -> dict[str, set[str]]:
    """The nodes whose one-sided edges lead to a node, as they are stored."""
    base = f"$CoOcR:Mem:{field}:"
    return {
        key.decode().removeprefix(base): {node.decode() for node in value}
        for key, value in keyspace(plain).items()
        if key.decode().startswith(base)
    }


def graph_keys(plain: Any) -> set[bytes]:
    """Every key of a graph."""
    return {key for key in keyspace(plain) if key.startswith(b"$CoOc")}


def model_of(graph: dict[str, dict[str, float]], seeds: set[str], depth: int, hop: float, least: float) -> Any:
    """What a spreading finds in plain dictionaries, the heaviest first."""
    best = dict.fromkeys(seeds, 1.0)
    level = dict(best)
    for _ in range(depth):
        reached: dict[str, float] = {}
        for node, weight in level.items():
            for other, edge in graph.get(node, {}).items():
                new = weight * min(1.0, hop * edge)
                if new >= least and new > best.get(other, 0.0):
                    best[other] = reached[other] = new
        level = reached
    found = {node: weight for node, weight in best.items() if node not in seeds}
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))
