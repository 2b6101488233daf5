"""atomic_increment: exact for every int, float and Decimal, atomic with its indexes, nothing lost by many at once."""

from __future__ import annotations

import asyncio
import math
import random
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import keyspace, stray_entries
from test_concurrency import at_once

from popoto import (
    DecimalField,
    Field,
    FloatField,
    IndexedField,
    IntField,
    KeyField,
    Model,
    ModelException,
    SortedField,
    StaleObjectError,
    UniqueField,
    round_trips,
    using,
)
from popoto.storage import Connection


class Tally(Model):
    name = KeyField()
    count = IntField(default=0)
    share = FloatField(default=0.0)
    money = DecimalField(default=Decimal("1.10"))
    level = IndexedField(type=int, default=0)
    score = SortedField(type=int, default=0)
    place = SortedField(type=float, default=0.5, partition_by="level")
    seat = UniqueField(type=int)
    rate = SortedField(type=Decimal, default=Decimal(0))
    text = Field()


def tally(name: str = "a", seat: int = 1, **more: Any) -> Tally:
    return Tally.create(name=name, seat=seat, **more)


def raw(plain: Any, field: str, key: str = "Tally:a") -> bytes:
    found = plain.hget(key, field)
    assert isinstance(found, bytes)
    return found


@pytest.mark.parametrize(
    ("field", "delta", "wanted"),
    [
        ("count", 5, 5),
        ("count", -5, -5),
        ("count", "7", 7),
        ("share", 0.5, 0.5),
        ("share", 1, 1.0),
        ("money", Decimal("0.20"), Decimal("1.30")),
        ("money", 1, Decimal("2.10")),
        ("count", 2**60 + 1, 2**60 + 1),
        ("count", -(2**200), -(2**200)),
    ],
)
def test_the_sum_is_stored_as_a_save_would_store_it(store: Any, plain: Any, field: str, delta: Any, wanted: Any):
    row = tally()
    total = row.atomic_increment(field, delta)
    expected = Tally._meta.fields[field].encode(wanted)
    assert raw(plain, field) == expected
    assert (total, type(total), getattr(row, field)) == (wanted, type(wanted), wanted)
    assert str(total) == str(wanted)
    assert getattr(Tally.load("Tally:a"), field) == wanted
    assert stray_entries(plain, Tally) == []


def test_int_and_float_take_one_round_trip_and_a_decimal_two(store: Any):
    row = tally()
    for field, trips_wanted in (("count", 1), ("share", 1), ("score", 1), ("money", 1)):
        row.atomic_increment(field, 1)
        with round_trips() as trips:
            row.atomic_increment(field, 1)
        assert trips.count == trips_wanted, field


INTS = st.one_of(
    st.integers(-300, 300),
    st.integers(-(2**33), 2**33),
    st.integers(-(2**53) - 3, 2**53 + 3),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**31, -(2**31) - 1, 2**32 - 1, 2**53, -(2**53), 2**63, -(2**63), 2**64]),
)
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([5e-324, -3e-310, 2.2250738585072014e-308, 1e-300, 0.1, -0.0, 1e22, 2.0**52]),
)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**30), max_value=10**30)


def test_every_int_sum_has_the_bytes_of_python(store: Any, plain: Any):
    row = tally()

    @settings(max_examples=80, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(INTS, max_size=4))
    def check(deltas: list[int]) -> None:
        total = row.count
        for delta in deltas:
            total += delta
            assert row.atomic_increment("count", delta) == total
            assert raw(plain, "count") == Tally.count.encode(total)

    check()


@pytest.mark.parametrize("start", [2**53 - 1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1])
@pytest.mark.parametrize("delta", [1, -1, 2, -(2**53), 2**53 + 1, -(2**53) - 1])
def test_sums_where_doubles_begin_to_round(store: Any, plain: Any, start: int, delta: int):
    row = tally(count=start, score=start)
    assert row.atomic_increment("count", delta) == start + delta
    assert raw(plain, "count") == msgpack.packb(start + delta)
    assert row.atomic_increment("score", delta) == start + delta
    assert Tally.query.count(score=start + delta) == 1


def test_every_float_sum_has_the_bytes_of_python(store: Any, plain: Any):
    row = tally()

    @settings(max_examples=80, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(FLOATS, max_size=4))
    def check(deltas: list[float]) -> None:
        for delta in deltas:
            total = row.share + delta
            if math.isinf(total):
                with pytest.raises(ModelException, match="beyond"):
                    row.atomic_increment("share", delta)
                continue
            assert math.copysign(1, row.atomic_increment("share", delta)) == math.copysign(1, total)
            assert raw(plain, "share") == msgpack.packb(total)

    check()


def test_every_decimal_sum_is_exact(store: Any, plain: Any):
    row = tally()

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(DECIMALS)
    def check(delta: Decimal) -> None:
        total = row.money + delta if len(row.money.as_tuple().digits) < 20 else None
        found = row.atomic_increment("money", delta)
        if total is not None and len(total.as_tuple().digits) < 28:
            assert found == total
        tagged = msgpack.unpackb(raw(plain, "money"))
        assert list(tagged) == ["__Decimal__", "as_encodable"]
        assert Decimal(tagged["as_encodable"]) == found

    check()


def test_indexes_move_in_the_same_step(store: Any, plain: Any):
    row = tally()
    row.atomic_increment("score", 7)
    assert plain.zscore("$SortF:Tally:score", "Tally:a") == 7
    row.atomic_increment("score", 2**60)
    row.atomic_increment("level", 3)
    here = keyspace(plain)
    assert b"$IndexF:Tally:level:0" not in here
    assert here[b"$IndexF:Tally:level:3"] == {b"Tally:a"}
    assert here[b"$SortF:Tally:place:3"] == {b"Tally:a": 0.5}
    row.atomic_increment("place", 0.25)
    row.atomic_increment("seat", 4)
    row.atomic_increment("rate", Decimal("0.5"))
    assert keyspace(plain)[b"$SortF:Tally:rate"] == {b"Tally:a": 0.5}
    assert stray_entries(plain, Tally) == []
    assert Tally.query.count(score=2**60 + 7) == 1
    assert [one.place for one in Tally.query.filter(level=3, place__gt=0.7)] == [0.75]


def test_a_sum_that_is_taken_is_refused_and_nothing_changed(store: Any, plain: Any):
    tally("a", 1)
    row = tally("b", 3)
    before = keyspace(plain)
    with pytest.raises(ModelException, match=r"Tally\.seat = 3 \+ -2 is taken"):
        row.atomic_increment("seat", -2)
    assert keyspace(plain) == before
    assert row.atomic_increment("seat", -1) == 2


def test_another_writers_sum_is_added_to(store: Any):
    row, other = tally(), Tally.load("Tally:a")
    row.atomic_increment("count", 5)
    assert other.atomic_increment("count", 2) == 7
    assert row.atomic_increment("money", Decimal("0.1")) == Decimal("1.20")
    assert other.atomic_increment("money", Decimal("0.1")) == Decimal("1.30")


def test_what_was_assigned_to_other_fields_is_neither_written_nor_lost(store: Any, plain: Any):
    row = tally()
    row.text = "later"
    row.atomic_increment("count", 1)
    assert raw(plain, "text") == b"\xc0"
    row.save()
    assert msgpack.unpackb(raw(plain, "text")) == "later"
    assert msgpack.unpackb(raw(plain, "count")) == 1


def test_none_and_missing_count_as_zero(store: Any, plain: Any):
    row = tally(count=None, share=None, money=None)
    assert row.atomic_increment("count", 2) == 2
    plain.hdel("Tally:a", "share")
    assert row.atomic_increment("share", 0.5) == 0.5
    assert row.atomic_increment("money", Decimal("2.50")) == Decimal("2.50")


@pytest.mark.parametrize("stored", [b"\x03", b"\xca\x40\xb0\x00\x00", b"\xcb" + b"\x40\x08" + b"\0" * 6])
def test_what_1x_increments_stored_is_added_to(store: Any, plain: Any, stored: bytes):
    row = tally()
    plain.hset("Tally:a", "share", stored)
    before = msgpack.unpackb(stored)
    assert row.atomic_increment("share", 0.25) == before + 0.25
    assert raw(plain, "share") == msgpack.packb(before + 0.25)


def test_an_unreadable_number_is_left_alone(store: Any, plain: Any):
    row = tally()
    for stored in (b"\xa1x", b"\xc1", b"\x93\x01\x02\x03"):
        plain.hset("Tally:a", "count", stored)
        with pytest.raises((ModelException, ValueError)):
            row.atomic_increment("count", 1)
        assert raw(plain, "count") == stored


@pytest.mark.parametrize(
    ("field", "delta", "error"),
    [
        ("nope", 1, AttributeError),
        ("nope", None, AttributeError),
        ("count", None, TypeError),
        ("text", 1, TypeError),
        ("name", 1, TypeError),
        ("count", 0.5, ModelException),
        ("count", "x", ModelException),
        ("share", math.inf, ModelException),
        ("share", math.nan, ModelException),
        ("money", Decimal("NaN"), ModelException),
        ("money", Decimal("Infinity"), ModelException),
        ("score", Decimal("0.5"), ModelException),
    ],
)
def test_a_wrong_increment_is_refused_and_nothing_written(
    store: Any, plain: Any, field: str, delta: Any, error: type[Exception]
):
    row = tally()
    before = keyspace(plain)
    with pytest.raises(error, match=field):
        row.atomic_increment(field, delta)
    assert keyspace(plain) == before


def test_the_checks_come_in_the_documented_order(fake: Any):
    unsaved = Tally(name="a", seat=1)
    with pytest.raises(AttributeError):
        unsaved.atomic_increment("nope", None)
    with pytest.raises(TypeError, match="not stored"):
        unsaved.atomic_increment("text", None)
    with pytest.raises(TypeError, match="by None"):
        tally().atomic_increment("text", None)


def test_a_row_that_is_gone_is_not_made_anew(store: Any, plain: Any):
    row = tally()
    row.delete()
    other = tally()
    plain.delete("Tally:a")
    for field in ("count", "money"):
        with pytest.raises(StaleObjectError, match="no longer stored"):
            other.atomic_increment(field, 1)
    assert not plain.exists("Tally:a")
    with pytest.raises(TypeError, match="not stored"):
        row.atomic_increment("count", 1)


def test_the_time_to_live_stays(store: Any, plain: Any):
    row = tally(_ttl=50)
    plain.pexpire("Tally:a", 20_000)
    row.atomic_increment("count", 1)
    row.atomic_increment("money", 1)
    assert 0 < plain.pttl("Tally:a") <= 20_000


def test_in_a_pipeline_sums_are_known_after_execute(store: Any, plain: Any):
    row = tally()
    for pipe in (store.pipeline(), store.native.pipeline()):
        before = row.count
        assert row.atomic_increment("count", 2, pipeline=pipe) is pipe
        row.atomic_increment("count", 3, pipeline=pipe)
        row.atomic_increment("score", 4, pipeline=pipe)
        row.atomic_increment("share", 0.5, pipeline=pipe)
        assert raw(plain, "count") == msgpack.packb(before)
        replies = pipe.execute()
        assert raw(plain, "count") == msgpack.packb(before + 5)
        assert row.count == before + 5
        assert before + 5 in replies
    assert Tally.query.count(score=8) == 1
    with store.pipeline() as pipe:
        row.atomic_increment("money", Decimal("0.1"), pipeline=pipe)
        row.atomic_increment("money", Decimal("0.1"), pipeline=pipe)
        pipe.execute()
    assert Tally.load("Tally:a").money == Decimal("1.30")


def test_async_increments_lose_nothing(store: Any, plain: Any):
    async def work() -> None:
        row = await Tally.async_create(name="a", seat=1)
        totals = await asyncio.gather(*[row.async_atomic_increment("count", 1) for _ in range(50)])
        assert sorted(totals) == list(range(1, 51))
        await asyncio.gather(*[row.async_atomic_increment("money", Decimal("0.1")) for _ in range(8)])
        with pytest.raises(AttributeError):
            await row.async_atomic_increment("nope", 1)

    asyncio.run(work())
    assert msgpack.unpackb(raw(plain, "count")) == 50
    assert Tally.load("Tally:a").money == Decimal("1.90")


TURNS = 50


def add(url: str, number: int, barrier: Any, replies: Any) -> None:
    dice = random.Random(number)
    connection = Connection(url)
    total = 0
    with using(connection):
        row = Tally.load("Tally:a")
        assert row is not None
        barrier.wait(60)
        for turn in range(TURNS):
            delta = dice.choice([1, -3, 2**40, 2**53, -(2**53)])
            total += delta
            row.atomic_increment("count", delta)
            row.atomic_increment("score", 1)
            row.atomic_increment("level", 1)
            if turn % 6 == 0:
                row.atomic_increment("money", Decimal("0.01"))
                row.atomic_increment("share", 0.25)
    connection.close()
    replies.put(total)


def test_eight_processes_lose_nothing(server: Connection, plain: Any):
    tally()
    totals = at_once(add, server.url.raw, 8)
    row = Tally.load("Tally:a")
    assert row is not None
    assert (row.count, row.score, row.level) == (sum(totals), 8 * TURNS, 8 * TURNS)
    assert (row.money, row.share) == (Decimal("1.10") + 8 * 9 * Decimal("0.01"), 8 * 9 * 0.25)
    assert stray_entries(plain, Tally) == []
