"""Databases as popoto 1.6 left them, byte for byte, and the models that wrote them.

The folder data_1x holds them as text: a line names a type and a key, the indented lines under it the content. Bytes are
written as in the description of the format: hexadecimal digits, and text in double quotes. A place is its latitude,
longitude and the score of 52 bits that a server gives it; fakeredis has no such scores and is given the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from popoto import (
    BytesField,
    DictField,
    Field,
    FloatField,
    GeoField,
    IndexedField,
    KeyField,
    ListField,
    Model,
    Relationship,
    SetField,
    SortedField,
    SortedKeyField,
    TupleField,
    UniqueField,
    UniqueKeyField,
)

FOLDER = Path(__file__).with_name("data_1x")
# capped.txt is read by the tests of capped lists.
DUMPS = ("example", "values", "spellings", "leftovers")


class XLayCust(Model):
    name = KeyField()


class XLay(Model):
    name = KeyField()
    day = KeyField(type=date)
    status = IndexedField()
    email = UniqueField()
    rank = SortedField()
    part = SortedField(type=int, partition_by=("status", "flag"))
    flag = Field(type=bool)
    loc = GeoField()
    cust = Relationship(model=XLayCust)

    class Meta:
        indexes = ((("status", "flag"), True),)


class Every(Model):
    k = KeyField()
    true = Field(type=bool)
    number = Field(type=int)
    wide = Field(type=int)
    negative = Field(type=int, default=-1)
    real = FloatField()
    text = Field(default="later")
    raw = BytesField()
    items = ListField()
    table = DictField()
    money = IndexedField(type=Decimal)
    moment = Field(type=datetime)
    day = Field(type=date)
    clock = Field(type=time)
    some = SetField()
    pair = TupleField()
    score = SortedField(default=1.5)
    _hidden = Field()


class Word(Model):
    text = KeyField()
    kind = IndexedField()
    code = UniqueField()
    rank = SortedField(type=int, partition_by="kind")


class Price(Model):
    money = KeyField(type=Decimal)
    real = KeyField(type=float)
    kind = IndexedField()
    place = SortedField(type=Decimal)


class Step(Model):
    code = UniqueKeyField()
    level = SortedKeyField(type=int, partition_by="zone")
    zone = KeyField()


class Memo(Model):
    word = Relationship(model=Word)
    text = Field()


class LeftTo(Model):
    k = KeyField()


class Left(Model):
    k = KeyField()
    st = IndexedField()
    e = UniqueField()
    n = SortedField(type=int, default=0)
    p = SortedField(type=int, default=0, partition_by="st")
    g = GeoField()
    r = Relationship(model=LeftTo)
    c = Field()

    class Meta:
        indexes = ((("st", "c"), True),)


MODELS: dict[str, tuple[type[Model], ...]] = {
    "example": (XLay, XLayCust),
    "values": (Every,),
    "spellings": (Word, Price, Step, Memo),
    "leftovers": (Left, LeftTo),
}


XLAY = "XLay:2024/-01/-02:Tac{&#58;}o /[T/]"
MARKS = "'?*^[]-/ {\\"
NOTHING: dict[str, Any] = {
    "true": None, "number": None, "wide": None, "negative": None, "real": None, "text": None, "raw": None,
    "items": None, "table": None, "money": None, "moment": None, "day": None, "clock": None, "some": None, "pair": None,
}  # fmt: skip
LATER = NOTHING | {"negative": -1, "text": "later", "score": 1.5, "_hidden": None}
# What the rows hold, by their keys.
ROWS: dict[type[Model], dict[str, dict[str, Any]]] = {
    XLayCust: {"XLayCust:c{&#58;}1": {"name": "c:1"}},
    XLay: {
        XLAY: {
            "name": "Tac:o [T]", "day": date(2024, 1, 2), "status": "ac:t", "email": "a@b.c", "rank": 4.5, "part": 9,
            "flag": True, "loc": (40.7, -74.0), "cust": "XLayCust:c{&#58;}1",
        },
        "XLay:None:nil": {
            "name": "nil", "day": None, "status": None, "email": "n", "rank": 0.0, "part": -129, "flag": None,
            "loc": (None, None), "cust": None,
        },
    },
    Every: {
        "Every:full": {
            "k": "full", "true": True, "number": 256, "wide": 2**64 - 1, "negative": -(2**63), "real": -0.0,
            "text": "é", "raw": b"\0\xff", "items": [1, "a", None], "table": {"a": 1, 2: "b"},
            "money": Decimal("1.10"), "moment": datetime(2024, 1, 2, 3, 4, 5, 6), "day": date(2024, 1, 2),
            "clock": time(1, 2, 3, 4), "some": {1}, "pair": (1, 2), "score": 1.5, "_hidden": "h" * 32,
        },
        "Every:nil": {"k": "nil", **NOTHING, "score": 0.0, "_hidden": None},
        "Every:lua": LATER | {
            "k": "lua", "number": 2**60, "real": 3.0, "money": Decimal("1.2345678901235E+16"),
            "moment": datetime(999, 10, 1), "day": date(999, 10, 1), "score": 5.5,
        },
        "Every:few": LATER | {"k": "few"},
        "Every:more": LATER | {"k": "more", "money": Decimal("2.50"), "score": 7.0},
    },
    Word: {
        "Word:None": {"text": "None", "kind": "None", "code": "None", "rank": 1},
        "Word:{&#58;}": {"text": "{&#58;}", "kind": "{&#58;}", "code": "{&#58;}", "rank": 2},
        "Word:a{&#58;}b": {"text": "a:b", "kind": "a:b", "code": "a:b", "rank": 3},
        "Word:a{&#58;}b{&#58;}c": {"text": "a{&#58;}b:c", "kind": None, "code": "a{&#58;}b:c", "rank": 4},
        r"Word:/'/?/*/^/[/]/-// {" + "\\": {"text": MARKS, "kind": MARKS, "code": MARKS, "rank": 5},
        "Word:": {"text": "", "kind": "", "code": "", "rank": 6},
    },
    Price: {
        "Price:1.10:/-0.0": {"money": Decimal("1.10"), "real": -0.0, "kind": "x", "place": Decimal("2.5")},
        "Price:/-0.0:1.0": {"money": Decimal("-0.0"), "real": 1.0, "kind": "x", "place": Decimal(3)},
    },
    Step: {"Step:s:5:None": {"code": "s", "level": 5, "zone": "None"}},
    Memo: {
        "Memo:0123456789abcdef0123456789abcdef": {
            "word": "Word:None", "text": "m", "_auto_key": "0123456789abcdef0123456789abcdef"
        },
        "Memo:fedcba9876543210fedcba9876543210": {
            "word": "Word:{&#58;}", "text": None, "_auto_key": "fedcba9876543210fedcba9876543210"
        },
    },
    LeftTo: {"LeftTo:to": {"k": "to"}},
    Left: {
        "Left:a": {"k": "a", "st": "y", "e": "e2", "n": 5, "p": 1, "g": (1.0, 2.0), "r": "LeftTo:to", "c": "z"},
        "Left:b": {"k": "b", "st": "x", "e": "eb", "n": 2, "p": 2, "g": (None, None), "r": None, "c": "y:z"},
        "Left:c": {"k": "c", "st": None, "e": "ec", "n": None, "p": None, "g": (None, None), "r": None, "c": None},
        "Left:d": {"k": "dd", "st": "x", "e": "ed", "n": 8, "p": 4, "g": (None, None), "r": None, "c": "c"},
    },
}  # fmt: skip
# Where rows stand when 2.0 has spelled their keys.
CANONICAL = {
    "Word:None": "Word:/None",
    "Word:{&#58;}": "Word:{/&#58;}",
    "Word:a{&#58;}b{&#58;}c": "Word:a{/&#58;}b{&#58;}c",
    "Price:1.10:/-0.0": "Price:1.1:0.0",
    "Price:/-0.0:1.0": "Price:0:1.0",
    "Step:s:5:None": "Step:s:5:/None",
    "Left:d": "Left:dd",
}


def load(plain: Any, dump: str) -> None:
    """Write a dump into a store."""
    geohashes = "fakeredis" in plain.connection_pool.connection_class.__module__
    pipe = plain.pipeline(transaction=False)
    for kind, key, line in _lines(dump):
        if kind == "hash":
            name, _, value = line.partition(" = ")
            pipe.hset(key, name, raw(value))
        elif kind == "set":
            pipe.sadd(key, line)
        elif kind == "list":
            pipe.rpush(key, raw(line))
        elif kind == "zset":
            score, _, member = line.partition(" ")
            pipe.zadd(key, {member: float(score)})
        else:
            latitude, longitude, score, member = line.split(" ", 3)
            if geohashes:
                pipe.geoadd(key, (float(longitude), float(latitude), member))
            else:
                pipe.zadd(key, {member: float(score)})
    pipe.execute()


def _lines(dump: str) -> Iterator[tuple[str, str, str]]:
    kind = key = ""
    for line in (FOLDER / f"{dump}.txt").read_text(encoding="utf-8").split("\n"):
        if line.startswith("    "):
            yield kind, key, line[4:]
        elif line and not line.startswith("#"):
            kind, _, key = line.partition(" ")


def raw(text: str) -> bytes:
    """Bytes from their notation."""
    pieces = re.findall(r'"([^"]*)"|([0-9a-f]+)', text)
    return b"".join(quoted.encode() if not digits else bytes.fromhex(digits) for quoted, digits in pieces)
