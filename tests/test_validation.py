"""Bad input gets one clear sentence that names field, value and remedy, and nothing is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from stored import keyspace

from popoto import (
    AutoKeyField,
    BooleanField,
    BytesField,
    DictField,
    Field,
    IndexedField,
    IntField,
    KeyField,
    ListField,
    Model,
    ModelException,
    QueryException,
    SetField,
    SortedField,
    UniqueField,
    connect,
    round_trips,
)
from popoto.exceptions import BadURL


def ids(cases: list[tuple[dict[str, Any], str]]) -> list[str]:
    """Names of cases that are the same in every process."""
    return [f"{next(iter(wrong))}-{number}" for number, (wrong, _) in enumerate(cases)]


class Good(Model):
    name = KeyField()
    email = UniqueField(default="x")
    kind = IndexedField(max_length=5)
    real = IndexedField(type=float)
    rank = SortedField(default=0.0)
    part = SortedField(type=int, default=0, partition_by=("kind", "flag"))
    money = SortedField(type=Decimal, default=Decimal(0))
    far = SortedField(type=datetime, default=datetime(2024, 1, 1, tzinfo=UTC))
    flag = BooleanField()
    number = IntField()
    must = Field(default="m", null=False)
    items = ListField()
    table = DictField()
    some = SetField()
    raw = BytesField()
    day = Field(type=date)


class Auto(Model):
    auto = AutoKeyField()


class Bare(Model):
    name = KeyField()
    rank = SortedField()
    must = Field(null=False)


BAD_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"nmae": "a"}, "Good has no field 'nmae'.*did you mean 'name'"),
    ({"name": "x" * 129}, r"Good\.name = 'xxx.*has 129 characters, and the field takes 128: shorten it"),
    ({"kind": "longer"}, r"Good\.kind = 'longer' has 6 characters, and the field takes 5"),
    ({"number": "abc"}, r"Good\.number = 'abc'.*give the digits of a whole number"),
    ({"number": 1.5}, r"Good\.number = 1\.5.*round it"),
    ({"flag": "False"}, r"Good\.flag = 'False'.*give True or False"),
    ({"rank": math.nan}, r"Good\.rank = nan .*give a number"),
    ({"real": math.nan}, r"Good\.real = nan .*give a number"),
    ({"money": Decimal("NaN")}, r"Good\.money = Decimal\('NaN'\) .*give a number"),
    ({"money": Decimal("sNaN")}, r"Good\.money = Decimal\('sNaN'\) .*give a number"),
    ({"money": Decimal("1E+400")}, r"Good\.money = Decimal\('1E\+400'\) is too large for a score"),
    ({"items": "abc"}, r"Good\.items = 'abc'"),
    ({"items": [object()]}, r"Good\.items = \[<object"),
    ({"table": [("a", 1)]}, r"Good\.table = .*give a dict"),
    ({"some": [1, 1]}, r"Good\.some = .*duplicates"),
    ({"raw": "text"}, r"Good\.raw = 'text'.*encode it"),
    ({"day": "2024-01-02"}, r"Good\.day = '2024-01-02'.*fromisoformat"),
    ({"day": datetime(2024, 1, 1)}, r"Good\.day = .*time would be lost"),
    ({"name": "\ud800"}, r"Good\.name = "),
    ({"must": "\ud800"}, r"Good\.must = "),
    ({"email": None}, r"Good\.email = None is None, and the field is declared null=False: give it a value"),
    ({"must": None}, r"Good\.must = None is None, and the field is declared null=False"),
    ({"rank": None}, r"Good\.rank = None is None"),
    ({"_ttl": 0}, r"Good\._ttl = 0 must be a positive number of seconds, or None"),
    ({"_ttl": -1}, r"Good\._ttl = -1 must be a positive"),
    ({"_ttl": "5"}, r"Good\._ttl = '5' must be a positive"),
    ({"_ttl": math.nan}, r"Good\._ttl = nan must be a positive"),
    ({"_ttl": True}, r"Good\._ttl = True must be a positive"),
    ({"_ttl": 5, "_expire_at": datetime(2050, 1, 1)}, r"_ttl=5 and _expire_at=.* are both set: keep one"),
    ({"_expire_at": 5}, r"Good\._expire_at = 5 must be a datetime"),
    ({"_expire_at": datetime(2000, 1, 1)}, r"Good\._expire_at = .* (past|future)"),
    ({"save": 1}, "Good has no field 'save'"),
    ({"_redis_key": "x"}, "Good has no field '_redis_key'"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD_VALUES, ids=ids(BAD_VALUES))
def test_a_bad_value_is_refused_before_anything_is_sent(fake: Any, plain: Any, wrong: dict[str, Any], message: str):
    with round_trips() as trips, pytest.raises(ModelException, match=message) as caught:
        Good.create(**({"name": "a"} | wrong))
    assert trips == 0
    assert keyspace(plain) == {}
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


ON_SAVE = [(wrong, message) for wrong, message in BAD_VALUES if next(iter(wrong)) in Good._meta.fields]


@pytest.mark.parametrize(("wrong", "message"), ON_SAVE, ids=ids(ON_SAVE))
@pytest.mark.parametrize("partial", [False, True])
def test_a_bad_assignment_is_refused_by_save(fake: Any, plain: Any, wrong: dict[str, Any], message: str, partial: bool):
    made = Good.create(name="a", kind="k")
    before = keyspace(plain)
    ((name, value),) = wrong.items()
    setattr(made, name, value)
    with round_trips() as trips, pytest.raises(ModelException):
        made.save(update_fields=[name] if partial else None, migrate_key=True)
    assert trips == 0
    assert keyspace(plain) == before
    assert made.is_valid() is False


def test_a_value_that_is_missing_is_refused(fake: Any, plain: Any):
    with pytest.raises(ModelException, match=r"Bare\.rank = None is None"):
        Bare.create(name="a", must="x")
    with pytest.raises(ModelException, match=r"Bare\.must = None is None"):
        Bare.create(name="a", rank=1)
    assert keyspace(plain) == {}


def test_a_generated_key_has_its_length(fake: Any, plain: Any):
    with pytest.raises(ModelException, match=r"Auto\.auto = 'short' has 5 characters, and a generated key has 32"):
        Auto.create(auto="short")
    assert keyspace(plain) == {}


def test_a_misspelled_attribute_is_refused(fake: Any):
    made = Good(name="a")
    with pytest.raises(AttributeError, match=r"Good has no field 'nubmer'.*did you mean 'number'"):
        made.nubmer = 5  # type: ignore[attr-defined]


def test_positional_values_are_refused():
    with pytest.raises(TypeError):
        Good("a")  # type: ignore[call-arg]


BAD_QUERIES: list[tuple[dict[str, Any], str]] = [
    ({"nmae": "a"}, "Good has no lookup 'nmae'; did you mean name"),
    ({"name__gt": "a"}, "Good has no lookup 'name__gt'"),
    ({"kind__regex": "a"}, "Good has no lookup 'kind__regex'"),
    ({"must__startswith": "a"}, "Good has no lookup 'must__startswith'"),
    ({"kind__in": "abc"}, "kind__in='abc' wants a list, tuple or set of values"),
    ({"kind__in": 5}, "kind__in=5 wants a list"),
    ({"kind__isnull": 1}, "kind__isnull=1 wants True or False"),
    ({"kind__startswith": 5}, "kind__startswith=5 wants a text"),
    ({"number": "abc"}, "number='abc'"),
    ({"number": 1.5}, "number=1.5"),
    ({"flag": "yes"}, "flag='yes'.*True or False"),
    ({"rank": "abc"}, "rank='abc'"),
    ({"rank__gt": None}, "rank__gt=None cannot be compared with None"),
    ({"rank__gt": math.nan}, "rank__gt=nan cannot be compared with NaN"),
    ({"rank__gt": [1]}, r"rank__gt=\[1\]"),
    ({"rank__between": 5}, r"rank__between=5 wants a pair"),
    ({"rank__between": (1, 2, 3)}, r"wants a pair"),
    ({"far__gt": "2024"}, r"far__gt='2024'.*fromisoformat"),
    ({"far": date(2024, 1, 1)}, r"far=.*datetime"),
    ({"part": 1}, r"Good: part is partitioned by kind, flag; add kind=..., flag=... to the filter"),
    ({"part__gt": 1, "kind": "a"}, r"add flag=... to the filter"),
    ({"part__gt": 1, "kind__in": ["a"], "flag": True}, r"add kind=... to the filter"),
    ({"order_by": "nope"}, "order_by='nope' names no field"),
    ({"order_by": 5}, "order_by=5 names no field"),
    ({"order_by": "--name"}, "order_by='--name' names no field"),
    ({"limit": -1}, "limit=-1 must be an int from 0"),
    ({"limit": "5"}, "limit='5' must be an int"),
    ({"limit": True}, "limit=True must be an int"),
    ({"values": ["name"]}, r"values=\['name'\] must be a tuple"),
    ({"values": ("nope",)}, "values names 'nope', which is no field"),
    ({"values": (5,)}, "values names 5, which is no field"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD_QUERIES, ids=ids(BAD_QUERIES))
def test_a_bad_query_is_refused_before_anything_is_sent(fake: Any, wrong: dict[str, Any], message: str):
    ways: list[Callable[..., Any]] = [Good.query.filter, Good.query.all, Good.query.count, Good.query.get]
    with round_trips() as trips:
        for way in ways:
            with pytest.raises(QueryException, match=message):
                way(**wrong)
    assert trips == 0


def test_a_key_of_no_kind_is_refused(fake: Any):
    for wrong in (5, object()):
        with pytest.raises(QueryException, match="is no key"):
            Good.query.get_many([wrong])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nope://x", "no backend answers to 'nope'"),
        ("redis://h:99999", "port"),
        ("redis://h:abc", "port"),
        ("", "a connection URL is a text like"),
        (None, "a connection URL is a text like"),
        ("just text", "is no connection URL"),
    ],
)
def test_a_bad_url_is_refused(fake: Any, url: Any, message: str):
    with pytest.raises(BadURL, match=message):
        connect(url)


def test_a_wrong_pipeline_is_refused(store: Any, plain: Any):
    with pytest.raises(Exception, match="is no pipeline that operations can wait in"):
        Good.create(name="a", pipeline=object())
    assert keyspace(plain) == {}


def test_is_valid_tells_and_converts(fake: Any, caplog: pytest.LogCaptureFixture):
    made = Good(name="a")
    made.number = "12"  # type: ignore[assignment]
    assert made.is_valid() is True
    assert made.number == 12
    made.must = None  # type: ignore[assignment]
    assert made.is_valid() is False
    assert made.is_valid(null_check=False) is True
    assert "Good.must" in caplog.text
    made._ttl, made._expire_at = 5, datetime(2050, 1, 1)
    with pytest.raises(ModelException, match="both set"):
        made.is_valid()
