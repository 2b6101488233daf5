"""What queries do beside answering: iterate, update, delete, explain, and look through relationships."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from stored import keyspace

from popoto import (
    BadURL,
    IndexedField,
    IntField,
    KeyField,
    Model,
    Q,
    QueryException,
    Relationship,
    SortedField,
    connect,
    round_trips,
)
from popoto.storage import Connection, reset


class Town(Model):
    name = KeyField()
    size = SortedField(type=int, default=0)


class Sailor(Model):
    name = KeyField()
    home = Relationship(model=Town)
    age = IntField(default=0)


class Boat(Model):
    number = KeyField(type=int)
    kind = IndexedField(default="sail")
    length = SortedField(type=int, default=0)
    owner = Relationship(model=Sailor)


@pytest.fixture
def harbour(store: Connection) -> None:
    rome, ost = Town.create(name="Rome", size=9), Town.create(name="Ost", size=3)
    ann, ben = Sailor.create(name="Ann", home=rome, age=30), Sailor.create(name="Ben", home=ost, age=40)
    owners = [ann, ben, ann, None]
    Boat.bulk_create([Boat(number=number, length=number, owner=owners[number % 4]) for number in range(12)])


def numbers(**lookups: Any) -> list[int]:
    return sorted(boat.number for boat in Boat.query.filter(**lookups))


def test_an_update_changes_every_row_and_its_entries(harbour: None, plain: Any) -> None:
    assert Boat.query.filter(length__gte=8).update(kind="motor") == 4
    assert set(plain.smembers("$IndexF:Boat:kind:motor")) == {b"Boat:8", b"Boat:9", b"Boat:10", b"Boat:11"}
    assert plain.scard("$IndexF:Boat:kind:sail") == 8
    assert asyncio.run(Boat.query.filter(kind="motor").async_update(kind="row")) == 4
    assert plain.exists("$IndexF:Boat:kind:motor") == 0


def test_a_delete_takes_every_row_and_its_entries(harbour: None, plain: Any) -> None:
    assert Boat.query.filter(length__lt=10).delete() == 10
    assert set(plain.smembers("$Class:Boat")) == {b"Boat:10", b"Boat:11"}
    assert plain.zrange("$SortF:Boat:length", 0, -1) == [b"Boat:10", b"Boat:11"]
    assert asyncio.run(Boat.query.filter().async_delete()) == 2
    assert [key for key in keyspace(plain) if b"Boat" in key] == []


def test_an_update_asks_anew_and_not_what_it_remembers(harbour: None, plain: Any) -> None:
    query = Boat.query.filter(kind="sail")
    assert len(query) == 12
    Boat.load("Boat:0").delete()
    assert query.delete() == 11
    assert plain.exists("$Class:Boat") == 0


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_iteration_meets_every_row_once(chunk: int, harbour: None) -> None:
    assert sorted(boat.number for boat in Boat.query.filter(kind="sail").iterator(chunk)) == list(range(12))
    assert [boat.number for boat in Boat.query.filter(order_by="-length").iterator(chunk)] == list(range(11, -1, -1))
    assert len(list(Boat.query.filter(limit=7).iterator(chunk))) == 7


def test_iteration_refuses_a_chunk_that_is_no_number(store: Connection) -> None:
    with pytest.raises(QueryException, match="chunk=0"):
        next(Boat.query.filter().iterator(0))


def test_lookups_go_through_relationships(harbour: None) -> None:
    assert numbers(owner__name="Ann") == [0, 2, 4, 6, 8, 10]
    assert numbers(owner__age__in=[40], length__lt=6) == [1, 5]
    assert numbers(owner__home__size__gte=9, kind="sail") == [0, 2, 4, 6, 8, 10]
    assert numbers(owner__home__name="Nowhere") == []
    assert Boat.query.count(owner__home__name="Ost") == 3
    assert sorted(boat.number for boat in Boat.query.filter(~Q(owner__name="Ann"), length__lt=4)) == [1, 3]
    assert sorted(boat.number for boat in Boat.query.filter(Q(owner__name="Ben") | Q(number=3))) == [1, 3, 5, 9]


def test_get_honours_a_lookup_through_a_relationship(harbour: None) -> None:
    found = Boat.query.get(number=1, owner__name="Ben")
    assert found is not None and found.number == 1
    assert Boat.query.get(number=1, owner__name="Ann") is None


def test_several_levels_of_relationships_are_one_round_trip(harbour: None) -> None:
    with round_trips() as trips:
        assert len(Boat.query.filter(owner__home__name="Rome").all()) == 6
    assert trips == 1

    async def same() -> int:
        with round_trips() as counted:
            assert len(await Boat.query.filter(owner__home__name="Rome")) == 6
        return int(counted)

    assert asyncio.run(same()) == 1


@pytest.mark.parametrize("lookup", ["owner__nam", "owner__home__siz", "owner__age__gt", "kind__name"])
def test_a_wrong_name_behind_a_relationship_is_refused(lookup: str) -> None:
    with pytest.raises(QueryException, match="has no lookup"):
        Boat.query.filter(**{lookup: 1})


def test_explain_names_sources_order_and_driver(harbour: None) -> None:
    query = Boat.query.filter(kind="sail", length__gte=3, order_by="length", limit=2)
    with round_trips() as trips:
        text = str(query.explain())
    assert trips == 0
    assert "$IndexF:Boat:kind:sail" in text and "$SortF:Boat:length from 3.0 to +inf" in text
    assert "walks $SortF:Boat:length upward" in text and "no, the indexes tell all" in text
    with round_trips() as trips:
        analyzed = query.explain(analyze=True)
    assert (trips, analyzed.driver, analyzed.rows) == (1, "a sorted set of 9", 9)
    assert str(asyncio.run(query.async_explain(analyze=True))) == str(analyzed)
    listed = str(Boat.query.filter(kind__startswith="s").explain())
    assert "values in $Vals:Boat:kind that start with 's'" in listed and "no, the indexes tell all" in listed
    nested = str(Boat.query.filter(owner__home__name="Rome").explain())
    assert "$RelationshipF:Boat:owner of each Sailor in" in nested and "in the same script" in nested
    assert "yes, each is compared" in str(Boat.query.exclude(kind="s").explain())


def test_a_slice_of_a_query_fetches_no_more_than_it_needs(harbour: None, sent: list[int]) -> None:
    whole = Boat.query.filter(order_by="-length").all()
    assert [boat.number for boat in Boat.query.order_by("number")[2:5]] == [2, 3, 4]
    sent.clear()
    fresh = Boat.query.filter(order_by="-length")
    assert (fresh[3], fresh[1:3], sent) == (whole[3], whole[1:3], [4])
    assert (fresh[5], sent) == (whole[5], [4, 6])
    with pytest.raises(IndexError):
        Boat.query.order_by("length")[len(whole)]
    assert len(fresh) == len(whole) == len(fresh[0:1_000])
    assert (fresh[-1], fresh[::-1], fresh[3:1]) == (whole[-1], whole[::-1], [])
    computed = Boat.query.computed_sort(lambda boat: -boat.length)
    assert (computed[0], computed[1:3], computed.last()) == (whole[0], whole[1:3], whole[-1])
    assert computed._answer == whole
    limited = Boat.query.filter(order_by="length", limit=3)
    assert len(limited[0:100]) == 3 and len(limited) == 3


def test_slices_of_an_unordered_query_are_parts_of_one_answer(harbour: None) -> None:
    Boat.bulk_create([Boat(number=number, kind="raft", length=number) for number in range(1_000, 1_700)])
    for query in (Boat.query.filter(kind="raft"), Boat.query.filter(kind__startswith="ra"), Boat.query.filter()):
        whole = [boat.number for boat in query.filter().all()]
        parts = [[boat.number for boat in query.filter()[start : start + 200]] for start in range(0, 600, 200)]
        assert parts == [whole[start : start + 200] for start in range(0, 600, 200)]


def test_pages_go_on_where_they_were_though_another_index_is_cheaper_now(store: Any) -> None:
    rafts = [Boat(number=number, kind="raft", length=number) for number in range(60)]
    Boat.bulk_create([*rafts, *(Boat(number=number, kind="sail", length=5) for number in range(100, 140))])
    pages = Boat.query.filter(kind="raft", length__lt=1_000).iterator(16)
    found = [next(pages).number]
    Boat.bulk_create([Boat(number=number, kind="raft", length=5_000) for number in range(200, 400)])
    found += [boat.number for boat in pages]
    assert sorted(found) == list(range(60))


def test_the_last_row_of_an_order_is_fetched_alone(harbour: None, sent: list[int]) -> None:
    wanted = Boat.query.order_by("length").all()[-1]
    sent.clear()
    assert Boat.query.order_by("length").last() == wanted == asyncio.run(Boat.query.order_by("length").async_last())
    sails = Boat.query.filter(kind="sail")
    assert sails.order_by("-length").last() == sails.order_by("length").first()
    assert sent == [1, 1, 1, 1]
    assert Boat.query.filter(kind="none", order_by="length").last() is None
    # Where all must be loaded, they are remembered.
    query = Boat.query.filter(order_by="number", limit=4)
    assert query.last() == query[3]


def test_keys_may_be_all_of_the_model_and_leave_out_what_is_gone(harbour: None, plain: Any) -> None:
    class Boa(Model):
        name = KeyField()

    Boa.create(name="Boat")
    rows = set(Boat.query.keys())
    everything = {key for key in plain.scan_iter(count=1000) if b"Boat:" in key + b":" and b"Boa:" not in key}
    assert set(Boat.query.keys(catchall=True)) == everything > rows
    plain.sadd("$Class:Boat", "Boat:gone")
    assert set(Boat.query.keys()) == {*rows, b"Boat:gone"}
    assert set(Boat.query.keys(clean=True)) == rows
    assert plain.sismember("$Class:Boat", "Boat:gone") == 0
    assert set(asyncio.run(Boat.query.async_keys(catchall=True, clean=True))) == everything


def test_the_environment_names_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POPOTO_NAMESPACE", "blue")
    try:
        store = connect("fake://")
        Town.create(name="x")
        assert sorted(store.native.keys()) == [
            b"blue:$Class:Town",
            b"blue:$KeyF:Town:name:x",
            b"blue:$SortF:Town:size",
            b"blue:Town:x",
        ]
        monkeypatch.setenv("POPOTO_NAMESPACE", "blue:green")
        with pytest.raises(BadURL, match="colon"):
            connect("fake://")
        with pytest.raises(BadURL, match="colon"):
            connect("fake://?namespace=a:b")
    finally:
        reset()
