"""values.lua spells every stored value as popoto.keys does."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import fakeredis
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popoto.encoding import DecodingError, decode, encode
from popoto.keys import legacy_part, part

PRELUDE = Path(__file__).parent.parent.joinpath("popoto", "fields", "values.lua").read_text()
# One call reads many values: kind, raw, kind, raw, ...
TEXTS = (
    PRELUDE
    + """
    local out = {}
    for i = 1, #ARGV, 2 do
      local canonical, legacy = value_text(ARGV[i], ARGV[i + 1])
      out[i], out[i + 1] = canonical or false, legacy or false
    end
    return out"""
)
NUMBERS = (
    PRELUDE
    + """
    local out = {}
    for i = 1, #ARGV do
      local number = value_number(ARGV[i])
      out[i] = number and string.format('%.17g', number) or false
    end
    return out"""
)
KINDS = {
    int: "i", float: "f", Decimal: "D", str: "s", bool: "b", date: "d", datetime: "t", time: "T",
}  # fmt: skip

Text = str | None
Evaluate = Callable[[str, list[bytes]], list[bytes | None]]


@pytest.fixture(scope="module")
def evaluate() -> Evaluate:
    server = fakeredis.FakeRedis()

    def evaluate(script: str, args: list[bytes]) -> list[bytes | None]:
        return server.eval(script, 0, *args)

    return evaluate


def texts(evaluate: Evaluate, stored: list[tuple[str, bytes]]) -> list[tuple[Text, Text]]:
    answer = evaluate(TEXTS, [item for kind, raw in stored for item in (kind.encode(), raw)])
    spelled = [None if item is None else item.decode() for item in answer]
    return list(zip(spelled[::2], spelled[1::2], strict=True))


def assert_spelled_as_in_python(evaluate: Evaluate, values: list[object]) -> None:
    stored = [(KINDS[type(value)], encode(value, type(value))) for value in values]
    assert texts(evaluate, stored) == [(part(value), legacy_part(value)) for value in values]


def doubles_at_their_edges() -> Iterator[float]:
    for exponent in range(-1074, 1024):
        yield math.ldexp(1.0, exponent)
    for exponent in range(-330, 309):
        yield float(f"1e{exponent}")
        yield float(f"123456789e{exponent - 9}")
    yield from (0.1 + 0.2, 1 / 3, 2**53 + 2.0, 5e-324, 1.7976931348623157e308, 9.5367431640625e-07)
    for exponent in range(-1074, 1024, 7):
        yield math.nextafter(math.ldexp(1.0, exponent), math.inf)
        yield math.nextafter(math.ldexp(1.0, exponent), 0.0)


numbers = st.one_of(
    st.integers(),
    st.integers(-(2**64), 2**65),
    st.sampled_from([s * (2**n + d) for n in (7, 8, 15, 16, 31, 32, 53, 63, 64) for d in (-1, 0, 1) for s in (1, -1)]),
)
floats = st.floats() | st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack(">d", bits.to_bytes(8, "big"))[0])
nasty_texts = st.text(alphabet=st.sampled_from("/'?*^[]-:{}&#58;None \n\0é€😀a")) | st.sampled_from(
    ["None", "/None", "{&#58;}", "{/&#58;}", "a:b", "\ud7ff\ue000\U00010000\U0010ffff\x7f\x80\u07ff\u0800\uffff"]
)
strings = st.text() | nasty_texts | st.text(min_size=32, max_size=400)
decimals = st.one_of(
    st.decimals(),
    st.builds(
        lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
        st.integers(0, 1),
        st.lists(st.integers(0, 9), max_size=60).map(tuple),
        st.integers(-120, 120) | st.sampled_from([-(10**14), 10**14, -41, -40, 40, 41]),
    ),
)
offsets = st.builds(
    lambda seconds, micro: timezone(timedelta(seconds=seconds, microseconds=micro)),
    st.integers(-86_000, 86_000),
    st.sampled_from([0, 0, 1, 999_999]),
)
zones = st.none() | st.just(UTC) | offsets | st.sampled_from([ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Kolkata")])
seconds = st.sampled_from([0, 0, 1, 999_999, 123_000])


def with_seconds(moment: datetime | time, microsecond: int, fold: int) -> datetime | time:
    return moment.replace(microsecond=microsecond, fold=fold)


datetimes = st.builds(with_seconds, st.datetimes(timezones=zones, allow_imaginary=True), seconds, st.integers(0, 1))
times = st.builds(with_seconds, st.times(timezones=zones), seconds, st.integers(0, 1))
values = st.one_of(numbers, floats, strings, decimals, st.booleans(), st.dates(), datetimes, times)


@settings(max_examples=60, deadline=None)
@given(st.lists(values, min_size=20, max_size=60))
def test_every_value_is_spelled_as_in_python(evaluate: Evaluate, values: list[object]):
    assert_spelled_as_in_python(evaluate, values)


def test_floats_at_every_power_of_two_and_ten_are_spelled_by_repr(evaluate: Evaluate):
    edges = list(doubles_at_their_edges())
    assert_spelled_as_in_python(evaluate, [*edges, *(-number for number in edges)])


def test_none_is_spelled_alike_for_every_derivable_kind(evaluate: Evaluate):
    answer = texts(evaluate, [(kind, b"\xc0") for kind in "ifDsbdtTr"])
    assert answer == [("None", "None")] * 9


def test_containers_and_missing_values_are_not_derivable(evaluate: Evaluate):
    answer = texts(evaluate, [("x", encode([1], list)), ("x", b"\xc0"), ("s", b""), ("?", b"\xa0")])
    assert answer == [(None, None)] * 4
    missing = evaluate(PRELUDE + "return {value_text('s', false) or 'nothing', value_text('s', nil) or 'nothing'}", [])
    assert missing == [b"nothing", b"nothing"]


def test_a_related_key_is_not_escaped_again(evaluate: Evaluate):
    key = "Customer:a{&#58;}b:/-1"
    assert texts(evaluate, [("r", encode(key, str))]) == [(key, key)]


DATETIME_MAP = {"__datetime__": True, "as_encodable": "9990102T03:04:05.000006"}
DATETIME_SPELLED = "0999/-01/-02 03{&#58;}04{&#58;}05.000006"


def packed(value: object, **options: object) -> bytes:
    return msgpack.packb(value, **options)


WRITTEN_BY_OTHERS = [
    ("f", packed(5), "5.0", "5.0"),
    ("f", packed(2**64 - 1), "1.8446744073709552e+19", "1.8446744073709552e+19"),
    ("f", packed(2**53 + 1), "9007199254740992.0", "9007199254740992.0"),
    ("f", packed(0.1, use_single_float=True), "0.10000000149011612", "0.10000000149011612"),
    ("f", b"\xca\x00\x00\x00\x01", "1.401298464324817e/-45", "1.401298464324817e/-45"),
    ("f", b"\xca\xff\x80\x00\x00", "/-inf", "/-inf"),
    ("f", packed(-0.0, use_single_float=True), "0.0", "/-0.0"),
    ("i", packed(5.0), "5", "5"),
    ("i", packed(1e22), "10000000000000000000000", "10000000000000000000000"),
    ("i", packed(-0.0), "0", "0"),
    ("i", packed(True), "1", "True"),
    ("i", b"\xd3" + (5).to_bytes(8, "big"), "5", "5"),
    ("i", b"\xd3" + b"\xff" * 8, "/-1", "/-1"),
    ("D", packed({"__Decimal__": True, "as_encodable": "1.2345678901235E+16"}), "12345678901235000",
     "1.2345678901235E+16"),
    ("D", packed({"as_encodable": "1e+3", "__Decimal__": True}), "1000", "1E+3"),
    ("D", packed({"__Decimal__": True, "as_encodable": "+.50"}), "0.5", "0.50"),
    ("D", packed({"__Decimal__": True, "as_encodable": "nan"}), "NaN", "NaN"),
    ("D", packed(7), "7", "7"),
    ("D", packed(2.5), "2.5", "2.5"),
    ("t", packed(DATETIME_MAP), DATETIME_SPELLED, DATETIME_SPELLED),
    ("t", packed(dict(reversed(DATETIME_MAP.items()))), DATETIME_SPELLED, DATETIME_SPELLED),
    ("d", packed({"__date__": True, "as_encodable": "70102"}), "0007/-01/-02", "0007/-01/-02"),
]  # fmt: skip


def test_what_other_writers_left_is_spelled_by_its_value(evaluate: Evaluate):
    answer = texts(evaluate, [(kind, raw) for kind, raw, _, _ in WRITTEN_BY_OTHERS])
    assert answer == [(canonical, legacy) for _, _, canonical, legacy in WRITTEN_BY_OTHERS]


def python_texts(kind: str, raw: bytes) -> tuple[Text, Text]:
    declared = next(declared for declared, letter in KINDS.items() if letter == kind)
    try:
        value = decode(raw, declared)
    except DecodingError:
        return None, None
    legacy = (raw == b"\xc3" and "True") or (raw == b"\xc2" and "False") or None
    return part(value), legacy or legacy_part(value)


tagged_texts = st.builds(
    lambda name, text, flag: msgpack.packb({f"__{name}__": flag, "as_encodable": text}),
    st.sampled_from(["Decimal", "date", "datetime", "time"]),
    st.one_of(
        st.from_regex(r"\A[0-9]{4,9}(T[0-9]{2}:[0-5][0-9]:[0-6][0-9]\.[0-9]{6})?\Z"),
        st.from_regex(r"\A[+-]?[0-9]{0,3}\.?[0-9]{0,3}([eE][+-]?[0-9]{1,2})?\Z"),
        st.from_regex(r"\A[0-9]{2}:[0-5][0-9]:[0-6][0-9]\.[0-9]{6}\Z"),
        st.sampled_from(["snan", "-NaN007", "Infinity", "-inf", ".", "", "1..2", "1 ", ".nan", "1_0", "٣"]),
    ),
    st.sampled_from([True, True, True, 1, False]),
)
extended_texts = st.builds(
    lambda code, text: msgpack.packb(msgpack.ExtType(code, text.encode())),
    st.integers(1, 6),
    st.one_of(
        st.from_regex(
            r"\A([0-9]{4}-[01][0-9]-[0-3][0-9]T)?[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{6})?"
            r"([+-][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{6})?)?)?(;fold=[01])?\Z"
        ),
        st.from_regex(r"\A-?[0-9]{1,40}\Z"),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_bytes_are_spelled_only_where_python_reads_them(evaluate: Evaluate, data: st.DataObject):
    stored: list[tuple[str, bytes]] = []
    for value in data.draw(st.lists(values, min_size=10, max_size=20)):
        raw = bytearray(encode(value, type(value)))
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        stored.append((KINDS[type(value)], bytes(raw)))
    foreign = data.draw(st.lists(tagged_texts | extended_texts | st.binary(max_size=12), min_size=10, max_size=20))
    stored += [(data.draw(st.sampled_from("ifDsbdtT")), raw) for raw in foreign]
    # Lua can't tell which zones exist.
    stored = [(kind, raw) for kind, raw in stored if raw and b";zone=" not in raw]
    assert texts(evaluate, stored) == [python_texts(kind, raw) for kind, raw in stored]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**64 - 1) | floats, min_size=10, max_size=60))
def test_value_number_is_the_nearest_double(evaluate: Evaluate, values: list[float]):
    answer = evaluate(NUMBERS, [packed(value) for value in values])
    assert [repr(float(item or b"")) for item in answer] == [repr(float(value)) for value in values]


def test_value_number_of_anything_else_is_nothing(evaluate: Evaluate):
    raws = [b"", b"\xc0", b"\xc3", packed("1"), packed([1]), b"\xcb\x00", b"\xcc", encode(2**70, int)]
    assert evaluate(NUMBERS, raws) == [None] * len(raws)
