"""Deleting takes the row and just its entries, whatever this process believes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from stored import keyspace, stray_entries

from popoto import IndexedField, KeyField, Model, SortedField, UniqueField


class Thing(Model):
    name = KeyField()
    kind = IndexedField()
    code = UniqueField()
    rank = SortedField(default=0.0)
    place = SortedField(type=int, default=0, partition_by=("kind",))
    items = IndexedField(type=list)


def test_delete_leaves_nothing(store: Any, plain: Any):
    made = Thing.create(name="a", kind="x", code="c", items=[1])
    assert made.delete() is True
    assert keyspace(plain) == {}
    assert made.delete() is False


def test_delete_leaves_others_alone(store: Any, plain: Any):
    other = Thing.create(name="b", kind="x", code="d", items=[1])
    before = keyspace(plain)
    Thing.create(name="a", kind="x", code="c", items=[1]).delete()
    assert keyspace(plain) == before
    assert Thing.query.all() == [other]


def test_a_never_saved_instance_deletes_nothing(store: Any, plain: Any):
    assert Thing(name="a", code="c").delete() is False
    assert keyspace(plain) == {}


def test_a_stale_copy_deletes_the_entries_that_are_stored(store: Any, plain: Any):
    made = Thing.create(name="a", kind="x", code="c", rank=1.0, items=[1])
    stale = Thing.load("Thing:a")
    assert stale is not None
    made.kind, made.code, made.rank, made.items = "y", "d", 2.0, [2]
    made.save()
    assert stale.delete() is True
    assert keyspace(plain) == {}


def test_a_made_up_instance_deletes_the_entries_that_are_stored(store: Any, plain: Any):
    Thing.create(name="a", kind="x", code="c")
    assert Thing(name="a", kind="ZZZ", code="zzz").delete() is True
    assert keyspace(plain) == {}


def test_changed_values_in_memory_do_not_mislead_a_delete(store: Any, plain: Any):
    made = Thing.create(name="a", kind="x", code="c")
    made.name, made.kind = "b", "y"
    assert made.delete() is True
    assert keyspace(plain) == {}


def test_deleting_with_key_characters(store: Any, plain: Any):
    for name in ("a:b", "a{&#58;}b", "None", "x/y", "[*]", "é\n", ""):
        assert Thing.create(name=name, kind=name, code=name).delete() is True
    assert keyspace(plain) == {}


def test_a_leftover_class_entry_goes_with_a_delete(store: Any, plain: Any):
    made = Thing.create(name="a", kind="x", code="c")
    plain.delete("Thing:a")
    assert made.delete() is False
    assert b"$Class:Thing" not in keyspace(plain)


def test_delete_checks_every_key_before_it_writes(store: Any, plain: Any):
    made = Thing.create(name="a", kind="x", code="c")
    plain.delete("$SortF:Thing:rank")
    plain.set("$SortF:Thing:rank", "text")
    before = keyspace(plain)
    with pytest.raises(Exception, match="WRONGTYPE"):
        made.delete()
    assert keyspace(plain) == before


def test_async_delete_leaves_nothing(store: Any, plain: Any):
    async def work() -> tuple[bool, bool]:
        made = await Thing.async_create(name="a", kind="x", code="c")
        return await made.async_delete(), await made.async_delete()

    assert asyncio.run(work()) == (True, False)
    assert keyspace(plain) == {}


def test_delete_after_create_in_a_row_leaves_no_entry(store: Any, plain: Any):
    for number in range(5):
        Thing.create(name="a", kind=str(number), code=str(number), items=[number])
    assert {key for key in keyspace(plain) if key.startswith(b"$IndexF")} == {
        b"$IndexF:Thing:kind:4",
        b"$IndexF:Thing:items:/[4/]",
    }
    plain.hdel("Thing:a", "$ttl")
    assert stray_entries(plain, Thing) == []
