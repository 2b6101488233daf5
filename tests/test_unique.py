"""A unique value has one live holder."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from stored import keyspace, stray_entries

from popoto import Field, IndexedField, KeyField, Model, ModelException, UniqueField, UniqueKeyField


class User(Model):
    name = KeyField()
    email = UniqueField()
    nick = IndexedField(unique=True)
    text = Field()


class Seat(Model):
    hall = KeyField()
    number = UniqueKeyField(type=int)


class Price(Model):
    k = KeyField()
    amount = UniqueField(type=Decimal)


class Listed(Model):
    k = KeyField()
    items = IndexedField(type=list, unique=True)


def test_a_taken_value_is_refused_and_nothing_written(store: Any, plain: Any):
    User.create(name="a", email="x", nick="n")
    before = keyspace(plain)
    with pytest.raises(ModelException, match=r"User\.email = 'x' is taken by another row: choose another value"):
        User.create(name="b", email="x")
    with pytest.raises(ModelException, match=r"User\.nick = 'n' is taken"):
        User.create(name="b", email="y", nick="n")
    assert keyspace(plain) == before


def test_a_partial_save_is_checked_too(store: Any, plain: Any):
    User.create(name="a", email="x")
    other = User.create(name="b", email="y")
    before = keyspace(plain)
    other.email = "x"
    with pytest.raises(ModelException, match=r"User\.email = 'x' is taken"):
        other.save(update_fields=["email"])
    assert keyspace(plain) == before


def test_the_holder_may_save_again_and_be_replaced(store: Any, plain: Any):
    made = User.create(name="a", email="x")
    made.text = "t"
    made.save()
    User.create(name="a", email="x", text="u")
    assert set(plain.smembers("$UniquF:User:email:x")) == {b"User:a"}


def test_none_may_repeat_where_it_is_allowed(store: Any, plain: Any):
    User.create(name="a", email="x")
    User.create(name="b", email="y")
    assert set(plain.smembers("$IndexF:User:nick:None")) == {b"User:a", b"User:b"}
    assert User.query.count(nick=None) == 2


def test_a_freed_value_can_be_taken(store: Any, plain: Any):
    one = User.create(name="a", email="x")
    one.email = "y"
    one.save()
    other = User.create(name="b", email="x")
    assert set(plain.smembers("$UniquF:User:email:x")) == {b"User:b"}
    other.delete()
    User.create(name="c", email="x")
    assert stray_entries(plain, User) == []


@pytest.mark.parametrize("how", ["deleted", "expired", "changed"])
def test_a_holder_that_is_gone_does_not_block(store: Any, plain: Any, how: str):
    User.create(name="a", email="x")
    if how == "deleted":
        plain.delete("User:a")
    elif how == "expired":
        plain.pexpireat("User:a", 1)
    else:
        plain.hset("User:a", "email", b"\xa1z")
    User.create(name="b", email="x")
    assert set(plain.smembers("$UniquF:User:email:x")) == {b"User:b"}
    assert [one.name for one in User.query.filter(email="x")] == ["b"]


def test_unique_keys_are_unique_across_composite_keys(store: Any, plain: Any):
    Seat.create(hall="a", number=1)
    before = keyspace(plain)
    with pytest.raises(ModelException, match=r"Seat\.number = 1 is taken"):
        Seat.create(hall="b", number=1)
    assert keyspace(plain) == before


def test_equal_decimals_are_one_value(store: Any, plain: Any):
    Price.create(k="a", amount=Decimal("1.10"))
    with pytest.raises(ModelException, match="taken"):
        Price.create(k="b", amount=Decimal("1.1"))
    assert Price.query.count() == 1


def test_lists_can_be_unique(store: Any, plain: Any):
    made = Listed.create(k="a", items=[1])
    with pytest.raises(ModelException, match="taken"):
        Listed.create(k="b", items=[1])
    made.items = [2]
    made.save()
    Listed.create(k="b", items=[1])
    assert set(plain.smembers("$IndexF:Listed:items:/[1/]")) == {b"Listed:b"}


def test_swapping_two_values_takes_a_detour(store: Any, plain: Any):
    one, other = User.create(name="a", email="x"), User.create(name="b", email="y")
    one.email = "y"
    with pytest.raises(ModelException):
        one.save()
    one.email = "z"
    one.save()
    other.email = "x"
    other.save()
    assert stray_entries(plain, User) == []


def test_async_refusal(store: Any, plain: Any):
    async def work() -> list[Any]:
        makers = [User.async_create(name=str(number), email="x") for number in range(10)]
        return await asyncio.gather(*makers, return_exceptions=True)

    outcomes = asyncio.run(work())
    assert sum(isinstance(one, User) for one in outcomes) == 1
    assert all(isinstance(one, User | ModelException) for one in outcomes)
    assert len([key for key in keyspace(plain) if key.startswith(b"User:")]) == 1
    assert stray_entries(plain, User) == []
