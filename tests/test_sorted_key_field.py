"""SortedKeyField: a part of the key that is kept in order, with the lookups of both."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from stored import keyspace

from popoto import (
    Field,
    IndexedField,
    KeyField,
    KeyMutationError,
    Model,
    ModelException,
    QueryException,
    SortedKeyField,
    round_trips,
)


class Reading(Model):
    sensor = KeyField()
    at = SortedKeyField(type=int)
    value = Field(type=int)


class Price(Model):
    shop = IndexedField()
    amount = SortedKeyField(type=Decimal, partition_by="shop")


def readings() -> None:
    Reading.bulk_create([Reading(sensor="s", at=at, value=at * 2) for at in (1, 2, 10, 12, -3)])


def ats(**keywords: Any) -> list[int]:
    return [row.at for row in Reading.query.filter(order_by="at", **keywords)]


def test_it_is_stored_in_the_key_and_in_a_sorted_set_alone(store: Any, plain: Any):
    Reading.create(sensor="s", at=-3, value=1)
    here = keyspace(plain)
    assert set(here) == {
        b"Reading:/-3:s",
        b"$Class:Reading",
        b"$KeyF:Reading:sensor:s",
        b"$SortedKeyF:Reading:at",
        b"$Vals:Reading:sensor",
        b"$Vals:Reading",
    }
    assert here[b"$SortedKeyF:Reading:at"] == {b"Reading:/-3:s": -3.0}


def test_partitions_are_spelled_as_1x_did(store: Any, plain: Any):
    Price.create(shop="a:b", amount=Decimal("1.50"))
    here = keyspace(plain)
    assert here[b"$SortedKeyF:Price:amount:a{&#58;}b"] == {b"Price:1.5": 1.5}
    assert [row.amount for row in Price.query.filter(shop="a:b", amount__gte=1)] == [Decimal("1.5")]
    with pytest.raises(QueryException, match="partitioned by shop"):
        Price.query.filter(amount__gte=1)


@pytest.mark.parametrize(
    ("keywords", "wanted"),
    [
        ({"at": 10}, [10]),
        ({"at__gt": 2}, [10, 12]),
        ({"at__gte": 2, "at__lt": 12}, [2, 10]),
        ({"at__lte": 1}, [-3, 1]),
        ({"at__between": (1, 10)}, [1, 2, 10]),
        ({"at__in": [1, 2, 99]}, [1, 2]),
        ({"at__isnull": True}, []),
        ({"at__isnull": False}, [-3, 1, 2, 10, 12]),
        ({"at__startswith": "1"}, [1, 10, 12]),
        ({"at__endswith": "2"}, [2, 12]),
        ({"at__contains": "-"}, [-3]),
    ],
)
def test_it_has_the_lookups_of_keys_and_of_order(store: Any, keywords: dict[str, Any], wanted: list[int]):
    readings()
    assert ats(**keywords) == wanted
    assert Reading.query.count(**keywords) == len(wanted)


def test_order_is_by_value_and_a_limit_counts_in_it(store: Any):
    readings()
    assert ats() == [-3, 1, 2, 10, 12]
    with round_trips() as trips:
        assert [row.at for row in Reading.query.all(order_by="-at", limit=2)] == [12, 10]
    assert trips == 1


def test_get_by_all_key_values(store: Any):
    readings()
    with round_trips() as trips:
        assert Reading.query.get(sensor="s", at=10).value == 20
    assert trips == 1
    assert Reading.load(sensor="s", at=11) is None


def test_a_change_is_a_change_of_the_key(store: Any, plain: Any):
    row = Reading.create(sensor="s", at=1, value=7)
    row.at = 5
    with pytest.raises(KeyMutationError, match="migrate_key"):
        row.save()
    assert list(keyspace(plain)[b"$SortedKeyF:Reading:at"]) == [b"Reading:1:s"]
    row.save(migrate_key=True)
    here = keyspace(plain)
    assert here[b"$SortedKeyF:Reading:at"] == {b"Reading:5:s": 5.0}
    assert here[b"$Class:Reading"] == {b"Reading:5:s"}
    with pytest.raises(ModelException, match="part of the key"):
        row.atomic_increment("at", 1)


def test_deleting_leaves_nothing(store: Any, plain: Any):
    readings()
    assert Reading.delete_all() == 5
    assert keyspace(plain) == {}


@pytest.mark.parametrize("options", [{"null": True}, {"type": str}, {"typ": int}])
def test_a_wrong_option_is_refused(options: dict[str, Any]):
    with pytest.raises(ModelException, match="SortedKeyField"):
        SortedKeyField(**options)


def test_none_is_refused(fake: Any, plain: Any):
    with pytest.raises(ModelException, match=r"Reading\.at"):
        Reading.create(sensor="s")
    assert keyspace(plain) == {}


def test_days_can_be_keys(store: Any, plain: Any):
    class Day(Model):
        on = SortedKeyField(type=date)

    Day.create(on=date(2024, 1, 2))
    assert keyspace(plain)[b"$SortedKeyF:Day:on"] == {b"Day:2024/-01/-02": 738887.0}

    async def ask() -> Any:
        return await Day.query.async_filter(on__gt=date(2024, 1, 1))

    assert [row.on for row in asyncio.run(ask())] == [date(2024, 1, 2)]
    assert Day.query.get(on=date(2024, 1, 2)) is not None
