"""Edges of rows go with them, through deletion, renaming, expiry and care; those that 1.6 wrote are taken over."""

from __future__ import annotations

from typing import Any

import pytest
from graphs import FEW, LEADS, NEAR, Mem, edges, graph_keys, sources
from stored import keyspace

from popoto import clock, round_trips
from popoto.storage import Connection


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
