"""Changing a key value is refused, or renames the row with all that belongs to it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from stored import keyspace, stray_entries

from popoto import (
    AutoKeyField,
    Field,
    IndexedField,
    KeyField,
    KeyMutationError,
    Model,
    ModelException,
    SortedField,
    StaleObjectError,
    UniqueField,
    UniqueKeyField,
)


class City(Model):
    country = KeyField()
    name = KeyField()
    kind = IndexedField()
    code = UniqueField()
    size = SortedField(type=int, default=0, partition_by=("country",))
    text = Field()


class Ticket(Model):
    number = UniqueKeyField(type=int)
    serial = AutoKeyField()


def made(**kwargs: Any) -> City:
    return City.create(**({"country": "it", "name": "Rome", "kind": "c", "code": "RM", "size": 3} | kwargs))


def test_a_changed_key_is_refused(store: Any, plain: Any):
    city = made()
    before = keyspace(plain)
    city.name = "Roma"
    with pytest.raises(KeyMutationError, match=r"City\.name was changed to 'Roma'.*'City:it:Rome'.*migrate_key=True"):
        city.save()
    with pytest.raises(KeyMutationError):
        city.save(update_fields=["text"])
    assert keyspace(plain) == before


def test_a_renamed_row_takes_everything_along(store: Any, plain: Any):
    city = made(text="x")
    plain.hset("City:it:Rome", "foreign", b"\x01")
    city.name = "Roma"
    city.save(migrate_key=True)
    here = keyspace(plain)
    assert here[b"City:it:Roma"][b"foreign"] == b"\x01"
    assert b"City:it:Rome" not in here
    assert here[b"$SortF:City:size:it"] == {b"City:it:Roma": 3.0}
    assert not any(b"Rome" in str(content).encode() for content in here.values())
    plain.hdel("City:it:Roma", "foreign")
    assert stray_entries(plain, City) == []
    assert city.pk == "City:it:Roma"
    city.text = "y"
    assert city.save() == 0


def test_a_rename_moves_partitions_named_by_the_key(store: Any, plain: Any):
    city = made()
    city.country = "va"
    city.kind = "d"
    city.save(migrate_key=True)
    assert keyspace(plain)[b"$SortF:City:size:va"] == {b"City:va:Rome": 3.0}
    assert stray_entries(plain, City) == []


def test_a_rename_from_a_filter_needs_nothing_in_memory(store: Any, plain: Any):
    made()
    city = City.query.filter(kind="c")[0]
    city.name = "Roma"
    city.save(migrate_key=True)
    assert b"City:it:Roma" in keyspace(plain)
    assert stray_entries(plain, City) == []


def test_a_taken_key_is_refused(store: Any, plain: Any):
    city = made()
    made(name="Pisa", code="PI")
    before = keyspace(plain)
    city.name = "Pisa"
    with pytest.raises(ModelException, match=r"City 'City:it:Pisa' is stored already"):
        city.save(migrate_key=True)
    assert keyspace(plain) == before
    assert city.pk == "City:it:Rome"


def test_of_two_movers_one_wins(store: Any, plain: Any):
    made()
    one, other = City.load("City:it:Rome"), City.load("City:it:Rome")
    assert one is not None and other is not None
    one.name, other.name = "A", "B"
    one.save(migrate_key=True)
    with pytest.raises(StaleObjectError):
        other.save(migrate_key=True)
    assert {key for key in keyspace(plain) if key.startswith(b"City:")} == {b"City:it:A"}
    assert stray_entries(plain, City) == []


def test_a_rename_keeps_its_unique_value(store: Any, plain: Any):
    ticket = Ticket.create(number=1)
    serial = ticket.serial
    ticket.number = 2
    ticket.save(migrate_key=True)
    assert {key for key in keyspace(plain)} == {
        b"$Class:Ticket",
        f"Ticket:2:{serial}".encode(),
        b"$UniqueKeyF:Ticket:number:2",
        b"$Vals:Ticket:number",
        b"$Vals:Ticket",
    }
    assert plain.zrange("$Vals:Ticket:number", 0, -1) == [b"2"]
    Ticket.create(number=1)
    with pytest.raises(ModelException, match=r"Ticket\.number = 2 is taken"):
        Ticket.create(number=2)


def test_changing_a_generated_key_is_a_key_change(store: Any, plain: Any):
    ticket = Ticket.create(number=1)
    ticket.serial = "f" * 32
    with pytest.raises(KeyMutationError):
        ticket.save()
    ticket.save(migrate_key=True)
    assert plain.exists("Ticket:1:" + "f" * 32) == 1
    assert stray_entries(plain, Ticket) == []


def test_renaming_an_unsaved_instance_touches_no_one(store: Any, plain: Any):
    made()
    other = City(country="it", name="Rome", code="XX")
    other.name = "Pisa"
    other.save(migrate_key=True)
    assert {key for key in keyspace(plain) if key.startswith(b"City:")} == {b"City:it:Rome", b"City:it:Pisa"}
    assert stray_entries(plain, City) == []


def test_the_same_key_in_another_spelling_is_no_change(store: Any, plain: Any):
    ticket = Ticket.create(number=1)
    ticket.number = "1"  # type: ignore[assignment]
    assert ticket.save() == 0
    assert plain.exists(ticket.pk) == 1


def test_a_renamed_row_keeps_its_time_to_live(store: Any, plain: Any):
    city = made()
    plain.pexpire("City:it:Rome", 100_000)
    city.name = "Roma"
    city.save(migrate_key=True)
    assert 90_000 < plain.pttl("City:it:Roma") <= 100_000


def test_async_rename(store: Any, plain: Any):
    async def work() -> None:
        city = await City.async_create(country="it", name="Rome", code="RM")
        city.name = "Roma"
        with pytest.raises(KeyMutationError):
            await city.async_save()
        await city.async_save(migrate_key=True)

    asyncio.run(work())
    assert plain.exists("City:it:Roma") == 1
    assert stray_entries(plain, City) == []
