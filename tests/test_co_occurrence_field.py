"""A graph beside rows: links in both directions, bounded, kept with their rows, followed under a budget."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from stored import keyspace

import popoto
from popoto import CoOccurrenceField, Defaults, KeyField, Model, ModelException, clock, connection, round_trips
from popoto.fields.co_occurrence_field import spreading
from popoto.storage import Connection


class Mem(Model):
    name = KeyField()
    near = CoOccurrenceField()
    few = CoOccurrenceField(max_edges=2)
    leads = CoOccurrenceField(symmetric=False, max_edges=3)


NEAR: Any = Mem.near
FEW: Any = Mem.few
LEADS: Any = Mem.leads


def edges(plain: Any, field: str = "near", tag: str = "$CoOcF") -> dict[str, dict[str, float]]:
    base = f"{tag}:Mem:{field}:"
    return {
        key.decode().removeprefix(base): {node.decode(): weight for node, weight in value.items()}
        for key, value in keyspace(plain).items()
        if key.decode().startswith(base)
    }


def sources(plain: Any, field: str) -> dict[str, set[str]]:
    base = f"$CoOcR:Mem:{field}:"
    return {
        key.decode().removeprefix(base): {node.decode() for node in value}
        for key, value in keyspace(plain).items()
        if key.decode().startswith(base)
    }


def graph_keys(plain: Any) -> set[bytes]:
    return {key for key in keyspace(plain) if key.startswith(b"$CoOc")}


# Keys and links


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


# With their rows


def rows(*names: str) -> list[Mem]:
    return [Mem.create(name=name) for name in names]


def test_a_deleted_row_takes_its_edges_and_those_that_point_at_it_along(store: Connection, plain: Any) -> None:
    # D31: asymmetric, one-sided and plain edges were left behind.
    a, b = rows("a", "b")
    NEAR.link(Mem, a, b)
    NEAR.link(Mem, a, "topic")
    NEAR.link(Mem, b, "topic")
    LEADS.link(Mem, b, a)
    LEADS.link(Mem, "topic", a)
    LEADS.link(Mem, a, "topic")
    NEAR.weaken_all(Mem, a, 0)
    with round_trips() as trips:
        a.delete()
    assert (edges(plain), edges(plain, "leads"), trips) == ({"Mem:b": {"topic": 0.1}, "topic": {"Mem:b": 0.1}}, {}, 1)
    assert (sources(plain, "near"), sources(plain, "leads")) == ({}, {})


def test_a_renamed_row_keeps_its_edges(store: Connection, plain: Any) -> None:
    # D16: all were lost.
    a, b = rows("a", "b")
    NEAR.link(Mem, a, b, 0.5)
    NEAR.link(Mem, a, "topic", 0.25)
    LEADS.link(Mem, b, a, 0.75)
    LEADS.link(Mem, a, "topic", 0.5)
    # What was said of the new key before it was a row's: the larger weight stands.
    NEAR.link(Mem, "Mem:c", "topic", 0.2)
    NEAR.link(Mem, "Mem:c", a, 0.2)
    a.name = "c"
    with round_trips() as trips:
        a.save(migrate_key=True)
    assert edges(plain) == {
        "Mem:c": {"Mem:b": 0.5, "topic": 0.25},
        "Mem:b": {"Mem:c": 0.5},
        "topic": {"Mem:c": 0.25},
    }
    assert edges(plain, "leads") == {"Mem:b": {"Mem:c": 0.75}, "Mem:c": {"topic": 0.5}}
    assert (sources(plain, "leads"), trips) == ({"Mem:c": {"Mem:b"}, "topic": {"Mem:c"}}, 1)
    assert sources(plain, "near") == {}


def test_a_renamed_row_that_meets_edges_keeps_the_heaviest(store: Connection, plain: Any) -> None:
    (a,) = rows("a")
    for node, other, weight in ((a, "p", 0.5), (a, "q", 0.2), ("Mem:b", "r", 0.4), ("Mem:b", "s", 0.3)):
        FEW.link(Mem, node, other, weight)
    a.name = "b"
    a.save(migrate_key=True)
    assert edges(plain, "few") == {"Mem:b": {"p": 0.5, "r": 0.4}, "p": {"Mem:b": 0.5}, "r": {"Mem:b": 0.4}}


def test_edges_survive_a_save_and_a_second_create(store: Connection, plain: Any) -> None:
    (a,) = rows("a")
    NEAR.link(Mem, a, "topic")
    before = edges(plain)
    a.save()
    rows("a")
    assert edges(plain) == before


def test_a_row_that_expired_leaves_no_edge_once_another_is_saved(store: Connection, plain: Any) -> None:
    a = Mem.create(name="a", _ttl=1000)
    NEAR.link(Mem, a, "topic")
    LEADS.link(Mem, "topic", a)
    plain.delete("Mem:a")
    with clock.frozen(lambda: 4e9):
        # What the ledger will take out is no stray.
        assert Mem.check_indexes()["total"] == 0
        rows("b")
    assert graph_keys(plain) == set()


def test_care_knows_edges_of_rows_that_are_gone_and_keeps_plain_ones(store: Connection, plain: Any) -> None:
    a, b, c = rows("a", "b", "c")
    NEAR.link(Mem, a, b, 0.5)
    NEAR.link(Mem, "topic", "other")
    LEADS.link(Mem, "topic", c)
    good = keyspace(plain)
    assert Mem.check_indexes()["total"] == 0
    NEAR.link(Mem, "Mem:gone", a)
    LEADS.link(Mem, "topic", "Mem:lost")
    LEADS.link(Mem, b, "Mem:lost")
    found = keyspace(plain)
    assert Mem.check_indexes()["companions"] == {"near": 1, "few": 0, "leads": 1}
    assert keyspace(plain) == found
    assert Mem.clean_indexes() == 2
    assert keyspace(plain) == good
    assert (Mem.rebuild_indexes(), keyspace(plain)) == (3, good)


def test_a_node_with_very_many_sources_goes_in_steps(fake: Connection, plain: Any) -> None:
    (a,) = rows("a")
    for number in range(5100):
        plain.zadd(f"$CoOcF:Mem:leads:s{number}", {"Mem:a": 1})
    plain.sadd("$CoOcR:Mem:leads:Mem:a", *(f"s{number}" for number in range(5100)))
    a.delete()
    assert len(edges(plain, "leads")) == 100
    assert Mem.check_indexes()["companions"]["leads"] == 1
    assert Mem.clean_indexes() == 1
    assert graph_keys(plain) == set()


# What 1.6 wrote


def older(plain: Any, field: str, node: str, weights: dict[str, float]) -> None:
    plain.zadd(f"$CoOccurrencF:Mem:{field}:{node}", weights)


def test_edges_of_1x_are_read_until_they_are_rebuilt(store: Connection, plain: Any) -> None:
    older(plain, "near", "a", {"b": 0.8})
    older(plain, "near", "b", {"a": 0.8, "c": 0.6})
    older(plain, "near", "c", {"b": 0.6})
    assert NEAR.get_linked(Mem, "b") == [("a", 0.8), ("c", 0.6)]
    assert NEAR.propagate(Mem, ["a"]) == pytest.approx({"b": 0.4, "c": 0.12})
    # A change gives them their new name first.
    assert NEAR.strengthen(Mem, "a", "b", 0.1) == pytest.approx(0.9)
    assert edges(plain, tag="$CoOccurrencF") == {"c": {"b": 0.6}}
    assert edges(plain) == {"a": {"b": 0.8 + 0.1}, "b": {"a": 0.8 + 0.1, "c": 0.6}}


def test_rebuild_moves_edges_of_1x_and_merges_them_by_the_larger_weight(store: Connection, plain: Any) -> None:
    rows("a", "b")
    older(plain, "near", "Mem:a", {"Mem:b": 0.8, "topic": 0.3, "Mem:a": 2, "Mem:lost": 1})
    older(plain, "near", "Mem:b", {"Mem:a": 0.8})
    older(plain, "near", "topic", {"Mem:a": 0.3})
    older(plain, "few", "q", {"q1": 0.1, "q2": 0.2, "q3": 0.3})
    older(plain, "leads", "topic", {"Mem:a": 0.3})
    plain.zadd("$CoOcF:Mem:near:topic", {"Mem:a": 0.1, "new": 0.4})
    plain.zadd("$CoOcF:Mem:near:new", {"topic": 0.4})
    assert Mem.rebuild_indexes() == 2
    assert edges(plain) == {
        "Mem:a": {"Mem:b": 0.8, "topic": 0.3},
        "Mem:b": {"Mem:a": 0.8},
        "topic": {"Mem:a": 0.3, "new": 0.4},
        "new": {"topic": 0.4},
    }
    assert (edges(plain, "few"), edges(plain, "leads")) == ({"q": {"q2": 0.2, "q3": 0.3}}, {"topic": {"Mem:a": 0.3}})
    assert (sources(plain, "near"), sources(plain, "leads")) == ({}, {"Mem:a": {"topic"}})
    assert not [key for key in keyspace(plain) if key.startswith(b"$CoOccurrencF")]


# Spreading


def example() -> None:
    for one, other, weight in (("A", "B", 0.8), ("B", "C", 0.6), ("A", "D", 0.4), ("D", "C", 1.0), ("C", "E", 0.9)):
        NEAR.link(Mem, one, other, weight)
    NEAR.link(Mem, "A", "F", 0.015)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"depth": 1}, {"B": 0.4, "D": 0.2}),
        ({}, {"B": 0.4, "D": 0.2, "C": 0.12}),
        ({"depth": 3}, {"B": 0.4, "D": 0.2, "C": 0.12, "E": 0.054}),
        ({"decay_per_hop": 1.0}, {"B": 0.8, "C": 0.48, "D": 0.4, "F": 0.015}),
        ({"seed_pks": ["A", "B"], "depth": 1}, {"C": 0.3, "D": 0.2}),
        ({"threshold": 0.1}, {"B": 0.4, "D": 0.2, "C": 0.12}),
        ({"seed_pks": []}, {}),
        ({"depth": 0}, {"A": 1.0}),
        ({"depth": -1}, {}),
        ({"decay_per_hop": 0}, {}),
        ({"seed_pks": ["nowhere"]}, {}),
    ],
)
def test_golden_values_of_propagate(store: Connection, options: dict[str, Any], expected: dict[str, float]) -> None:
    example()
    words: dict[str, Any] = {"seed_pks": ["A"]} | options
    with round_trips() as trips:
        found = NEAR.propagate(Mem, **words)
    assert found == pytest.approx(expected, abs=1e-12)
    assert (list(found), found.exact, found.complete) == (sorted(found, key=lambda pk: (-found[pk], pk)), True, True)
    nothing_to_ask = not words["seed_pks"] or options.get("depth", 2) <= 0 or options.get("decay_per_hop") == 0
    assert trips == (0 if nothing_to_ask else 1)


def test_propagation_never_amplifies(store: Connection) -> None:
    # D30: three edges of 3 made 3.375.
    for one, other in ("ab", "bc", "cd"):
        NEAR.link(Mem, one, other, 3.0)
    assert NEAR.propagate(Mem, ["a"], depth=3) == {"b": 1.0, "c": 1.0, "d": 1.0}


def test_no_walk_is_longer_than_the_depth(store: Connection) -> None:
    # x becomes heavier by way of y while its own level is followed: three hops to z would be too many.
    for one, other, weight in (("s", "y", 1.0), ("s", "x", 0.2), ("y", "x", 0.9), ("x", "z", 1.0)):
        NEAR.link(Mem, one, other, weight)
    assert NEAR.propagate(Mem, ["s"], decay_per_hop=1) == {"y": 1.0, "x": 0.9, "z": 0.2}
    assert NEAR.propagate(Mem, ["s"], decay_per_hop=1, depth=3) == {"y": 1.0, "x": 0.9, "z": 0.9}


def test_a_result_is_bounded_and_says_so(store: Connection) -> None:
    for number in range(30):
        NEAR.link(Mem, "a", f"n{number:02}", 0.5)
    NEAR.link(Mem, "a", "z", 0.6)
    found = NEAR.propagate(Mem, ["a"], max_nodes=3)
    assert (found, found.exact, found.complete) == ({"z": 0.3, "n00": 0.25, "n01": 0.25}, True, False)
    found = NEAR.propagate(Mem, ["a"], max_nodes=31)
    assert (len(found), found.exact, found.complete) == (31, True, True)
    assert NEAR.propagate(Mem, ["a"], depth=1, budget=32).exact is True
    assert NEAR.propagate(Mem, ["a"], depth=1, budget=30).exact is False
    found = NEAR.propagate(Mem, ["a"], budget=10)
    assert (len(found), found["z"], found.exact, found.complete) == (10, 0.3, False, False)


def test_a_larger_budget_goes_on_level_by_level(store: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "EDGES_OF_A_CALL", 12)
    example()
    for number in range(9):
        NEAR.link(Mem, "E", f"n{number}", 0.5 + number / 100)
    with round_trips() as trips:
        found = NEAR.propagate(Mem, ["A", "D"], depth=4, threshold=0.001, budget=500)
    monkeypatch.undo()
    whole = NEAR.propagate(Mem, ["A", "D"], depth=4, threshold=0.001)
    assert (found, list(found), found.complete) == (whole, list(whole), True)
    assert (len(whole), trips.count > 3) == (13, True)
    assert found.edges > 12


def test_weights_too_small_for_a_number_are_not_followed(store: Connection) -> None:
    for one, other in ("ab", "bc", "cd"):
        NEAR.link(Mem, one, other, 1e-200)
    NEAR.link(Mem, "a", "e", 1e-100)
    options: dict[str, Any] = {"depth": 3, "decay_per_hop": 1.0, "threshold": 0, "max_nodes": 1}
    found = NEAR.propagate(Mem, ["a"], **options)
    assert (found, found.complete) == ({"e": 1e-100}, False)
    assert NEAR.propagate(Mem, ["a"], **(options | {"max_nodes": 9})) == {"e": 1e-100, "b": 1e-200}


@pytest.mark.parametrize("most", [1, 7, 40, 10_000])
def test_the_heaviest_are_exact_though_the_rest_is_not_followed(
    store: Connection, plain: Any, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(most)
    names = [f"n{number:02}" for number in range(60)]
    graph = {
        one: {other: chance.choice([0.3, 0.31, chance.random()]) for other in chance.sample(names, 9)} for one in names
    }
    pipe = plain.pipeline()
    for name, others in graph.items():
        pipe.zadd(f"$CoOcF:Mem:near:{name}", others)
    pipe.execute()
    expected = model_of(graph, {"n00", "n01"}, 3, 0.7, 0.001)
    found = NEAR.propagate(Mem, ["n00", "n01"], depth=3, decay_per_hop=0.7, threshold=0.001, max_nodes=most)
    assert (list(found.items()), found.exact) == (expected[:most], True)
    assert found.complete == (most >= len(expected))
    monkeypatch.setattr(spreading, "EDGES_OF_A_CALL", 50)
    with round_trips() as trips:
        wide = NEAR.propagate(
            Mem, ["n00", "n01"], depth=3, decay_per_hop=0.7, threshold=0.001, max_nodes=most, budget=9999
        )
    assert (list(wide.items()), wide.exact, wide.complete) == (expected[:most], True, found.complete)
    # What is too light for the result is not followed.
    assert (trips.count == 1, wide.edges < 100, found.edges < 100) == (most <= 7,) * 3


def model_of(graph: dict[str, dict[str, float]], seeds: set[str], depth: int, hop: float, least: float) -> Any:
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
@given(
    CHANGES,
    some.sets(NODES, min_size=1, max_size=2),
    some.integers(1, 4),
    some.sampled_from([0.5, 1.0]),
    some.integers(1, 6),
)
def test_a_graph_is_what_a_plain_one_is_on_the_fake(
    changes: list[Any], seeds: set[str], depth: int, hop: float, most: int
) -> None:
    here = Connection("fake://")
    with popoto.using(here):
        compare(here, changes, seeds, depth, hop, most)


def test_a_graph_is_what_a_plain_one_is_on_servers(server: Connection) -> None:
    @settings(max_examples=40, deadline=None)
    @given(
        CHANGES,
        some.sets(NODES, min_size=1, max_size=2),
        some.integers(1, 4),
        some.sampled_from([0.5, 1.0]),
        some.integers(1, 6),
    )
    def same(changes: list[Any], seeds: set[str], depth: int, hop: float, most: int) -> None:
        compare(server, changes, seeds, depth, hop, most)

    same()


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
