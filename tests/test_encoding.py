"""Stored bytes are 1.x's where 1.x lost nothing; everything comes back as it was given."""

from __future__ import annotations

import enum
import math
import struct
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoto.encoding import MAX_DEPTH, DecodingError, EncodingError, decode, encode

TYPES = (int, float, Decimal, str, bool, bytes, list, dict, set, tuple, date, datetime, time)
PARIS = ZoneInfo("Europe/Paris")


def tagged(name: str, payload: object) -> bytes:
    return msgpack.packb({f"__{name}__": True, "as_encodable": payload})


def identity(value: object) -> object:
    """What `==` overlooks: exact types, the sign of zero, the bits of nan, zones, folds, the digits of a Decimal."""
    if isinstance(value, float):
        return (float, struct.pack(">d", value))
    if isinstance(value, (datetime, time)):
        return (type(value), value.replace(tzinfo=None).isoformat(), value.utcoffset(), zone(value), value.fold)
    if isinstance(value, Decimal):
        return (Decimal, str(value))
    if isinstance(value, (list, tuple)):
        return (type(value), [identity(item) for item in value])
    if isinstance(value, (set, frozenset)):
        return (type(value), sorted(repr(identity(item)) for item in value))
    if isinstance(value, dict):
        return (dict, [(identity(key), identity(item)) for key, item in value.items()])
    return (type(value), value)


def zone(moment: datetime | time) -> str | None:
    return moment.tzinfo.key if isinstance(moment.tzinfo, ZoneInfo) else None


# 1.x's bytes, of core-1x 2.3

BYTES_OF_1X = [
    (int, 5, "05"),
    (int, 127, "7f"),
    (int, 128, "cc80"),
    (int, 256, "cd0100"),
    (int, 65536, "ce00010000"),
    (int, 2**32, "cf0000000100000000"),
    (int, 2**64 - 1, "cfffffffffffffffff"),
    (int, -1, "ff"),
    (int, -33, "d0df"),
    (int, -129, "d1ff7f"),
    (int, -32769, "d2ffff7fff"),
    (int, -(2**63), "d38000000000000000"),
    (bool, True, "c3"),
    (bool, False, "c2"),
    (float, 1.5, "cb3ff8000000000000"),
    (float, -0.0, "cb8000000000000000"),
    (str, "é", "a2c3a9"),
    (bytes, b"\x00\xff", "c40200ff"),
    (list, [1, "a", None], "9301a161c0"),
    (dict, {"a": 1, 2: "b"}, "82a1610102a162"),
    (Decimal, Decimal("1.10"), tagged("Decimal", "1.10").hex()),
    (datetime, datetime(2024, 1, 2, 3, 4, 5, 6), tagged("datetime", "20240102T03:04:05.000006").hex()),
    (datetime, datetime(2024, 1, 2, 3, 4, 5), tagged("datetime", "20240102T03:04:05.000000").hex()),
    (datetime, datetime(999, 1, 2), tagged("datetime", "09990102T00:00:00.000000").hex()),
    (date, date(2024, 1, 2), "82a85f5f646174655f5fc3" + "ac61735f656e636f6461626c65" + "a83230323430313032"),
    (time, time(1, 2, 3, 4), tagged("time", "01:02:03.000004").hex()),
    (set, {1}, tagged("set", [1]).hex()),
    (tuple, (1, 2), tagged("tuple", [1, 2]).hex()),
    (tuple, (None, None), tagged("tuple", [None, None]).hex()),
]


@pytest.mark.parametrize(("declared", "value", "raw"), BYTES_OF_1X)
def test_what_1x_could_store_has_its_bytes(declared: type, value: object, raw: str):
    assert encode(value, declared).hex() == raw
    assert identity(decode(bytes.fromhex(raw), declared)) == identity(value)


@pytest.mark.parametrize("declared", TYPES)
def test_none_is_nil_for_every_type(declared: type):
    assert encode(None, declared) == b"\xc0"
    assert decode(b"\xc0", declared) is None


# Everything comes back

offsets = st.builds(
    lambda seconds, micro: timezone(timedelta(seconds=seconds, microseconds=micro)),
    st.integers(-86_000, 86_000),
    st.sampled_from([0, 0, 1]),
)
zones = st.none() | st.just(UTC) | offsets | st.sampled_from([PARIS, ZoneInfo("America/New_York")])
folds = st.integers(0, 1)
datetimes = st.builds(lambda moment, fold: moment.replace(fold=fold), st.datetimes(timezones=zones), folds)
times = st.builds(lambda moment, fold: moment.replace(fold=fold), st.times(timezones=zones), folds)
hashables = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(allow_nan=False), st.text(), st.binary(),
        st.dates(), datetimes, times,
    ),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=6,
)  # fmt: skip
anything = st.recursive(
    hashables | st.sets(hashables, max_size=4),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
    ),
    max_leaves=12,
)
declared_values = st.one_of(
    st.integers(), st.floats(), st.decimals(), st.text(), st.booleans(), st.binary(), st.dates(), datetimes, times,
    st.lists(anything, max_size=5), st.dictionaries(hashables, anything, max_size=5), st.sets(hashables, max_size=5),
    st.lists(anything, max_size=5).map(tuple),
)  # fmt: skip


@given(declared_values)
def test_a_value_comes_back_as_it_was(value: object):
    assert identity(decode(encode(value, type(value)), type(value))) == identity(value)


@pytest.mark.parametrize("bits", ["0000000000000000", "8000000000000000", "7ff0000000000000", "fff8000000000001"])
def test_a_float_keeps_its_bits(bits: str):
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert struct.pack(">d", decode(encode(value, float), float)).hex() == bits


def test_equal_sets_have_equal_bytes():
    items = ["b", "a", (1, 2), 3, None, Decimal(1)]
    assert encode(set(items), set) == encode(set(reversed(items)), set)
    assert encode([frozenset(items)], list) == encode([frozenset(reversed(items))], list)
    assert decode(encode(set(range(70_000)), set), set) == set(range(70_000))


class Colour(enum.IntEnum):
    RED = 3


class Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


def test_subclasses_are_stored_as_the_type_they_extend():
    point = namedtuple("point", "x y")
    given = [Colour.RED, Word("a"), OrderedDict(a=1), point(1, Word("b"))]
    assert identity(decode(encode(given, list), list)) == identity([3, "a", {"a": 1}, (1, "b")])
    assert encode(Colour.RED, int) == b"\x03"
    assert encode(Word("a"), str) == b"\xa1a"
    assert encode(True, int) == b"\x01"


# Stored data is not interpreted

MAPS = [
    {"as_encodable": "x", "__date__": 1},
    {"__date__": True, "as_encodable": "20240102"},
    {"__set__": True, "as_encodable": [1]},
    {"__dataframe__": True, "as_encodable": "/some/file.json"},
    {b"nd": True, b"kind": b"O", b"data": b"pickle"},
]


@pytest.mark.parametrize("value", MAPS)
def test_a_map_in_a_dict_or_list_is_that_map(value: dict[object, object]):
    assert decode(encode(value, dict), dict) == value
    assert decode(encode([value], list), list) == [value]


@pytest.mark.parametrize("declared", sorted(set(TYPES) - {date, dict}, key=lambda declared: declared.__name__))
def test_a_tagged_map_is_read_by_its_own_type_only(declared: type):
    with pytest.raises(DecodingError):
        decode(tagged("date", "20240102"), declared)


# What other writers left

LEFT_BY_OTHERS = [
    (float, msgpack.packb(5), 5.0),
    (float, msgpack.packb(0.1, use_single_float=True), struct.unpack(">f", struct.pack(">f", 0.1))[0]),
    (int, msgpack.packb(5.0), 5),
    (int, msgpack.packb(1e22), 10**22),
    (int, b"\xc3", 1),
    (Decimal, tagged("Decimal", "1.2345678901235E+16"), Decimal("1.2345678901235E+16")),
    (Decimal, tagged("Decimal", "1e+22"), Decimal("1E+22")),
    (Decimal, msgpack.packb({"as_encodable": "1.5", "__Decimal__": True}), Decimal("1.5")),
    (Decimal, msgpack.packb(2.5), Decimal("2.5")),
    (datetime, tagged("datetime", "9990101T01:02:03.000000"), datetime(999, 1, 1, 1, 2, 3)),
    (date, tagged("date", "70102"), date(7, 1, 2)),
    (set, tagged("set", [[1, [2]]]), {(1, (2,))}),
    (dict, b"\x81\x92\x01\x02\xa1a", {(1, 2): "a"}),
]


@pytest.mark.parametrize(("declared", "raw", "value"), LEFT_BY_OTHERS)
def test_what_other_writers_left_is_read(declared: type, raw: bytes, value: object):
    assert identity(decode(raw, declared)) == identity(value)


# What can't be read or stored

DAMAGED = [
    (int, b""),
    (int, b"\xcd\x01"),
    (int, b"\x01\x01"),
    (int, msgpack.packb(5.5)),
    (int, msgpack.packb(math.nan)),
    (int, msgpack.packb("5")),
    (int, msgpack.packb(msgpack.ExtType(1, b"1_0"))),
    (str, b"\xa1\xff"),
    (str, b"\xc1"),
    (str, msgpack.packb(b"bytes")),
    (str, msgpack.packb(msgpack.ExtType(1, b"5"))),
    (bool, b"\x01"),
    (Decimal, tagged("Decimal", "x")),
    (Decimal, tagged("Decimal", 5)),
    (Decimal, tagged("Decimal", "1E+9999999999999999999")),
    (date, tagged("date", "20240230")),
    (date, tagged("date", "2024")),
    (datetime, tagged("datetime", "20240102")),
    (datetime, tagged("datetime", "20240102T25:00:00.000000")),
    (datetime, msgpack.packb(msgpack.ExtType(3, b"01:02:03"))),
    (datetime, msgpack.packb(msgpack.Timestamp(5))),
    (time, msgpack.packb(msgpack.ExtType(5, b"01:02:03;zone=No/Where"))),
    (list, msgpack.packb({"a": 1})),
    (list, b"\xdd\xff\xff\xff\xff"),
    (list, b"\x91" * 5000 + b"\xc0"),
    (list, msgpack.packb([msgpack.ExtType(99, b"")])),
    (list, msgpack.packb([msgpack.ExtType(8, b"\x01")])),
    (list, msgpack.packb([msgpack.ExtType(6, b"\x91\x91\x01")])),
    (dict, b"\x81\x81\x01\x02\x03"),
    (set, msgpack.packb([1])),
    (set, tagged("set", {"a": 1})),
    (tuple, msgpack.packb({"__tuple__": 1, "as_encodable": []})),
]


@pytest.mark.parametrize(("declared", "raw"), DAMAGED)
def test_damaged_bytes_raise_a_decoding_error(declared: type, raw: bytes):
    with pytest.raises(DecodingError, match="stored"):
        decode(raw, declared)


@given(st.binary(max_size=40), st.sampled_from(TYPES))
def test_any_bytes_are_read_or_refused(raw: bytes, declared: type):
    try:
        value = decode(raw, declared)
    except DecodingError:
        return
    assert value is None or type(value) is declared


class Nowhere(tzinfo):
    def utcoffset(self, dt: datetime | None) -> None:
        return None


def nested(levels: int, wrap: Callable[[object], object]) -> object:
    value: object = ()
    for _ in range(levels):
        value = wrap(value)
    return value


circle: list[object] = []
circle.append(circle)

UNSTORABLE = [
    (list, [object()], "object"),
    (list, [lambda: None], "function"),
    (dict, {"a": [1j]}, "complex"),
    (int, "5", "str"),
    (str, b"5", "bytes"),
    (date, datetime(2024, 1, 2), "datetime"),
    (str, "\ud800", "surrogates"),
    (list, circle, "recursion"),
    (tuple, nested(MAX_DEPTH + 2, lambda inner: (inner,)), "nested"),
    (datetime, datetime(2024, 1, 2, tzinfo=Nowhere()), "offset"),
    (object, 5, "object"),
]


@pytest.mark.parametrize(("declared", "value", "named"), UNSTORABLE)
def test_what_cannot_be_stored_is_named(declared: type, value: object, named: str):
    with pytest.raises(EncodingError, match=named):
        encode(value, declared)


def test_an_int_of_too_many_digits_is_named():
    with pytest.raises(EncodingError, match="4300"):  # Python's own limit for reading an int's text
        encode(10**5000, int)


def test_nested_lists_keep_the_depth_of_1x():
    value = nested(500, lambda inner: [inner])
    assert decode(encode(value, list), list) == value


def test_the_deepest_nesting_fits_the_stack_of_a_thread():
    level: object = 1
    for _ in range(MAX_DEPTH):
        level = (nested(500, lambda inner: [inner]), level)
        for _ in range(500):
            level = [level]
    with ThreadPoolExecutor(1) as threads:
        raw = threads.submit(encode, [level], list)
        with pytest.raises(EncodingError, match="nested"):
            raw.result()


def test_a_deep_extension_is_refused():
    raw = b"\x01"
    for _ in range(200):
        raw = msgpack.packb(msgpack.ExtType(8, b"\x91" + raw))
    with pytest.raises(DecodingError, match="deep"):
        decode(b"\x91" + raw, list)


def test_a_zone_with_new_rules_keeps_the_moment():
    raw = msgpack.packb(msgpack.ExtType(3, b"2024-07-01T12:00:00+05:00;zone=Europe/Paris"))
    assert decode(raw, datetime) == datetime(2024, 7, 1, 12, tzinfo=timezone(timedelta(hours=5)))


def test_both_sides_of_a_clock_change_come_back():
    late = datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=PARIS)
    assert identity(decode(encode(late, datetime), datetime)) == identity(late)
    assert encode(late, datetime) != encode(late.replace(fold=0), datetime)
