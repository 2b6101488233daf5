"""A graph beside rows: its edges lead both ways, go and move with their rows, and are followed under a budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from popoto import Connection, CoOccurrenceField, KeyField, Model, using
from popoto import connection as current
from popoto.storage import ask, ask_all
from popoto.storage.commands.keys import delete
from popoto.storage.commands.sets import smembers
from popoto.storage.commands.sorted_sets import zrange
from popoto_conformance.cases import Driver, exactly
from popoto_conformance.shelf import Shelf

pytestmark = pytest.mark.needs("lua")

NODES = ("A", "B", "C", "D", "E", "F")


class Web(Shelf):
    """A model with graphs, and their verbs run by one driver."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        body = {
            "name": KeyField(),
            "near": CoOccurrenceField(max_edges=3),
            "leads": CoOccurrenceField(symmetric=False),
        }
        self.model = type(self.name, (Model,), body)

    def do(self, verb: str, *words: Any, field: str = "near", **named: Any) -> Any:
        """A verb of a graph."""
        return self.run(getattr(self.model, field), verb, self.model, *words, **named)

    def edges(self, node: str, field: str = "near") -> dict[str, float]:
        """A node's edge set as it is stored."""
        key = getattr(self.model, field).get_edge_key(self.model, node)
        return {other.decode(): weight for other, weight in current().run(ask(zrange(key, 0, -1)))}

    def sources(self, node: str) -> set[bytes]:
        """Who leads one way to a node."""
        return set(current().run(ask(smembers(self.key(f"$CoOcR:{self.name}:leads:{node}")))))


@pytest.fixture
def web(driver: Driver, connection: Connection) -> Iterator[Web]:
    """A model of a name of its own; what it has stored is deleted in the end."""
    with using(connection):
        made = Web(driver)
        yield made
        for row in made.model.query.all():
            row.delete()
        bases = [f"$CoOc{kind}:{made.name}:{field}:" for kind in "FR" for field in ("near", "leads")]
        nodes = [*NODES, *(f"{made.name}:{name}" for name in "abc")]
        current().run(ask_all([delete(made.key(base + node)) for base in bases for node in nodes]))


def test_an_edge_leads_both_ways_and_has_its_whole_weight(web: Web) -> None:
    exactly(web.do("link", "A", "B", 0.7), 0.7)
    exactly(web.do("strengthen", "B", "A", 1 / 3), 0.7 + 1 / 3)
    exactly([web.edges("A"), web.edges("B")], [{"B": 0.7 + 1 / 3}, {"A": 0.7 + 1 / 3}])
    exactly(web.do("strengthen", "A", "B", 1 / 3), 0.7 + 1 / 3 + 1 / 3)
    exactly(web.do("unlink", "A", "B"), True)
    exactly([web.edges("A"), web.edges("B")], [{}, {}])


def test_the_lightest_edge_makes_room_on_both_sides(web: Web) -> None:
    for node, weight in (("B", 0.2), ("C", 0.3), ("D", 0.4), ("E", 0.1)):
        web.do("link", "A", node, weight)
    exactly(web.edges("A"), {"E": 0.1, "C": 0.3, "D": 0.4})
    exactly(web.edges("B"), {})


def test_the_heaviest_edges_are_told_in_order(web: Web) -> None:
    for node, weight in (("D", 7.5), ("C", 1 / 3), ("B", 1 / 3), ("E", 1 / 3), ("F", 0.001)):
        web.do("link", "A", node, weight, field="leads")
    heaviest = [("D", 7.5), ("B", 1 / 3), ("C", 1 / 3), ("E", 1 / 3)]
    exactly(web.do("get_linked", "A", field="leads"), heaviest)
    exactly(web.do("get_linked", "A", field="leads", limit=2), heaviest[:2])
    exactly(web.do("get_linked", "A", field="leads", min_weight=1 / 3), heaviest)
    exactly(list(web.do("propagate", ["A"], field="leads", depth=1)), ["D", "B", "C", "E"])


def test_light_edges_are_weakened_away(web: Web) -> None:
    for node, weight in (("B", 1.0), ("C", 0.001), ("D", 0.01)):
        web.do("link", "A", node, weight)
    exactly(web.do("weaken_all", "A", 0.5), 1)
    exactly(web.do("get_linked", "A", min_weight=0), [("B", 0.5), ("D", 0.005)])


def test_edges_move_and_go_with_their_row(web: Web) -> None:
    one, other = (web.run(web.model, "create", name=name) for name in "ab")
    web.do("link", one, other, 0.5)
    web.do("link", "A", one, 0.25, field="leads")
    one.name = "c"
    web.run(one, "save", migrate_key=True)
    exactly([web.edges(one.pk), web.edges(other.pk)], [{other.pk: 0.5}, {one.pk: 0.5}])
    exactly([web.edges("A", "leads"), web.sources(one.pk)], [{one.pk: 0.25}, {b"A"}])
    pk, former = one.pk, f"{web.name}:a"
    exactly([web.edges(former), web.sources(former)], [{}, set()])
    for node in "BCD":
        web.do("link", node, one, 0.5, field="leads")
    for node in "DEF":
        web.do("link", one, node, 0.5, field="leads")
    web.run(one, "delete")
    exactly([web.edges(node, "leads") for node in (pk, *"ABCD")], [{}] * 5)
    exactly([web.edges(pk), web.edges(other.pk)], [{}, {}])
    exactly([web.sources(node) for node in (pk, *"DEF")], [set()] * 4)


def test_edges_of_a_row_that_is_gone_are_found_and_cleaned(web: Web) -> None:
    row = web.run(web.model, "create", name="a")
    web.do("link", "A", row, field="leads")
    web.do("link", "A", "B", field="leads")
    web.forget(web.key(row.pk))
    exactly(web.run(web.model, "check_indexes")["companions"], {"near": 0, "leads": 1})
    web.run(web.model, "clean_indexes")
    exactly(web.edges("A", "leads"), {"B": 0.1})


def test_the_heaviest_walks_are_found(web: Web) -> None:
    for one, other, weight in (("A", "B", 0.8), ("B", "C", 0.6), ("A", "D", 0.4), ("D", "C", 1.0), ("C", "E", 0.9)):
        web.do("link", one, other, weight)
    web.do("link", "A", "F", 0.015)
    found = web.do("propagate", ["A"], depth=3)
    exactly(
        [(node, round(weight, 12)) for node, weight in found.items()],
        [("B", 0.4), ("D", 0.2), ("C", 0.12), ("E", 0.054)],
    )
    exactly([found.exact, found.complete], [True, True])
    cut = web.do("propagate", ["A"], depth=3, budget=4)
    exactly([list(cut), cut.exact], [["B", "D"], False])
