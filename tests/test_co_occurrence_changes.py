"""Any changes of a graph leave just the edges that plain dictionaries would have, and spread alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from graphs import Mem, edges, model_of, sources
from hypothesis import given, settings
from hypothesis import strategies as some

import popoto
from popoto import connection
from popoto.fields.co_occurrence_field import spreading
from popoto.storage import Connection


class Plain:
    """The same graph as plain dictionaries."""

    def __init__(self, symmetric: bool, most: int) -> None:
        self.edges: dict[str, dict[str, float]] = {}
        self.symmetric, self.most = symmetric, most

    def directions(self, a: str, b: str) -> list[tuple[str, str]]:
        return [(a, b), (b, a)] if self.symmetric else [(a, b)]

    def put(self, a: str, b: str, make: Callable[[float | None], float]) -> None:
        for one, other in self.directions(a, b):
            mine = self.edges.setdefault(one, {})
            mine[other] = make(mine.get(other))
            self.prune(one, other)

    def prune(self, one: str, kept: str | None) -> None:
        mine = self.edges[one]
        lightest = sorted((weight, node) for node, weight in mine.items() if node != kept)
        for _, victim in lightest[: max(0, len(mine) - self.most)]:
            self.drop(one, victim)

    def drop(self, a: str, b: str) -> None:
        for one, other in self.directions(a, b):
            self.edges.get(one, {}).pop(other, None)

    def weaken(self, a: str, factor: float) -> None:
        mine = self.edges.get(a, {})
        self.edges[a] = {node: weight * factor for node, weight in mine.items() if weight * factor >= 0.001}

    def gone(self, a: str) -> None:
        self.edges.pop(a, None)
        for mine in self.edges.values():
            mine.pop(a, None)

    def renamed(self, a: str, b: str) -> None:
        target = self.edges.setdefault(b, {})
        for node, weight in self.edges.pop(a, {}).items():
            if node != b:
                target[node] = max(weight, target.get(node, 0.0))
        for node, mine in self.edges.items():
            weight = mine.pop(a, 0.0)
            if weight and node != b:
                mine[b] = max(weight, mine.get(b, 0.0))
        self.prune(b, None)

    @property
    def known(self) -> dict[str, dict[str, float]]:
        return {node: mine for node, mine in self.edges.items() if mine}


NODES = some.sampled_from([f"Mem:{letter}" for letter in "abcdef"])
WEIGHTS = some.sampled_from([0.002, 0.1, 0.3, 0.5, 0.9, 1.0, 2.5])
VERBS = some.sampled_from(["link", "strengthen", "unlink", "weaken", "delete", "rename"])
CHANGES = some.lists(some.tuples(VERBS, NODES, NODES, WEIGHTS), max_size=25)
# The changes, and the seeds, depth, factor a hop and size of a spreading over what they leave.
any_spreading = given(
    CHANGES,
    some.sets(NODES, min_size=1, max_size=2),
    some.integers(1, 4),
    some.sampled_from([0.5, 1.0]),
    some.integers(1, 6),
)


def play(field: Any, changes: list[Any]) -> Plain:
    plainly = Plain(field.symmetric, field.max_edges)
    for number, (verb, a, b, weight) in enumerate(changes):
        if verb == "weaken":
            field.weaken_all(Mem, a, min(weight, 1.0))
            plainly.weaken(a, min(weight, 1.0))
        elif verb == "delete":
            Mem.create(name=a.removeprefix("Mem:")).delete()
            plainly.gone(a)
        elif verb == "rename":
            row = Mem.create(name=a.removeprefix("Mem:"))
            # To a new name, or to one that has edges already.
            row.name = b.removeprefix("Mem:") if weight < 0.5 and a != b else f"new{number}"
            row.save(migrate_key=True)
            plainly.renamed(a, row.pk)
            # Behind the graph's back, so that the name is free again.
            connection().native.delete(row.pk)
        elif a != b and verb == "unlink":
            field.unlink(Mem, a, b)
            plainly.drop(a, b)
        elif a != b and verb == "link":
            field.link(Mem, a, b, weight)
            plainly.put(a, b, lambda known, weight=weight: weight if known is None else known)  # type: ignore[misc]
        elif a != b:
            field.strengthen(Mem, a, b, weight)
            plainly.put(a, b, lambda known, weight=weight: (known or 0.0) + weight)  # type: ignore[misc]
    return plainly


def compare(here: Connection, changes: list[Any], seeds: set[str], depth: int, hop: float, most: int) -> None:
    plain = here.native
    for name in ("few", "leads", "near"):
        plain.flushall()
        field = Mem._meta.fields[name]
        plainly = play(field, changes)
        assert edges(plain, name) == plainly.known
        one_sided: dict[str, set[str]] = {}
        for node, mine in plainly.known.items():
            for other in mine:
                if node not in plainly.known.get(other, {}):
                    one_sided.setdefault(other, set()).add(node)
        assert sources(plain, name) == one_sided
        expected = model_of(plainly.known, seeds, depth, hop, 0.01)
        wide: Any = field
        found = wide.propagate(Mem, seeds, depth=depth, decay_per_hop=hop, max_nodes=most)
        assert (list(found.items()), found.exact) == (expected[:most], True)
        assert found.complete == (len(expected) <= most)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(spreading, "EDGES_OF_A_CALL", 8)
            found = wide.propagate(Mem, seeds, depth=depth, decay_per_hop=hop, max_nodes=most, budget=10_000)
        assert (list(found.items()), found.exact) == (expected[:most], True)


@settings(max_examples=15, deadline=None)
@any_spreading
def test_a_graph_is_what_a_plain_one_is_on_the_fake(
    changes: list[Any], seeds: set[str], depth: int, hop: float, most: int
) -> None:
    here = Connection("fake://")
    with popoto.using(here):
        compare(here, changes, seeds, depth, hop, most)


def test_a_graph_is_what_a_plain_one_is_on_servers(server: Connection) -> None:
    @settings(max_examples=40, deadline=None)
    @any_spreading
    def same(changes: list[Any], seeds: set[str], depth: int, hop: float, most: int) -> None:
        compare(server, changes, seeds, depth, hop, most)

    same()
