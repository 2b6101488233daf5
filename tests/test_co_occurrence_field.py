"""A graph beside rows: links in both directions, bounded, and what is refused."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
from collections.abc import Callable
from typing import Any

import pytest
from graphs import FEW, LEADS, NEAR, Mem, edges, graph_keys, sources
from stored import keyspace

import popoto
from popoto import CoOccurrenceField, Defaults, KeyField, Model, ModelException, connection, round_trips
from popoto.storage import Connection


def test_a_link_is_a_member_of_both_edge_sets_and_costs_one_trip(store: Connection, plain: Any) -> None:
    # D30: the weight came back as its integer part.
    with round_trips() as trips:
        assert NEAR.link(Mem, "a", "b") == 0.1
        assert NEAR.link(Mem, "a", "c", initial_weight=1.7) == 1.7
    assert edges(plain) == {"a": {"b": 0.1, "c": 1.7}, "b": {"a": 0.1}, "c": {"a": 1.7}}
    assert (graph_keys(plain), trips) == ({b"$CoOcF:Mem:near:a", b"$CoOcF:Mem:near:b", b"$CoOcF:Mem:near:c"}, 2)


def test_edge_keys_are_those_of_the_reference(fake: Connection) -> None:
    assert NEAR.get_edge_key(Mem, "fact1") == "$CoOcF:Mem:near:fact1"
    assert NEAR.get_edge_key(Mem(name="x"), Mem(name="x")) == "$CoOcF:Mem:near:Mem:x"
    assert NEAR.get_edge_key_prefix(Mem) == "$CoOcF:Mem:near:"
    assert Mem._options.fields["near"] is NEAR  # type: ignore[attr-defined]


def test_edge_keys_have_the_connections_namespace(plain: Any, fake: Connection) -> None:
    with popoto.using(popoto.Connection("fake://spaced?namespace=ns")) as here:
        row = Mem.create(name="x")
        NEAR.link(Mem, row, "b")
        assert here.native.zrange(NEAR.get_edge_key(Mem, row), 0, -1) == [b"b"]
        assert NEAR.get_edge_key(Mem, row) == "ns:$CoOcF:Mem:near:Mem:x"
        other = Mem.create(name="other")
        NEAR.link(Mem, other, "b")
        other.delete()
        row.name = "y"
        row.save(migrate_key=True)
        assert NEAR.get_linked(Mem, "b") == [("Mem:y", 0.1)]
        here.native.delete("ns:Mem:y")
        assert Mem.check_indexes()["companions"]["near"] == 1
        row.delete()
        Mem.clean_indexes()
        assert here.native.keys("*") == []


def test_an_edge_that_is_there_keeps_its_weight(store: Connection, plain: Any) -> None:
    NEAR.link(Mem, "a", "b", 0.7)
    assert NEAR.link(Mem, "b", "a", 0.2) == 0.7
    assert edges(plain) == {"a": {"b": 0.7}, "b": {"a": 0.7}}


def test_an_asymmetric_link_leads_one_way(store: Connection, plain: Any) -> None:
    LEADS.link(Mem, "a", "b", 0.7)
    assert edges(plain, "leads") == {"a": {"b": 0.7}}
    assert sources(plain, "leads") == {"b": {"a"}}
    LEADS.link(Mem, "b", "a", 0.2)
    assert (edges(plain, "leads"), sources(plain, "leads")) == ({"a": {"b": 0.7}, "b": {"a": 0.2}}, {})
    assert LEADS.unlink(Mem, "a", "b") is True
    assert (edges(plain, "leads"), sources(plain, "leads")) == ({"b": {"a": 0.2}}, {"a": {"b"}})


def test_a_new_edge_is_never_the_one_that_makes_room(store: Connection, plain: Any) -> None:
    # D30: the new, lightest edge was dropped at once, its mirror stayed.
    FEW.link(Mem, "x", "a", 0.5)
    FEW.link(Mem, "x", "b", 0.6)
    assert FEW.link(Mem, "x", "d", 0.01) == 0.01
    assert edges(plain, "few") == {"x": {"b": 0.6, "d": 0.01}, "b": {"x": 0.6}, "d": {"x": 0.01}}
    FEW.link(Mem, "b", "p", 0.7)
    FEW.link(Mem, "p", "q", 0.9)
    # Room is made on the other side too.
    FEW.link(Mem, "e", "b", 0.1)
    assert edges(plain, "few")["b"] == {"e": 0.1, "p": 0.7}
    assert edges(plain, "few")["x"] == {"d": 0.01}
    assert sources(plain, "few") == {}


def test_strengthen_keeps_a_node_within_its_edges(store: Connection, plain: Any) -> None:
    # D30: strengthen ignored max_edges.
    for number in range(7):
        assert FEW.strengthen(Mem, "x", f"n{number}", 0.05 + number / 100) == 0.05 + number / 100
    assert edges(plain, "few") == {"x": {"n5": 0.1, "n6": 0.11}, "n5": {"x": 0.1}, "n6": {"x": 0.11}}


def test_strengthen_adds_in_both_directions(store: Connection, plain: Any) -> None:
    NEAR.link(Mem, "a", "b", 0.5)
    with round_trips() as trips:
        assert NEAR.strengthen(Mem, "a", "b") == 0.55
        assert NEAR.strengthen(Mem, "b", "a", delta=1 / 3) == 0.55 + 1 / 3
    assert (edges(plain), trips) == ({"a": {"b": 0.55 + 1 / 3}, "b": {"a": 0.55 + 1 / 3}}, 2)
    assert NEAR.strengthen(Mem, "a", "b", 1e6) == 1e6


def test_unlink_tells_whether_there_was_an_edge(store: Connection, plain: Any) -> None:
    NEAR.link(Mem, "a", "b")
    assert (NEAR.unlink(Mem, "b", "a"), NEAR.unlink(Mem, "b", "a")) == (True, False)
    assert graph_keys(plain) == set()


def test_weaken_all_removes_what_falls_below_a_thousandth(store: Connection, plain: Any) -> None:
    for name, weight in {"b": 1, "c": 0.5, "d": 0.01, "e": 0.001, "f": 0.0011}.items():
        NEAR.link(Mem, "a", name, weight)
    assert NEAR.weaken_all(Mem, "a", 0.5) == 2
    assert edges(plain)["a"] == {"b": 0.5, "c": 0.25, "d": 0.005}
    # The edges that lead back are their own nodes'; those that are one-sided now are remembered.
    assert {node: edges(plain)[node]["a"] for node in "bcdef"} == {"b": 1, "c": 0.5, "d": 0.01, "e": 0.001, "f": 0.0011}
    assert sources(plain, "near") == {"a": {"e", "f"}}
    assert NEAR.weaken_all(Mem, "a", 0) == 3
    assert "a" not in edges(plain)


def test_weaken_all_uses_the_fields_factor_or_the_default_of_the_moment(
    fake: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Two(Model):
        name = KeyField()
        own = CoOccurrenceField(decay_factor=0.25)
        common = CoOccurrenceField()

    own: Any = Two.own
    common: Any = Two.common
    monkeypatch.setattr(Defaults, "CO_OCCURRENCE_DECAY_FACTOR", 0.5)
    monkeypatch.setattr(Defaults, "CO_OCCURRENCE_INITIAL_WEIGHT", 0.8)
    for field in (own, common):
        field.link(Two, "a", "b")
        field.weaken_all(Two, "a")
    assert (own.get_linked(Two, "a"), common.get_linked(Two, "a")) == ([("b", 0.2)], [("b", 0.4)])
    assert (own.decay_factor, common.decay_factor) == (0.25, 0.5)


def test_get_linked_is_in_descending_order_and_ties_are_by_name(store: Connection) -> None:
    for name in "fcebdg":
        NEAR.link(Mem, "a", name, 0.5)
    NEAR.link(Mem, "a", "z", 0.9)
    NEAR.link(Mem, "a", "y", 0.005)
    with round_trips() as trips:
        assert NEAR.get_linked(Mem, "a", limit=4) == [("z", 0.9), ("b", 0.5), ("c", 0.5), ("d", 0.5)]
        assert len(NEAR.get_linked(Mem, "a")) == 7
        assert NEAR.get_linked(Mem, "a", min_weight=0.6) == [("z", 0.9)]
    assert (trips, NEAR.get_linked(Mem, "a", limit=0), NEAR.get_linked(Mem, "none")) == (3, [], [])


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: NEAR.link(Mem, "a", "a"), "'a' cannot be linked with itself"),
        (lambda: NEAR.strengthen(Mem, "a", "a"), "'a' cannot be linked with itself"),  # D30: it counted twice
        (lambda: NEAR.unlink(Mem, "a", "a"), "'a' cannot be linked with itself"),
        (lambda: NEAR.link(Mem, "a", ""), "'' names no node"),
        (lambda: NEAR.link(Mem, "a", 7), "7 names no node"),
        (lambda: NEAR.link(Mem, "a", "b", 0), "initial_weight=0 must be"),
        (lambda: NEAR.link(Mem, "a", "b", math.nan), "initial_weight=nan must be"),
        (lambda: NEAR.link(Mem, "a", "b", 2e6), "initial_weight=2000000.0 must be"),
        (lambda: NEAR.strengthen(Mem, "a", "b", 0), "delta=0 must be"),
        (lambda: NEAR.strengthen(Mem, "a", "b", -1.0), r"delta=-1.0 must be"),
        (lambda: NEAR.strengthen(Mem, "a", "b", math.inf), "delta=inf must be"),
        (lambda: NEAR.weaken_all(Mem, "a", 1.5), "factor=1.5 must be a number from 0 to 1"),
        (lambda: NEAR.get_linked(Mem, "a", limit=None), "limit=None must be an int"),
        (lambda: NEAR.get_linked(Mem, "a", min_weight="x"), "min_weight='x' must be a number"),
        (lambda: NEAR.propagate(Mem, "a"), r"write \['a'\]"),
        (lambda: NEAR.propagate(Mem, ["a"], depth=1.5), "depth=1.5 must be an int"),
        (lambda: NEAR.propagate(Mem, ["a"], decay_per_hop=-1), "decay_per_hop=-1 must be"),
        (lambda: NEAR.propagate(Mem, ["a"], threshold=math.nan), "threshold=nan must be"),
        (lambda: NEAR.propagate(Mem, ["a"], max_nodes=0), "max_nodes=0 must be an int from 1 to 10000"),
        (lambda: NEAR.propagate(Mem, ["a"], budget=0), "budget=0 must be an int from 1"),
        (lambda: NEAR.propagate(Mem, map(str, range(10_001))), "10001 seed_pks are too many"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_written(
    fake: Connection, plain: Any, act: Callable[[], Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        act()
    assert keyspace(plain) == {}


@pytest.mark.parametrize(
    "options",
    [
        {"max_edges": 0},
        {"max_edges": 5001},
        {"max_edges": True},
        {"max_edges": 1.5},
        {"decay_factor": 1},
        {"decay_factor": -0.1},
        {"decay_factor": math.nan},
        {"indexed": True},
        {"unique": True},
        {"weight": 1},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ModelException, match="CoOccurrenceField"):
        CoOccurrenceField(**options)


def test_the_field_holds_no_value(store: Connection, plain: Any) -> None:
    row = Mem.create(name="a")
    assert (row.near, plain.hget("Mem:a", "near")) == (None, b"\xc0")
    with pytest.raises(ModelException, match="holds no value: use link"):
        Mem(name="b", near="x")


def test_changes_wait_in_a_pipeline(store: Connection, plain: Any) -> None:
    pipe = connection().pipeline()
    assert NEAR.link(Mem, "a", "b", 0.5, pipeline=pipe) is pipe
    NEAR.strengthen(Mem, "a", "b", 0.25, pipeline=pipe)
    NEAR.link(Mem, "a", "c", pipeline=pipe)
    NEAR.unlink(Mem, "a", "c", pipeline=pipe)
    NEAR.weaken_all(Mem, "b", 0.5, pipeline=pipe)
    assert keyspace(plain) == {}
    with round_trips() as trips:
        assert pipe.execute() == [0.5, 0.75, 0.1, True, 0]
    assert (edges(plain), trips) == ({"a": {"b": 0.75}, "b": {"a": 0.375}}, 1)


def test_every_verb_has_a_twin(store: Connection, plain: Any) -> None:
    async def work() -> list[Any]:
        return [
            await NEAR.async_link(Mem, "a", "b", 0.5),
            await NEAR.async_strengthen(Mem, "a", "b", 0.25),
            await NEAR.async_weaken_all(Mem, "a", 0.5),
            await NEAR.async_get_linked(Mem, "a"),
            await NEAR.async_propagate(Mem, ["b"], depth=1),
            await NEAR.async_unlink(Mem, "a", "b"),
        ]

    assert asyncio.run(work()) == [0.5, 0.75, 0, [("b", 0.375)], {"a": 0.375}, True]
    assert keyspace(plain) == {}


# Many at once


def strengthening(url: str, barrier: Any) -> None:
    with popoto.using(popoto.Connection(url)):
        barrier.wait()
        for _ in range(50):
            NEAR.strengthen(Mem, "a", "b", 0.25)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_of_eight_processes_that_strengthen_one_edge_none_loses_anything(server: Connection, plain: Any) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(8)
    workers = [context.Process(target=strengthening, args=(str(server.url), barrier)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert edges(plain) == {"a": {"b": 100.0}, "b": {"a": 100.0}}
