"""RecallProposal: what was offered is pending until it is answered, grows stale, or its row is gone."""

from __future__ import annotations

import asyncio
from typing import Any

from stored import keyspace, let_expire

from popoto import AccessTrackerMixin, ConfidenceField, Field, KeyField, Model, RecallProposal, clock, round_trips
from popoto import connection as current
from popoto.storage import Connection

pending, create, expire = RecallProposal.get_pending, RecallProposal.create_batch, RecallProposal.expire_stale


class Memory(AccessTrackerMixin, Model):
    name = KeyField()
    sure = ConfidenceField()


class Note(Model):
    """A model on which no outcome has an effect."""

    name = KeyField()
    text = Field()


def memories(*names: str) -> list[Memory]:
    return [Memory.create(name=name) for name in names]


def proposals(plain: Any) -> dict[bytes, Any]:
    return {key: value for key, value in keyspace(plain).items() if key.startswith(b"$RP")}


def test_proposals_of_a_batch_are_pending_in_the_form_of_1x(store: Connection, plain: Any) -> None:
    rows = memories("a", "b")
    with clock.frozen(lambda: 1700000000.5), round_trips() as trips:
        assert create([*rows, Note.create(name="n")], reason="hunch") is None
    assert proposals(plain) == {
        b"$RP:Memory:pending:default": {b"Memory:a": 1700000000.5, b"Memory:b": 1700000000.5},
        b"$RP:Note:pending:default": {b"Note:n": 1700000000.5},
    }
    assert trips == 2  # one creates the note
    assert pending(Memory) == [("Memory:a", 1700000000.5), ("Memory:b", 1700000000.5)]
    assert create([]) is None


def test_a_proposal_is_resolved_once(store: Connection) -> None:
    for row in (*memories("a"), Note.create(name="n")):
        create([row])
        assert (RecallProposal.resolve(row, "acted"), RecallProposal.resolve(row, "acted")) == (1, 0)
        assert pending(type(row)) == []


def test_a_proposal_is_resolved_in_the_partition_where_it_was_made(store: Connection, plain: Any) -> None:
    (row,) = memories("a")
    create([row], partition="x")
    create([row], partition="y")
    create([row])
    assert RecallProposal.resolve(row, "acted", partition="y") == 1
    assert (len(pending(Memory, "x")), len(pending(Memory, "y")), len(pending(Memory))) == (1, 0, 1)
    assert RecallProposal.resolve(row, "acted") == 2  # D20: that of x stayed
    assert proposals(plain) == {}


def test_stale_proposals_expire(store: Connection, plain: Any) -> None:
    rows = memories("a", "b")
    now = 1700000000.0
    with clock.frozen(lambda: now):
        plain.zadd("$RP:Memory:pending:default", {rows[0].pk: now - 4000, rows[1].pk: now - 10})
        assert expire(Memory) == ["Memory:a"]
        assert expire(Memory, ttl=5) == ["Memory:b"]
        assert expire(Memory, ttl=5) == []
    assert proposals(plain) == {}


def test_expiry_goes_in_bounded_steps_and_clears_what_rows_remember(store: Connection, plain: Any) -> None:
    rows = memories(*(str(number) for number in range(12)))
    with clock.frozen(lambda: 1700000000.0):
        create(rows, partition="x")
    plain.zadd("$RP:Memory:pending:x", {f"Memory:old{number}": number for number in range(2500)})
    with round_trips() as trips:
        assert len(expire(Memory, "x")) == 2512
    assert trips == 3
    assert proposals(plain) == {}


def test_proposing_takes_stale_ones_out(store: Connection, plain: Any) -> None:
    (row,) = memories("a")
    with clock.frozen(lambda: 1700000000.0):
        create([row], partition="x")
    plain.zadd("$RP:Memory:pending:x", {"Memory:gone": 5})
    (other,) = memories("b")
    with clock.frozen(lambda: 1700003601.0):
        create([other], partition="x")
    assert proposals(plain) == {
        b"$RP:Memory:pending:x": {b"Memory:b": 1700003601.0},  # D20: the set grew for ever
        b"$RP:Memory:of:Memory:b": {b"x"},
    }


def test_a_row_that_is_not_stored_is_not_proposed(store: Connection, plain: Any) -> None:
    create([Memory(name="a"), Note(name="n")])
    assert keyspace(plain) == {}


def test_proposals_follow_a_rename_and_leave_with_the_row(store: Connection, plain: Any) -> None:
    (row,) = memories("a")
    with clock.frozen(lambda: 5e9):
        create([row], partition="x")
        create([row])
    row.name = "b"
    row.save(migrate_key=True)
    Memory.create(name="b")
    assert proposals(plain) == {
        b"$RP:Memory:pending:x": {b"Memory:b": 5e9},
        b"$RP:Memory:pending:default": {b"Memory:b": 5e9},
        b"$RP:Memory:of:Memory:b": {b"x"},
    }
    assert Memory.check_indexes()["total"] == 0
    row.delete()
    assert keyspace(plain) == {}


def test_proposals_leave_with_a_row_that_expires_and_care_finds_strays(store: Connection, plain: Any) -> None:
    row = Memory.create(name="a", _ttl=100)
    create([row], partition="x")
    create([row])
    plain.delete("Memory:a")
    with clock.frozen(lambda: 4e9):
        Memory.create(name="b", _ttl=100)
    assert proposals(plain) == {}
    plain.zadd("$RP:Memory:pending:default", {"Memory:lost": 5})
    plain.sadd("$RP:Memory:of:Memory:gone", "x")
    plain.zadd("$RP:Memory:pending:x", {"Memory:gone": 5})
    assert Memory.check_indexes()["companions"]["RecallProposal"] == 2
    Memory.clean_indexes()
    assert proposals(plain) == {}


def test_proposals_of_any_partition_leave_with_a_row_that_really_expires(store: Connection, plain: Any) -> None:
    row = Memory.create(name="a", _ttl=100)
    create([row], partition="x")
    row.on_read()
    row.save()
    let_expire(plain)
    with clock.frozen(lambda: 4e9):
        Memory.clean_indexes()
    assert keyspace(plain) == {}


def test_many_proposals_are_read_in_bounded_steps(store: Connection, plain: Any) -> None:
    plain.zadd("$RP:Memory:pending:default", {f"Memory:{number}": number for number in range(2500)})
    with round_trips() as trips:
        found = pending(Memory)
    assert (found == [(f"Memory:{number}", float(number)) for number in range(2500)], trips) == (True, 3)


def test_all_of_it_waits_in_a_pipeline(store: Connection, plain: Any) -> None:
    rows = memories("a", "b")
    for pipe in (store.pipeline(), plain.pipeline()):
        assert create(rows, partition="x", pipeline=pipe) is pipe
        assert pending(Memory, "x") == []
        pipe.execute()
        RecallProposal.resolve(rows[0], "used", pipeline=pipe)
        with clock.frozen(lambda: 4e9):
            expire(Memory, "x", pipeline=pipe)
        assert len(pending(Memory, "x")) == 2
        assert pipe.execute() == [1, ["Memory:b"]]


def test_the_asyncio_twins_do_the_same(store: Connection) -> None:
    rows = memories("a", "b")

    async def work() -> None:
        with clock.frozen(lambda: 7.0):
            await RecallProposal.async_create_batch(rows)
        assert await RecallProposal.async_get_pending(Memory) == [("Memory:a", 7.0), ("Memory:b", 7.0)]
        assert await RecallProposal.async_resolve(rows[0], "used") == 1
        assert await RecallProposal.async_expire_stale(Memory) == ["Memory:b"]
        await current().aclose()

    asyncio.run(work())
