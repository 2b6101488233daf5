"""The expiry ledger: when rows have expired, counts and queries are right at once, and nothing of them remains."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest
from stored import keyspace, stray_entries

from popoto import GeoField, IndexedField, KeyField, Model, SortedField, UniqueField, clock, round_trips

LEDGER, RECEIPTS = b"$Exp:Guest", b"$Rcpt:Guest"


class Guest(Model):
    name = KeyField()
    code = UniqueField()
    kind = IndexedField(default="k")
    age = SortedField(type=int, default=1, partition_by="kind")
    tags = IndexedField(type=list)
    at = GeoField()

    class Meta:
        ttl = 100
        indexes = ((("kind", "code"), True),)


class Price(Model):
    name = KeyField()
    amount = IndexedField(type=Decimal)


def guests(*names: str, **more: Any) -> list[Guest]:
    return [Guest.create(**({"name": name, "code": name, "tags": [name], "at": (1, 2)} | more)) for name in names]


def expire(plain: Any, *names: str) -> None:
    """Let rows expire, as if their time had passed: the server takes the hash, and tells nobody."""
    for name in names:
        plain.delete(f"Guest:{name}")
        plain.zadd(LEDGER, {f"Guest:{name}": time.time() * 1000 - 10})


def later() -> Any:
    """The clock after every time to live."""
    return clock.frozen(lambda: time.time() + 1000)


def mentions(plain: Any, name: str) -> list[bytes]:
    """The keys that still name a row."""
    found = []
    for key in plain.scan_iter(count=1000):
        kind = plain.type(key)
        content: Any = plain.zrange(key, 0, -1) if kind == b"zset" else ()
        content = set(plain.smembers(key)) if kind == b"set" else content
        if kind == b"hash":
            values = plain.hgetall(key)
            content = [*values, *values.values()]
        if f"Guest:{name}".encode() in content:
            found.append(key)
    return sorted(found)


def test_rows_with_a_time_to_live_are_noted_with_their_moment(store: Any, plain: Any):
    guests("a")
    wanted = time.time() * 1000 + 100_000
    assert plain.zscore(LEDGER, "Guest:a") == pytest.approx(wanted, abs=20_000)
    assert list(plain.hgetall(RECEIPTS)) == [b"Guest:a"]
    plain.pexpire("Guest:a", 5000)
    row = Guest.load("Guest:a")
    row.kind = "x"
    row.save()
    assert plain.zscore(LEDGER, "Guest:a") == pytest.approx(wanted, abs=20_000)


def test_rows_without_one_are_not(store: Any, plain: Any):
    Price.create(name="a", amount=Decimal(1))
    assert [key for key in plain.scan_iter() if key.startswith((b"$Exp", b"$Rcpt"))] == []
    (row,) = guests("a")
    row._ttl = None
    row.save()
    assert not plain.exists(LEDGER, RECEIPTS)


def test_deleting_and_renaming_keep_the_ledger(store: Any, plain: Any):
    one, two = guests("a", "b")
    one.delete()
    two.name = "c"
    two.save(migrate_key=True)
    assert plain.zrange(LEDGER, 0, -1) == [b"Guest:c"]
    assert list(plain.hgetall(RECEIPTS)) == [b"Guest:c"]
    two.delete()
    assert not plain.exists(LEDGER, RECEIPTS)
    assert keyspace(plain) == {}


def test_once_expired_a_row_is_counted_and_found_by_nobody(store: Any, plain: Any):
    guests("a", "b", "c")
    expire(plain, "a", "b")
    assert Guest.query.count() == 1
    assert Guest.query.count(kind="k") == 1
    assert Guest.query.count(kind="k", age__gte=0) == 1
    assert Guest.query.count(at=(1, 2)) == 1
    assert [row.name for row in Guest.query.all()] == ["c"]
    assert [row.name for row in Guest.query.filter(kind="k", order_by="age", limit=1)] == ["c"]
    assert Guest.query.get(code="a") is None
    assert Guest.query.exists(code="b") is False
    assert Guest.query.keys() == [b"Guest:c"]
    assert Guest.check_indexes()["total"] == 0

    async def ask() -> tuple[int, list[bytes]]:
        return await Guest.query.async_count(), await Guest.query.async_keys()

    assert asyncio.run(ask()) == (1, [b"Guest:c"])


def test_counting_and_keys_still_take_one_round_trip(store: Any, plain: Any):
    guests("a", "b")
    for ask in (Guest.query.count, Guest.query.keys, lambda: Guest.query.count(kind="k")):
        with round_trips() as trips:
            ask()
        assert trips == 1


def test_the_next_save_takes_expired_rows_out_of_every_index(store: Any, plain: Any):
    guests("a", "b")
    expire(plain, "a", "b")
    guests("c")
    assert mentions(plain, "a") == mentions(plain, "b") == []
    assert plain.zrange(LEDGER, 0, -1) == [b"Guest:c"]
    assert Guest.check_indexes()["total"] == 0


def test_a_delete_and_a_pipeline_do_so_too(store: Any, plain: Any):
    _, other, third = guests("a", "b", "c")
    expire(plain, "a")
    other.delete()
    assert mentions(plain, "a") == []
    expire(plain, "c")
    with store.pipeline() as pipe:
        Guest.create(pipeline=pipe, name="d", code="d")
        pipe.execute()
    assert mentions(plain, third.name) == []


def test_one_write_takes_a_bounded_number(store: Any, plain: Any):
    names = [f"g{n}" for n in range(20)]
    guests(*names)
    expire(plain, *names)
    guests("new")
    assert plain.zcard(LEDGER) == 20 - 8 + 1
    assert Guest.query.count() == 1
    guests("new2")
    guests("new3")
    assert [name for name in names if mentions(plain, name)] == []


def test_cleaning_takes_all_of_them(store: Any, plain: Any):
    names = [f"g{n}" for n in range(30)]
    guests(*names, "kept")
    expire(plain, *names)
    assert Guest.check_indexes()["total"] == 0
    assert Guest.clean_indexes() == 0
    assert [name for name in names if mentions(plain, name)] == []
    assert plain.zrange(LEDGER, 0, -1) == [b"Guest:kept"]
    assert Guest.query.count() == 1


def test_rebuilding_and_delete_all_leave_nothing(store: Any, plain: Any):
    guests("a", "b")
    expire(plain, "a")
    assert Guest.rebuild_indexes() == 1
    assert mentions(plain, "a") == []
    expire(plain, "b")
    assert Guest.delete_all() == 0
    assert keyspace(plain) == {}


def test_unique_values_are_free_again_at_once(store: Any, plain: Any):
    guests("a")
    expire(plain, "a")
    made = Guest.create(name="b", code="a")
    assert set(plain.smembers("$UniquF:Guest:code:a")) == {b"Guest:b"}
    assert Guest.query.get(code="a") == made
    assert mentions(plain, "a") == []


def test_its_key_is_free_again_and_the_new_row_keeps_its_entries(store: Any, plain: Any):
    guests("a")
    expire(plain, "a")
    guests("a", kind="other")
    assert set(plain.smembers("$IndexF:Guest:kind:other")) == {b"Guest:a"}
    guests("b")
    assert [row.name for row in Guest.query.filter(kind="other")] == ["a"]
    assert Guest.query.count() == 2
    assert Guest.check_indexes()["total"] == 0


def test_values_that_the_new_row_has_too_stay_in_their_lists(store: Any, plain: Any):
    guests("a", "b")
    expire(plain, "a")
    guests("a")
    assert plain.zrange("$Vals:Guest:code", 0, -1) == [b"a", b"b"]
    assert stray_entries(plain, Guest) == []
    assert [row.name for row in Guest.query.filter(code__startswith="a")] == ["a"]


def test_a_real_expiry(store: Any, plain: Any):
    row = guests("a")[0]
    plain.pexpire(row.pk, 1)
    deadline = time.monotonic() + 60
    while plain.exists(row.pk) and time.monotonic() < deadline:
        time.sleep(0.002)
    with later():
        assert Guest.query.count() == 0
        assert Guest.query.count(kind="k") == 0
        assert Guest.query.keys() == []
        guests("b")
    assert mentions(plain, "a") == []


def test_a_clock_that_is_ahead_takes_nothing_from_living_rows(store: Any, plain: Any):
    guests("a", "b")
    with later():
        assert Guest.query.count() == 2
        assert Guest.query.count(kind="k") == 2
        assert sorted(Guest.query.keys()) == [b"Guest:a", b"Guest:b"]
        guests("c")
        assert Guest.clean_indexes() == 0
    assert Guest.query.count() == 3
    assert sorted(row.name for row in Guest.query.filter(kind="k", age__gte=0)) == ["a", "b", "c"]
    assert Guest.check_indexes()["total"] == 0
    assert sorted(plain.hgetall(RECEIPTS)) == [b"Guest:a", b"Guest:b", b"Guest:c"]


def test_rows_whose_time_was_changed_behind_our_back_do_not_block_the_others(store: Any, plain: Any):
    stubborn = [f"s{n}" for n in range(12)]
    guests(*stubborn)
    for name in stubborn[:6]:
        plain.persist(f"Guest:{name}")
    for name in stubborn:
        plain.zadd(LEDGER, {f"Guest:{name}": 1.0})
    guests("a")
    expire(plain, "a")
    for number in range(3):
        guests(f"n{number}")
    assert mentions(plain, "a") == []
    assert Guest.query.count() == 15
    assert Guest.check_indexes()["total"] == 0


def test_increments_and_partial_saves_keep_receipts_right(store: Any, plain: Any):
    (row,) = guests("a")
    row.atomic_increment("age", 5)
    row.kind = "moved"
    row.save(update_fields=["kind"])
    assert plain.zscore("$SortF:Guest:age:moved", "Guest:a") == 6
    expire(plain, "a")
    guests("b")
    assert mentions(plain, "a") == []


def test_old_spellings_go_too(store: Any, plain: Any):
    row = Price(name="a", amount=Decimal("1.50"))
    row._ttl = 50
    row.save()
    plain.smove("$IndexF:Price:amount:1.5", "$IndexF:Price:amount:1.50", "Price:a")
    plain.hset("Price:a", "amount", b"\x82\xab__Decimal__\xc3\xacas_encodable\xa41.50")
    found = Price.load("Price:a")
    found._ttl = 40
    found.save(update_fields=["name"])
    plain.delete("Price:a")
    plain.zadd("$Exp:Price", {"Price:a": 1.0})
    Price.create(name="b", amount=Decimal(2))
    assert not plain.exists("$IndexF:Price:amount:1.50")
    assert stray_entries(plain, Price) == [] or [key for key in plain.scan_iter() if b"Price:a" in key] == []


def test_models_do_not_reap_for_each_other(store: Any, plain: Any):
    guests("a")
    expire(plain, "a")
    Price.create(name="p", amount=Decimal(1))
    assert mentions(plain, "a") != []
    assert Guest.query.count() == 0
