"""Saves decide from the stored row: whole rows, changed fields only, and never an index entry too many."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest
from stored import keyspace, stray_entries

from popoto import (
    Field,
    IndexedField,
    IntField,
    KeyField,
    ListField,
    Model,
    ModelException,
    SortedField,
    StaleObjectError,
    UniqueField,
    round_trips,
)


class Dish(Model):
    name = KeyField()
    cuisine = IndexedField()
    code = IndexedField(unique=True)
    rating = SortedField(default=0.0)
    price = SortedField(type=int, default=1, partition_by="cuisine")
    stars = IntField(default=3)
    tags = ListField(default=list)
    labels = IndexedField(type=list)


class Note(Model):
    text = Field()


def row(plain: Any, key: str) -> dict[str, Any]:
    """A stored hash of plain values."""
    return {
        name.decode(): msgpack.unpackb(raw) for name, raw in plain.hgetall(key).items() if not name.startswith(b"$")
    }


def test_create_stores_a_row_and_its_entries(store: Any, plain: Any):
    made = Dish.create(name="a", cuisine="It", rating=4.5, labels=["x"])
    assert row(plain, "Dish:a") == {
        "name": "a", "cuisine": "It", "code": None, "rating": 4.5, "price": 1, "stars": 3, "tags": [], "labels": ["x"],
    }  # fmt: skip
    assert plain.zscore("$SortF:Dish:price:It", "Dish:a") == 1
    assert plain.sismember("$IndexF:Dish:labels:/['x'/]".replace("'", "/'"), "Dish:a")
    assert made.pk == "Dish:a"


def test_save_returns_the_number_of_new_fields(store: Any, plain: Any):
    made = Dish(name="a")
    assert made.save() == 8
    made.stars = 4
    assert made.save() == 0
    assert row(plain, "Dish:a")["stars"] == 4


def test_making_an_instance_writes_nothing(store: Any, plain: Any):
    Dish(name="a", cuisine="It")
    assert keyspace(plain) == {}


def test_a_changed_index_value_leaves_its_old_set(store: Any, plain: Any):
    made = Dish.create(name="a", cuisine="It", labels=[1])
    made.cuisine, made.labels = "Fr", [2]
    made.save()
    assert plain.exists("$IndexF:Dish:cuisine:It", "$IndexF:Dish:labels:/[1/]", "$SortF:Dish:price:It") == 0
    assert plain.exists("$IndexF:Dish:cuisine:Fr", "$IndexF:Dish:labels:/[2/]", "$SortF:Dish:price:Fr") == 3


def test_a_moved_row_leaves_its_old_partition_and_keeps_its_score(store: Any, plain: Any):
    Dish.create(name="a", cuisine="It", price=7)
    found = Dish.query.filter(cuisine="It")[0]
    found.cuisine = "Fr"
    found.save(update_fields=["cuisine"])
    assert keyspace(plain)[b"$SortF:Dish:price:Fr"] == {b"Dish:a": 7.0}
    assert plain.exists("$SortF:Dish:price:It") == 0


def test_a_row_from_a_filter_leaves_no_stale_entry(store: Any, plain: Any):
    Dish.create(name="a", cuisine="It", rating=1, code="x")
    found = Dish.query.filter(rating__gte=1)[0]
    found.cuisine, found.rating, found.code = "Fr", 2.0, "y"
    found.save()
    assert row(plain, "Dish:a")["cuisine"] == "Fr"
    assert stray_entries(plain, Dish) == []
    assert Dish.query.count(cuisine="It") == 0
    assert Dish.query.count(code="x") == 0


def test_two_stale_copies_leave_no_stale_entry(store: Any, plain: Any):
    Dish.create(name="a", cuisine="1")
    one, other = Dish.load("Dish:a"), Dish.load("Dish:a")
    assert one is not None and other is not None
    one.cuisine = "2"
    one.save()
    other.cuisine = "3"
    other.save()
    assert row(plain, "Dish:a")["cuisine"] == "3"
    assert {key for key in keyspace(plain) if b":cuisine:" in key} == {b"$IndexF:Dish:cuisine:3"}


def test_writers_of_different_fields_both_keep_their_work(store: Any, plain: Any):
    Dish.create(name="a")
    one, other = Dish.load("Dish:a"), Dish.load("Dish:a")
    assert one is not None and other is not None
    one.stars = 5
    one.save()
    other.cuisine = "It"
    other.save()
    stored = row(plain, "Dish:a")
    assert (stored["stars"], stored["cuisine"]) == (5, "It")


def test_a_mutated_list_is_a_change(store: Any, plain: Any):
    Dish.create(name="a", tags=["x"])
    found = Dish.load("Dish:a")
    assert found is not None
    found.tags.append("y")
    found.save()
    assert row(plain, "Dish:a")["tags"] == ["x", "y"]


def test_saving_what_did_not_change_writes_nothing_new(store: Any, plain: Any):
    made = Dish.create(name="a", cuisine="It")
    before = keyspace(plain)
    assert made.save() == 0
    assert keyspace(plain) == before


def test_a_second_create_replaces_the_row_whole(store: Any, plain: Any):
    Dish.create(name="a", cuisine="It", rating=4.5, code="x", labels=[1])
    plain.hset("Dish:a", "extra", b"\x01")
    Dish.create(name="a", cuisine="Fr")
    stored = plain.hgetall("Dish:a")
    assert b"extra" not in stored and stored[b"cuisine"] == b"\xa2Fr"
    assert stray_entries_but_labels(plain) == []
    assert Dish.query.count(cuisine="It") == 0


def stray_entries_but_labels(plain: Any) -> list[str]:
    plain.hdel("Dish:a", "$idx")
    return stray_entries(plain, Dish)


def test_a_partial_save_writes_only_what_it_names(store: Any, plain: Any):
    made = Dish.create(name="a", cuisine="It", stars=1)
    made.cuisine, made.stars = "Fr", 9
    assert made.save(update_fields=["cuisine"]) == 0
    stored = row(plain, "Dish:a")
    assert (stored["cuisine"], stored["stars"]) == ("Fr", 1)
    made.save()
    assert row(plain, "Dish:a")["stars"] == 9


def test_an_empty_partial_save_does_nothing(store: Any, plain: Any):
    made = Dish(name="a")
    with round_trips() as trips:
        assert made.save(update_fields=[]) == 0
    assert trips == 0
    assert keyspace(plain) == {}


def test_a_partial_save_of_a_new_instance_stores_it_whole(store: Any, plain: Any):
    Dish(name="a", cuisine="It").save(update_fields=["cuisine"])
    assert row(plain, "Dish:a")["stars"] == 3
    assert stray_entries(plain, Dish) == []


def test_unknown_update_fields_are_refused(store: Any, plain: Any):
    made = Dish.create(name="a")
    before = keyspace(plain)
    with pytest.raises(ModelException, match=r"no field 'cusine'.*did you mean 'cuisine'"):
        made.save(update_fields=["cusine"])
    with pytest.raises(ModelException, match="must be a list of field names"):
        made.save(update_fields="cuisine")
    assert keyspace(plain) == before


def test_saving_a_deleted_row_is_refused(store: Any, plain: Any):
    Dish.create(name="a", cuisine="It")
    one, other = Dish.load("Dish:a"), Dish.load("Dish:a")
    assert one is not None and other is not None
    one.delete()
    other.cuisine = "Fr"
    with pytest.raises(StaleObjectError, match=r"'Dish:a' is no longer stored"):
        other.save()
    with pytest.raises(StaleObjectError):
        other.save(update_fields=["cuisine"])
    assert keyspace(plain) == {}


def test_a_deleted_instance_can_be_saved_anew(store: Any, plain: Any):
    made = Dish.create(name="a", cuisine="It", tags=[1])
    made.delete()
    assert made.save() == 8
    assert row(plain, "Dish:a")["tags"] == [1]
    assert stray_entries(plain, Dish) == []


def test_a_loaded_row_that_was_deleted_by_itself_can_be_saved_anew(store: Any, plain: Any):
    Dish.create(name="a", cuisine="It", tags=[1])
    found = Dish.load("Dish:a")
    assert found is not None
    found.delete()
    found.save()
    assert row(plain, "Dish:a")["tags"] == [1]
    assert stray_entries(plain, Dish) == []


def test_ignore_errors_returns_false_and_logs(store: Any, plain: Any, caplog: pytest.LogCaptureFixture):
    made = Dish(name="a")
    made.rating = None  # type: ignore[assignment]
    assert made.save(ignore_errors=True) is False
    assert keyspace(plain) == {}
    assert "Dish.rating" in caplog.text


def test_none_can_be_saved_and_changed(store: Any, plain: Any):
    made = Dish.create(name="a", cuisine=None)
    assert plain.smembers("$IndexF:Dish:cuisine:None") and plain.exists("$SortF:Dish:price:None") == 1
    made.cuisine = "It"
    made.save()
    assert plain.exists("$IndexF:Dish:cuisine:None", "$SortF:Dish:price:None") == 0
    made.cuisine = None  # type: ignore[assignment]
    made.save()
    assert stray_entries(plain, Dish) == []


def test_unknown_fields_of_a_row_survive_a_save(store: Any, plain: Any):
    Dish.create(name="a")
    plain.hset("Dish:a", "other", b"\x07")
    found = Dish.load("Dish:a")
    assert found is not None
    found.stars = 1
    found.save()
    assert plain.hget("Dish:a", "other") == b"\x07"


def test_rows_of_two_hundred_fields_are_saved_and_read(store: Any, plain: Any):
    fields = {f"f{number}": IntField() for number in range(200)}
    wide = type("Wide", (Model,), {"k": KeyField(), **fields})
    wide.create(k="a", **{name: number for number, name in enumerate(fields)})  # type: ignore[attr-defined]
    assert plain.hlen("Wide:a") == 201
    found = wide.query.get(k="a")  # type: ignore[attr-defined]
    assert [getattr(found, name) for name in fields] == list(range(200))


def test_mutable_defaults_are_not_shared(fake: Any):
    class Shared(Model):
        k = KeyField()
        items = ListField(default=[])

    one = Shared(k="a")
    one.items.append(1)
    assert Shared(k="b").items == []


def test_generated_keys_differ(fake: Any):
    made = [Note.create(text="x") for _ in range(50)]
    assert len({one.pk for one in made}) == 50
    assert Note.query.count() == 50


def test_a_wrong_typed_index_key_is_refused_before_anything_is_written(store: Any, plain: Any):
    plain.set("$SortF:Dish:rating", "text")
    before = keyspace(plain)
    with pytest.raises(Exception, match="WRONGTYPE"):
        Dish.create(name="a", cuisine="It")
    assert keyspace(plain) == before
    plain.delete("$SortF:Dish:rating")
    plain.set("$Class:Dish", "text")
    before = keyspace(plain)
    with pytest.raises(Exception, match="WRONGTYPE"):
        Dish.create(name="a", cuisine="It")
    assert keyspace(plain) == before


def test_async_twins_store_the_same(store: Any, plain: Any):
    async def work() -> None:
        made = await Dish.async_create(name="a", cuisine="It", rating=4.5)
        made.cuisine = "Fr"
        assert await made.async_save() == 0
        found = await Dish.async_load("Dish:a")
        assert found == made

    asyncio.run(work())
    through_async = keyspace(plain)
    plain.flushall()
    made = Dish.create(name="a", cuisine="It", rating=4.5)
    made.cuisine = "Fr"
    made.save()
    assert keyspace(plain) == through_async


class Person(Model):
    name = KeyField()
    email = UniqueField()


def test_equal_instances_are_equal_and_hashable(fake: Any):
    made = Person.create(name="a", email="x")
    assert Person.load("Person:a") == made
    assert len({made, Person.load("Person:a")}) == 1
    assert made != Person(name="b", email="x")
    assert (str(made), made.pk, made.db_key.redis_key) == ("Person:a", "Person:a", "Person:a")
    assert repr(made) == "Person(name='a', email='x')"
