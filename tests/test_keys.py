"""Keys are 1.x's, and no two values share one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoto.keys import DB_key, escape, field_tag, legacy_part, part, spellings, text, unescape, unpart

nasty_texts = st.text() | st.text(alphabet="/'?*^[]-:{}&#58;None")


def legacy_escape(raw: str) -> str:
    raw = raw.replace("/", "//")
    for mark in "'?*^[]-":
        raw = raw.replace(mark, "/" + mark)
    return raw.replace(":", "{&#58;}")


@given(nasty_texts)
def test_unescape_reverses_escape(raw: str):
    assert unescape(escape(raw)) == raw


@given(nasty_texts.filter(lambda raw: "{&#58;}" not in raw))
def test_text_without_the_colon_mark_is_escaped_as_in_1x_and_read_back(raw: str):
    assert escape(raw) == legacy_escape(raw)
    assert unescape(legacy_escape(raw)) == raw


@given(nasty_texts)
def test_the_legacy_part_is_what_1x_wrote(raw: str):
    assert legacy_part(raw) == legacy_escape(raw)


@given(nasty_texts)
def test_unpart_reverses_part(raw: str):
    assert unpart(part(raw)) == raw


@given(st.lists(nasty_texts | st.none(), min_size=1))
def test_different_parts_have_different_keys(parts: list[str | None]):
    key = DB_key("Model", *parts)
    assert list(DB_key.from_redis_key(key.redis_key.encode())) == list(key)


def test_nasty_pairs_have_a_key_each():
    nasty = ["", "a", ":", "/", "a:b", "a{&#58;}b", "{&#58;}", "{/&#58;}", "None", "/None", None, "-"]
    pairs = list(product(nasty, nasty))
    assert len({DB_key("M", *pair).redis_key for pair in pairs}) == len(pairs)


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (None, "None"),
        ("None", "/None"),
        ("", ""),
        (True, "True"),
        (-3, "/-3"),
        (1.0, "1.0"),
        (1e22, "1e+22"),
        (-0.0, "0.0"),
        (Decimal("1.50"), "1.5"),
        (date(2024, 1, 2), "2024/-01/-02"),
        (datetime(2024, 1, 2, 3, 4, 5), "2024/-01/-02 03{&#58;}04{&#58;}05"),
        (datetime(2024, 1, 2, 3, 4, 5, 6), "2024/-01/-02 03{&#58;}04{&#58;}05.000006"),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "2024/-01/-02 03{&#58;}04{&#58;}05+00{&#58;}00"),
        (time(1, 2), "01{&#58;}02{&#58;}00"),
        ([1, 2], "/[1, 2/]"),
        ("Tac:o [T]", "Tac{&#58;}o /[T/]"),
    ],
)
def test_a_value_is_spelled_as_documented(value: object, spelled: str):
    assert part(value) == spelled


@pytest.mark.parametrize(
    ("number", "spelled"),
    [
        ("0", "0"),
        ("-0.00", "0"),
        ("0E+9", "0"),
        ("1.10", "1.1"),
        ("100", "100"),
        ("1E+2", "100"),
        ("-0.0010", "-0.001"),
        ("1E+40", "1" + "0" * 40),
        ("1E+41", "1E41"),
        ("12E-40", "0." + "0" * 38 + "12"),
        ("12E-41", "12E-41"),
        ("-12000E+50", "-12E53"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
    ],
)
def test_a_decimal_is_spelled_without_needless_zeros(number: str, spelled: str):
    assert text(Decimal(number)) == spelled


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 20))
def test_equal_decimals_are_spelled_alike(number: Decimal, zeros: int):
    sign, digits, exponent = number.as_tuple()
    longer = Decimal((sign, digits + (0,) * zeros, int(exponent) - zeros))
    assert text(longer) == text(number)
    assert Decimal(text(number)) == number


def test_old_spellings_follow_the_canonical_one():
    assert spellings("plain") == ("plain",)
    assert spellings("None") == ("/None", "None")
    assert spellings("a{&#58;}b") == ("a{/&#58;}b", "a{&#58;}b")
    assert spellings(Decimal("1.10")) == ("1.1", "1.10")
    assert spellings(-0.0) == ("0.0", "/-0.0")


def test_a_key_is_its_flattened_parts():
    key = DB_key("Model", ["a:b", ("c", [None])], b"raw", 5)
    assert list(key) == ["Model", "a:b", "c", None, b"raw", 5]
    assert str(key) == key.redis_key == "Model:a{&#58;}b:c:None:b/'raw/':5"
    assert (DB_key.clean("a:b"), DB_key.unclean("a{&#58;}b")) == ("a{&#58;}b", "a:b")


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("KeyField", "$KeyF"),
        ("UniqueKeyField", "$UniqueKeyF"),
        ("AutoKeyField", "$AutoKeyF"),
        ("IndexedField", "$IndexF"),
        ("UniqueField", "$UniquF"),
        ("SortedField", "$SortF"),
        ("SortedKeyField", "$SortedKeyF"),
        ("DecayingSortedField", "$DecayingSortF"),
        ("ConfidenceField", "$ConfidencF"),
        ("GeoField", "$GeoF"),
        ("Relationship", "$RelationshipF"),
        ("StatusField", "$StatusF"),
        ("EmailField", "$EmaF"),
        ("FileField", "$F"),
    ],
)
def test_a_field_class_has_the_tag_of_1x(name: str, tag: str):
    assert field_tag(name) == tag
