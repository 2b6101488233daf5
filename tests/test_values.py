"""A value comes back exactly: type, precision, zone, emptiness, None; and no stored value is ever interpreted."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from popoto import (
    BooleanField,
    BytesField,
    DateField,
    DecimalField,
    DictField,
    Field,
    FloatField,
    IndexedField,
    IntField,
    KeyField,
    ListField,
    Model,
    ModelException,
    SetField,
    SortedField,
    StringField,
    TimeField,
    TupleField,
)


class Box(Model):
    k = KeyField()
    integer = IntField()
    real = FloatField()
    money = DecimalField()
    text = StringField(max_length=None)
    flag = BooleanField()
    raw = BytesField()
    items = ListField()
    table = DictField()
    some = SetField()
    pair = TupleField()
    day = DateField()
    clock = TimeField()
    moment = Field(type=datetime)


PARIS = ZoneInfo("Europe/Paris")
ODD = timezone(timedelta(hours=5, minutes=30, seconds=7))
VALUES: dict[str, list[Any]] = {
    "integer": [0, 1, -1, 127, 128, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**60],
    "real": [0.0, -0.0, 1.5, 0.1, 1e308, 5e-324, math.inf, -math.inf],
    "money": [Decimal("0"), Decimal("-0"), Decimal("1.10"), Decimal("1E+9"), Decimal("0." + "3" * 60)],
    "text": ["", "é", "None", "null", "a:b", "{&#58;}", "\0\n\r", "x" * 70_000, "💡", "$CF:x", "True"],
    "flag": [True, False],
    "raw": [b"", bytes(range(256)), b"\xc0"],
    "items": [[], [None], [1, "a", b"b", 1.5, True], [[1, [2, [3]]]], [Decimal("1.10"), date(2024, 1, 2)]],
    "table": [{}, {"a": {"b": [1, {"c": None}]}}, {1: "int", (1, 2): "tuple", b"x": "bytes"}, {"": ""}],
    "some": [set(), {1, "a", None}, {(1, 2), frozenset({3})}],
    "pair": [(), (1, (2, (3,))), (None, [1], {"a": (1,)})],
    "day": [date(2024, 1, 2), date.min, date.max, date(999, 10, 1)],
    "clock": [time(1, 2, 3), time(1, 2, 3, 4), time(23, 59, tzinfo=UTC), time(1, 2, fold=1)],
    "moment": [
        datetime(2024, 1, 2, 3, 4, 5, 6),
        datetime.min,
        datetime.max,
        datetime(2024, 1, 2, tzinfo=UTC),
        datetime(2024, 7, 2, tzinfo=PARIS),
        datetime(2024, 1, 2, tzinfo=ODD),
        datetime(2024, 10, 27, 2, 30, tzinfo=PARIS, fold=1),
    ],
}
NESTED = [
    {"moments": [datetime(2024, 1, 2, tzinfo=PARIS), time(1, tzinfo=UTC), date(1, 1, 1)]},
    {"__set__": True, "as_encodable": [1]},
    {"__date__": True, "as_encodable": "20240102"},
    {"__Decimal__": True, "as_encodable": "1.10"},
    {"__class__": "os.system", "__reduce__": ["x"], "as_encodable": {"__tuple__": True}},
    {"self": 1, "save": 2, "_ttl": 3, "pk": 4, "$idx": 5},
    {"set": {1, 2}, "tuple": (1, (2,)), "frozen": frozenset({1}), "big": 2**70, "small": -(2**70)},
]


def kinds(value: Any) -> Any:
    """A value with its types, all the way down."""
    if isinstance(value, dict):
        return "dict", sorted(((kinds(key), kinds(item)) for key, item in value.items()), key=repr)
    if isinstance(value, list | tuple):
        return type(value).__name__, [kinds(item) for item in value]
    if isinstance(value, set | frozenset):
        return type(value).__name__, sorted((kinds(item) for item in value), key=repr)
    if isinstance(value, datetime | time):
        return type(value).__name__, value.isoformat(), str(value.tzinfo), value.fold
    return type(value).__name__, repr(value)


def test_every_value_comes_back_as_it_was(store: Any):
    for name, values in VALUES.items():
        for number, value in enumerate(values):
            Box.create(k=f"{name}{number}", **{name: value})
    rows = {row.k: row for row in Box.query.all()}
    expected = {f"{name}{n}": kinds(value) for name, values in VALUES.items() for n, value in enumerate(values)}
    assert {k: kinds(getattr(rows[k], k.rstrip("0123456789"))) for k in expected} == expected


def test_nan_is_kept_where_nothing_compares_it(store: Any):
    Box.create(k="a", real=math.nan)
    found = Box.load("Box:a")
    assert found is not None and math.isnan(found.real)


@pytest.mark.parametrize("name", VALUES)
def test_none_is_none_for_every_type(fake: Any, plain: Any, name: str):
    Box.create(k="a", **{name: None})
    assert plain.hget("Box:a", name) == b"\xc0"
    assert getattr(Box.query.get(k="a"), name) is None


@pytest.mark.parametrize("value", NESTED, ids=range(len(NESTED)))
def test_nested_values_and_magic_names_are_data(store: Any, value: dict[str, Any]):
    Box.create(k="a", table=value, items=[value], pair=(value,))
    found = Box.query.filter(k="a")[0]
    assert kinds((found.table, found.items, found.pair)) == kinds((value, [value], (value,)))


def test_a_value_of_another_type_is_never_taken_for_the_declared_one(store: Any, plain: Any):
    Box.create(k="a", table={"__date__": True, "as_encodable": "20240102"})
    plain.hset("Box:a", "day", plain.hget("Box:a", "money"))
    plain.hset("Box:a", "text", b"\x01")
    found = Box.query.get(k="a")
    assert found is not None
    with pytest.raises(ModelException, match=r"Box 'Box:a': the stored value of 'text' cannot be read"):
        _ = found.text
    assert found.table == {"__date__": True, "as_encodable": "20240102"}


class Indexed(Model):
    k = KeyField()
    integer = IndexedField(type=int)
    real = IndexedField(type=float)
    money = IndexedField(type=Decimal)
    text = IndexedField()
    flag = IndexedField(type=bool)
    raw = IndexedField(type=bytes)
    items = IndexedField(type=list)
    table = IndexedField(type=dict)
    pair = IndexedField(type=tuple)
    day = IndexedField(type=date)
    clock = IndexedField(type=time)
    moment = IndexedField(type=datetime)


@pytest.mark.parametrize("name", [name for name in VALUES if name != "some"])
def test_an_indexed_value_of_every_type_is_found_changed_and_deleted(store: Any, plain: Any, name: str):
    for number, value in enumerate(VALUES[name]):
        if name == "text" and len(value) > 1024:
            continue
        made = Indexed.create(k=str(number), **{name: value})
        assert made in Indexed.query.filter(**{name: value})
        assert Indexed.query.count(**{name: value}) >= 1
        found = Indexed.query.get(k=str(number))
        assert found is not None
        setattr(found, name, None)
        found.save()
        assert made not in Indexed.query.filter(**{name: value})
        assert made in Indexed.query.filter(**{f"{name}__isnull": True})
        setattr(found, name, value)
        found.save()
        assert found.delete()
    assert plain.keys("*") == []


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        (int, [0, -3, 10**30]),
        (float, [1.0, -0.0, 1e22, 0.1]),
        (Decimal, [Decimal("1.50"), Decimal("-0"), Decimal("1E+3")]),
        (str, ["a:b", "", "None", "{&#58;}", "/x/", "[*]?"]),
        (bool, [True, False]),
        (date, [date(2024, 1, 2), date.min]),
        (datetime, [datetime(2024, 1, 2, 3, 4, 5), datetime(2024, 1, 2, tzinfo=PARIS)]),
        (time, [time(1, 2), time(1, 2, 3, 4, tzinfo=UTC)]),
    ],
)
def test_a_key_of_every_type_is_found_again(fake: Any, plain: Any, declared: type, values: list[Any]):
    model: Any = type("Keyed", (Model,), {"k": KeyField(type=declared)})
    for value in [*values, None]:
        made = model.create(k=value)
        assert kinds(model.query.get(k=value).k) == kinds(value)
        assert model.query.filter(k=value).all() == [made]
        assert kinds(model.load(made.pk).k) == kinds(value)
    assert model.query.count() == len(values) + 1
    for row in model.query.all():
        assert row.delete()
    assert plain.keys("*") == []


class Numbers(Model):
    k = KeyField()
    big = SortedField(type=int)
    far = SortedField(type=datetime)


def test_sorted_values_keep_their_precision(store: Any):
    Numbers.create(k="a", big=2**63 + 1, far=datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
    found = Numbers.query.get(big=2**63 + 1)
    assert found is not None
    assert (found.big, found.far.microsecond) == (2**63 + 1, 999_999)
    assert Numbers.query.count(far=found.far) == 1
