"""Hashes and index keys are 1.x's, byte for byte."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from stored import keyspace

from popoto import (
    AutoKeyField,
    BytesField,
    DictField,
    Field,
    IndexedField,
    KeyField,
    ListField,
    Model,
    SetField,
    SortedField,
    TupleField,
    UniqueField,
    UniqueKeyField,
)


class XLay(Model):
    name = KeyField()
    day = KeyField(type=date)
    status = IndexedField()
    email = UniqueField()
    rank = SortedField()
    part = SortedField(type=int, partition_by=("status", "flag"))
    flag = Field(type=bool)


class Everything(Model):
    k = KeyField()
    none = Field()
    true = Field(type=bool)
    number = Field(type=int)
    negative = Field(type=int)
    wide = Field(type=int)
    real = Field(type=float)
    text = Field()
    raw = BytesField()
    items = ListField()
    table = DictField()
    money = Field(type=Decimal)
    moment = Field(type=datetime)
    day = Field(type=date)
    clock = Field(type=time)
    some = SetField()
    pair = TupleField()
    _hidden = Field()


class Spelled(Model):
    k = KeyField()
    flag = IndexedField(type=bool)
    number = IndexedField(type=int)
    real = IndexedField(type=float)
    money = IndexedField(type=Decimal)
    moment = IndexedField(type=datetime)
    nothing = IndexedField()
    items = IndexedField(type=list)


class Auto(Model):
    text = Field()


class Tagged(Model):
    code = UniqueKeyField()
    auto = AutoKeyField()


class StatusField(IndexedField[str]):
    """A user's own field class."""


class EmailField(UniqueField[str]):
    """Another."""


class Own(Model):
    k = KeyField()
    status = StatusField()
    email = EmailField()


class Switches(Model):
    k = KeyField()
    a = Field(indexed=True)
    b = Field(unique=True)
    c = IndexedField(unique=True)


class Moments(Model):
    k = KeyField()
    day = SortedField(type=date)
    moment = SortedField(type=datetime)
    money = SortedField(type=Decimal)


def test_one_object_leaves_just_the_keys_of_1x(store: Any, plain: Any):
    XLay.create(name="Tac:o [T]", day=date(2024, 1, 2), status="ac:t", email="a@b.c", rank=4.5, part=9, flag=True)
    key = b"XLay:2024/-01/-02:Tac{&#58;}o /[T/]"
    assert keyspace(plain) == {
        key: {
            b"name": b"\xa9Tac:o [T]",
            b"day": b"\x82\xa8__date__\xc3\xacas_encodable\xa820240102",
            b"status": b"\xa4ac:t",
            b"email": b"\xa5a@b.c",
            b"rank": bytes.fromhex("cb4012000000000000"),
            b"part": b"\x09",
            b"flag": b"\xc3",
        },
        b"$Class:XLay": {key},
        b"$KeyF:XLay:name:Tac{&#58;}o /[T/]": {key},
        b"$KeyF:XLay:day:2024/-01/-02": {key},
        b"$IndexF:XLay:status:ac{&#58;}t": {key},
        b"$UniquF:XLay:email:a@b.c": {key},
        b"$SortF:XLay:rank": {key: 4.5},
        b"$SortF:XLay:part:ac{&#58;}t:True": {key: 9.0},
        # Lists of distinct values, which 1.x did not have, and the roster of the rows that were entered there.
        b"$Vals:XLay:name": {b"Tac:o [T]": 0.0},
        b"$Vals:XLay:day": {b"2024-01-02": 0.0},
        b"$Vals:XLay:status": {b"ac:t": 0.0},
        b"$Vals:XLay:email": {b"a@b.c": 0.0},
        b"$Vals:XLay": {b"name,day,status,email": b"1"},
    }


VALUES: list[tuple[str, Any, bytes]] = [
    ("none", None, b"\xc0"),
    ("true", True, b"\xc3"),
    ("number", 127, b"\x7f"),
    ("negative", -129, bytes.fromhex("d1ff7f")),
    ("wide", 2**64 - 1, b"\xcf" + b"\xff" * 8),
    ("real", -0.0, bytes.fromhex("cb8000000000000000")),
    ("text", "é", bytes.fromhex("a2c3a9")),
    ("raw", b"\x00\xff", bytes.fromhex("c40200ff")),
    ("items", [1, "a", None], bytes.fromhex("9301a161c0")),
    ("table", {"a": 1, 2: "b"}, bytes.fromhex("82a1610102a162")),
    ("money", Decimal("1.10"), b"\x82\xab__Decimal__\xc3\xacas_encodable\xa41.10"),
    (
        "moment",
        datetime(2024, 1, 2, 3, 4, 5, 6),
        b"\x82\xac__datetime__\xc3\xacas_encodable\xb820240102T03:04:05.000006",
    ),
    ("day", date(2024, 1, 2), b"\x82\xa8__date__\xc3\xacas_encodable\xa820240102"),
    ("clock", time(1, 2, 3, 4), b"\x82\xa8__time__\xc3\xacas_encodable\xaf01:02:03.000004"),
    ("some", {1}, b"\x82\xa7__set__\xc3\xacas_encodable\x91\x01"),
    ("pair", (1, 2), b"\x82\xa9__tuple__\xc3\xacas_encodable\x92\x01\x02"),
    ("_hidden", "h", b"\xa1h"),
]


def test_every_type_has_the_bytes_of_1x(store: Any, plain: Any):
    Everything.create(k="a", **{name: value for name, value, _ in VALUES})
    stored = plain.hgetall("Everything:a")
    assert stored == {b"k": b"\xa1a"} | {name.encode(): raw for name, _, raw in VALUES}


def test_hash_fields_stand_in_definition_order_and_hidden_ones_last(store: Any, plain: Any):
    Everything.create(k="a")
    assert plain.hkeys("Everything:a") == [b"k", *(name.encode() for name, _, _ in VALUES)]


def test_index_values_are_spelled_as_in_1x(store: Any, plain: Any):
    Spelled.create(
        k="a",
        flag=True,
        number=-5,
        real=1.0,
        money=Decimal("2.5"),
        moment=datetime(2024, 1, 2, 3, 4, 5),
        items=[1, 2],
    )
    assert {key.decode() for key in keyspace(plain) if key.startswith(b"$IndexF")} == {
        "$IndexF:Spelled:flag:True",
        "$IndexF:Spelled:number:/-5",
        "$IndexF:Spelled:real:1.0",
        "$IndexF:Spelled:money:2.5",
        "$IndexF:Spelled:moment:2024/-01/-02 03{&#58;}04{&#58;}05",
        "$IndexF:Spelled:nothing:None",
        "$IndexF:Spelled:items:/[1, 2/]",
    }


def test_a_model_without_keys_gets_a_generated_one(store: Any, plain: Any):
    made = Auto.create(text="x")
    key = f"Auto:{made._auto_key}".encode()
    assert keyspace(plain) == {
        key: {b"text": b"\xa1x", b"_auto_key": msgpack.packb(made._auto_key)},
        b"$Class:Auto": {key},
    }
    assert len(made._auto_key) == 32


def indexes(plain: Any) -> set[bytes]:
    return {key for key in keyspace(plain) if key.startswith(b"$") and not key.startswith(b"$Vals:")}


def test_unique_keys_are_indexed_and_generated_ones_are_not(store: Any, plain: Any):
    made = Tagged.create(code="c")
    key = f"Tagged:{made.auto}:c".encode()
    assert indexes(plain) == {b"$Class:Tagged", b"$UniqueKeyF:Tagged:code:c"}
    assert set(plain.smembers("$Class:Tagged")) == {key}


def test_field_classes_of_users_have_tags_of_their_own(store: Any, plain: Any):
    Own.create(k="a", status="s", email="e")
    assert indexes(plain) == {
        b"$Class:Own",
        b"$KeyF:Own:k:a",
        b"$StatusF:Own:status:s",
        b"$EmaF:Own:email:e",
    }


def test_indexed_and_unique_are_like_the_fields_of_these_names(store: Any, plain: Any):
    Switches.create(k="x", a="1", b="2", c="3")
    assert indexes(plain) == {
        b"$Class:Switches",
        b"$KeyF:Switches:k:x",
        b"$IndexF:Switches:a:1",
        b"$UniquF:Switches:b:2",
        b"$IndexF:Switches:c:3",
    }


def test_scores_are_those_of_1x(store: Any, plain: Any):
    moment = datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    Moments.create(k="a", day=date(2024, 1, 2), moment=moment, money=Decimal("2.50"))
    scores = {key: content for key, content in keyspace(plain).items() if key.startswith(b"$SortF")}
    assert scores == {
        b"$SortF:Moments:day": {b"Moments:a": 738887.0},
        b"$SortF:Moments:moment": {b"Moments:a": 1704164645.000006},
        b"$SortF:Moments:money": {b"Moments:a": 2.5},
    }


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("a:b", "a{&#58;}b"),
        ("a{&#58;}b", "a{/&#58;}b"),
        ("None", "/None"),
        (None, "None"),
        ("", ""),
        ("a/b", "a//b"),
        ("'?*^[]-", "/'/?/*/^/[/]/-"),
        ("a b\\\n\0é", "a b\\\n\0é"),
    ],
)
def test_a_key_part_is_escaped_as_in_1x_and_injective(fake: Any, plain: Any, value: str | None, part: str):
    Auto2.create(k=value)
    assert {key for key in keyspace(plain) if not key.startswith(b"$")} == {f"Auto2:{part}".encode()}
    found = Auto2.query.get(k=value)
    assert found is not None and found.k == value


class Auto2(Model):
    k = KeyField()


def test_key_values_stand_in_the_order_of_their_names(fake: Any, plain: Any):
    class Order(Model):
        b = KeyField(type=int)
        a = KeyField(type=bool)

    assert Order.create(b=-3, a=True).pk == "Order:True:/-3"
    assert plain.exists("Order:True:/-3") == 1
