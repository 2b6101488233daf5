"""Bulk verbs: one round trip a batch, each row one atomic step with its indexes, and every failure named."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from stored import keyspace, stray_entries

from popoto import (
    EventStreamMixin,
    Field,
    IndexedField,
    KeyField,
    KeyMutationError,
    ListField,
    Model,
    ModelException,
    Query,
    SortedField,
    StaleObjectError,
    UniqueField,
    round_trips,
)
from popoto.exceptions import WrongType


class Guest(Model):
    name = KeyField()
    email = UniqueField()
    room = IndexedField(default="none")
    age = SortedField(type=int, default=1)
    tags = ListField(default=[])
    note = Field(max_length=5)


class Loose(Model):
    text = Field()


def guests(count: int, first: int = 0) -> list[Guest]:
    return [Guest(name=f"g{n}", email=f"e{n}") for n in range(first, first + count)]


def rows(plain: Any, name: str = "Guest") -> list[str]:
    return sorted(key.decode() for key in keyspace(plain) if key.startswith(f"{name}:".encode()))


def test_a_row_whose_key_is_of_another_type_stops_none_of_its_neighbours(store: Any, plain: Any):
    plain.sadd("Guest:g1", "x")
    with pytest.raises(WrongType) as caught:
        Guest.bulk_create(guests(4))
    assert [key for key in rows(plain) if plain.type(key) == b"hash"] == ["Guest:g0", "Guest:g2", "Guest:g3"]
    assert str(caught.value) == "WRONGTYPE Guest:g1 holds no hash"
    plain.delete("Guest:g1")
    assert stray_entries(plain, Guest) == []


def test_batches_beyond_one_run_of_a_script_keep_their_order(store: Any, plain: Any):
    made = guests(300)
    made[7].email = made[299].email = "e200"
    with round_trips() as trips, pytest.raises(ModelException) as caught:
        Guest.bulk_create(made)
    assert len(rows(plain)) == 298
    assert trips == 1
    assert sorted(caught.value.failures) == [200, 299]  # type: ignore[attr-defined]
    assert stray_entries(plain, Guest) == []


def test_bulk_create_writes_rows_with_their_indexes_in_one_round_trip_a_batch(store: Any, plain: Any):
    with round_trips() as trips:
        made = Guest.bulk_create(guests(7), batch_size=3)
    assert rows(plain) == [f"Guest:g{n}" for n in range(7)]
    assert stray_entries(plain, Guest) == []
    assert trips == 3
    assert [one.pk for one in made] == [f"Guest:g{n}" for n in range(7)]
    made[0].age = 9
    made[0].save()
    assert Guest.query.count(age=9) == 1


def test_bulk_create_takes_generators_and_nothing(store: Any, plain: Any):
    assert len(Guest.bulk_create(one for one in guests(2))) == 2
    with round_trips() as trips:
        assert Guest.bulk_create([]) == []
        assert Guest.bulk_update([], age=1) == 0
        assert Guest.bulk_delete([]) == 0
    assert trips == 0
    assert len(rows(plain)) == 2


def test_generated_keys_cost_no_more(store: Any, plain: Any):
    with round_trips() as trips:
        Loose.bulk_create([Loose(text=str(n)) for n in range(50)])
    assert len(rows(plain, "Loose")) == 50
    assert trips == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: setattr(one, "note", "too long"),
        lambda one: setattr(one, "age", "x"),
        lambda one: setattr(one, "email", None),
        lambda one: setattr(one, "tags", [object()]),
        lambda one: setattr(one, "room", "\ud800"),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 1000])
def test_a_value_that_may_not_be_stored_is_found_before_anything_is_written(
    fake: Any, plain: Any, spoil: Callable[[Guest], None], batch_size: int
):
    batch = guests(5)
    spoil(batch[3])
    with round_trips() as trips, pytest.raises(ModelException, match=r"Guest\."):
        Guest.bulk_create(batch, batch_size=batch_size)
    assert keyspace(plain) == {}
    assert trips == 0
    batch[0].name = "renamed"
    batch[0].save()
    assert rows(plain) == ["Guest:renamed"]


def test_a_taken_value_fails_its_row_alone_and_is_named(store: Any, plain: Any):
    Guest.bulk_create(guests(1))
    batch = [Guest(name="a", email="new"), Guest(name="b", email="e0"), Guest(name="c", email="new")]
    with pytest.raises(ModelException, match=r"1 of 3 items were written; not written: items 1, 2\. .*email") as raised:
        Guest.bulk_create(batch)
    assert rows(plain) == ["Guest:a", "Guest:g0"]
    assert stray_entries(plain, Guest) == []
    assert sorted(raised.value.failures) == [1, 2]  # type: ignore[attr-defined]
    assert all("is taken" in str(error) for error in raised.value.failures.values())  # type: ignore[attr-defined]
    batch[1].email = "other"
    batch[1].save()
    assert Guest.query.get(email="other").name == "b"


def test_batches_after_a_failure_are_not_sent(store: Any, plain: Any):
    batch = [Guest(name=str(n), email="same" if n in (1, 2) else str(n)) for n in range(6)]
    with pytest.raises(ModelException, match=r"3 of 6 items were written.*and all from 4"):
        Guest.bulk_create(batch, batch_size=2)
    assert rows(plain) == ["Guest:0", "Guest:1", "Guest:3"]


def test_one_key_twice_is_refused_whole(store: Any, plain: Any):
    with pytest.raises(ModelException, match="in the batch twice"):
        Guest.bulk_create([*guests(3), Guest(name="g1", email="x")])
    assert keyspace(plain) == {}


def test_bulk_create_replaces_rows_whole(store: Any, plain: Any):
    Guest.bulk_create(guests(3))
    Guest.bulk_create([Guest(name=f"g{n}", email=f"f{n}", room="r") for n in range(3)])
    assert rows(plain) == ["Guest:g0", "Guest:g1", "Guest:g2"]
    assert stray_entries(plain, Guest) == []
    assert Guest.query.count(email="e1") == 0


def test_bulk_update_moves_index_entries_of_a_query(store: Any, plain: Any):
    Guest.bulk_create(guests(5))
    with round_trips() as trips:
        assert Guest.bulk_update(Guest.query.filter(room="none"), room="attic", age=7) == 5
    assert {len(members) for key, members in keyspace(plain).items() if key.endswith(b":attic")} == {5}
    assert stray_entries(plain, Guest) == []
    assert trips == 2
    assert (Guest.query.count(room="none"), Guest.query.count(room="attic"), Guest.query.count(age=7)) == (0, 5, 5)


def test_bulk_update_of_a_list_takes_one_round_trip_a_batch(store: Any, plain: Any):
    made = Guest.bulk_create(guests(5))
    with round_trips() as trips:
        assert Guest.bulk_update(made, batch_size=2, note="x", tags=["a"]) == 5
    assert trips == 3
    made[0].tags.append("b")
    assert made[1].tags == ["a"]
    made[0].save()
    assert [len(row.tags) for row in Guest.query.filter(order_by="name")] == [2, 1, 1, 1, 1]


def test_bulk_update_saves_what_was_assigned_before_too(store: Any):
    made = Guest.bulk_create(guests(2))
    made[0].note = "kept"
    Guest.bulk_update(made, room="r")
    assert Guest.load("Guest:g0").note == "kept"


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        ({"rooom": "x"}, "no field 'rooom'.*room"),
        ({"name": "x"}, "part of the key"),
        ({"age": "x"}, r"Guest\.age"),
        ({"age": None}, r"Guest\.age"),
        ({"note": "too long"}, r"Guest\.note"),
        ({"tags": [object()]}, r"Guest\.tags"),
    ],
)
def test_a_wrong_update_is_refused_and_nothing_written(store: Any, plain: Any, updates: dict[str, Any], message: str):
    made = Guest.bulk_create(guests(2))
    before = keyspace(plain)
    with pytest.raises(ModelException, match=message):
        Guest.bulk_update(made, **updates)
    assert keyspace(plain) == before


def test_updating_to_one_unique_value_keeps_one_holder(store: Any, plain: Any):
    made = Guest.bulk_create(guests(3))
    with pytest.raises(ModelException, match="1 of 3 items were written"):
        Guest.bulk_update(made, email="same")
    assert keyspace(plain)[b"$UniquF:Guest:email:same"] == {b"Guest:g0"}
    assert stray_entries(plain, Guest) == []


def test_rows_that_are_gone_are_named_and_not_made_anew(store: Any, plain: Any):
    made = Guest.bulk_create(guests(3))
    plain.delete("Guest:g1")
    with pytest.raises(ModelException, match="items 1") as raised:
        Guest.bulk_update(made, room="r")
    assert rows(plain) == ["Guest:g0", "Guest:g2"]
    assert isinstance(raised.value.failures[1], StaleObjectError)  # type: ignore[attr-defined]


def test_a_changed_key_is_not_renamed_in_passing(store: Any, plain: Any):
    made = Guest.bulk_create(guests(2))
    made[1].name = "other"
    with pytest.raises(ModelException) as raised:
        Guest.bulk_update(made, room="r")
    assert rows(plain) == ["Guest:g0", "Guest:g1"]
    assert isinstance(raised.value.failures[1], KeyMutationError)  # type: ignore[attr-defined]


def test_bulk_delete_leaves_nothing_and_counts_what_was_stored(store: Any, plain: Any):
    made = Guest.bulk_create(guests(5))
    Guest(name="g4").delete()
    with round_trips() as trips:
        assert Guest.bulk_delete([*made, Guest(name="never", email="e")], batch_size=3) == 4
    assert keyspace(plain) == {}
    assert trips == 2
    Guest.bulk_create(guests(4))
    with round_trips() as trips:
        assert Guest.bulk_delete(Guest.query.filter(age=1)) == 4
    assert trips == 2
    assert keyspace(plain) == {}


def test_delete_all_leaves_other_models_alone(store: Any, plain: Any):
    Loose.create(text="x")
    before = keyspace(plain)
    Guest.bulk_create(guests(25))
    assert Guest.delete_all(batch_size=10) == 25
    assert keyspace(plain) == before
    assert Guest.delete_all() == 0


def test_delete_all_of_many_rows_goes_in_bounded_batches(server: Any, plain: Any):
    Guest.bulk_create(guests(1500))
    with round_trips() as trips:
        assert Guest.delete_all(batch_size=300) == 1500
    assert keyspace(plain) == {}
    assert trips.count >= 10


def test_delete_all_writes_events_too(store: Any, plain: Any):
    class Visit(EventStreamMixin, Model):
        name = KeyField()
        place = Field()
        _stream_name = "visits"
        _stream_partition_field = "place"

    Visit.bulk_create([Visit(name="a", place="x"), Visit(name="b", place="x")])
    Visit.delete_all()
    assert [entry[b"op"] for _, entry in plain.xrange("stream:visits:x")] == [b"create"] * 2 + [b"delete"] * 2
    assert sorted(plain.keys()) == [b"stream:visits:x"]


@pytest.mark.parametrize("wrong", [0, -1, True, "3", None, 1.5])
def test_a_wrong_batch_size_is_refused(fake: Any, wrong: Any):
    Guest.bulk_create(guests(1))
    for work in (
        lambda: Guest.bulk_create(guests(1, 5), batch_size=wrong),
        lambda: Guest.bulk_update(guests(1), batch_size=wrong, room="r"),
        lambda: Guest.bulk_delete(guests(1), batch_size=wrong),
        lambda: Guest.delete_all(batch_size=wrong),
        lambda: Guest.check_indexes(batch_size=wrong),
        lambda: Guest.rebuild_indexes(batch_size=wrong),
    ):
        with pytest.raises(ModelException, match="batch_size"):
            work()
    assert Guest.query.count() == 1


def test_instances_of_another_class_are_refused(fake: Any, plain: Any):
    for verb in (Guest.bulk_create, Guest.bulk_update, Guest.bulk_delete):
        with pytest.raises(ModelException, match=r"item 1 .* not an instance of Guest"):
            verb([*guests(1), Loose(text="x")])  # type: ignore[operator]
    assert keyspace(plain) == {}


@pytest.mark.parametrize("wrong", [None, 5, "Guest:a", b"Guest:a"])
def test_what_is_no_list_is_refused(fake: Any, plain: Any, wrong: Any):
    for verb in (Guest.bulk_create, Guest.bulk_update, Guest.bulk_delete):
        with pytest.raises(ModelException, match="give a query, or a list of instances of Guest"):
            verb(wrong)
        with pytest.raises(ModelException, match="give a query, or a list of instances of Guest"):
            verb(guests(1)[0])  # type: ignore[arg-type]
    assert keyspace(plain) == {}


def test_async_twins_do_the_same(store: Any, plain: Any):
    async def work() -> None:
        with round_trips() as trips:
            made = await Guest.async_bulk_create(guests(6), batch_size=4)
        assert trips == 2
        assert rows(plain) == [f"Guest:g{n}" for n in range(6)]
        with round_trips() as trips:
            assert await Guest.async_bulk_update(Guest.query.filter(room="none"), room="attic") == 6
        assert trips == 2
        assert await Guest.async_bulk_update(made[:2], room="cave") == 2
        assert await Guest.query.async_count(room="cave") == 2
        assert stray_entries(plain, Guest) == []
        with pytest.raises(ModelException, match="is taken"):
            await Guest.async_bulk_create([Guest(name="x", email="e1")])
        assert await Guest.async_bulk_delete(Guest.query.filter(room="cave")) == 2
        assert await Guest.query.filter(name="g5").async_delete() == 1
        assert await Guest.query.filter(room="attic").async_update(age=5) == 3
        assert await Guest.async_delete_all() == 3

    asyncio.run(work())
    assert keyspace(plain) == {}


def test_update_and_delete_of_a_query(store: Any, plain: Any):
    Guest.bulk_create(guests(4))
    query = Guest.query.filter(room="none")
    assert len(query) == 4
    Guest.create(name="late", email="late")
    assert query.update(room="attic") == 5
    assert stray_entries(plain, Guest) == []
    assert Guest.query.filter(room="attic", limit=2, order_by="name").delete() == 2
    assert rows(plain) == ["Guest:g2", "Guest:g3", "Guest:late"]
    assert Guest.query.filter(room="attic", values=("name",)).delete() == 3
    assert keyspace(plain) == {}


SYNC_ONLY = {"is_valid", "get_info", "filter", "prefetch", "exclude", "order_by", "limit", "values"}
SYNC_ONLY |= {"computed_sort", "no_track"}


def verbs(owner: type) -> dict[str, Any]:
    return {name: getattr(owner, name) for name in dir(owner) if name[0] != "_" and callable(getattr(owner, name))}


def parameters(function: Any) -> list[Any]:
    return [
        (one.name, one.kind, one.default, one.annotation) for one in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize("owner", [Model, Query])
def test_every_verb_has_an_async_twin_of_the_same_signature(owner: type):
    found = verbs(owner)
    plain = {name for name in found if not name.startswith("async_")}
    twins = {name.removeprefix("async_") for name in found if name.startswith("async_")}
    # A relationship's attribute is the blocking form of async_fetch, `async for` the asyncio form of iterator.
    wanted = plain - SYNC_ONLY - {"explain", "iterator", "mro", "register"} - {"objects", "query"}
    assert wanted - twins == set()
    assert twins - plain - {"fetch"} == set()
    for name in sorted(twins & plain):
        assert parameters(found[f"async_{name}"]) == parameters(found[name]), name
        assert inspect.iscoroutinefunction(found[f"async_{name}"]), name
        assert not inspect.iscoroutinefunction(found[name]), name
