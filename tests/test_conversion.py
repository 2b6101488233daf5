"""A value becomes the declared type exactly, or is refused with a remedy."""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest

from popoto.fields.conversion import ConversionError, convert


class Level(enum.IntEnum):
    HIGH = 3


class Name(str, enum.Enum):  # noqa: UP042 - the older spelling, whose str() is Name.ANN
    ANN = "ann"


class Stamp(datetime):
    pass


EXACT = [
    (int, "12", 12),
    (int, " -7 ", -7),
    (int, 12.0, 12),
    (int, True, 1),
    (int, Level.HIGH, 3),
    (int, Decimal("1E+2"), 100),
    (float, "1.5", 1.5),
    (float, "1e3", 1000.0),
    (float, "inf", math.inf),
    (float, 3, 3.0),
    (float, 2**60, float(2**60)),
    (float, Decimal("0.1"), 0.1),
    (float, Fraction(1, 4), 0.25),
    (Decimal, 5, Decimal(5)),
    (Decimal, "1.10", Decimal("1.10")),
    (Decimal, 1.1, Decimal("1.1")),
    (str, 5, "5"),
    (str, Name.ANN, "ann"),
    (str, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (bool, 0, False),
    (bool, 1, True),
    (bytes, bytearray(b"ab"), b"ab"),
    (list, (1, 2), [1, 2]),
    (list, {1}, [1]),
    (list, range(2), [0, 1]),
    (tuple, [1, 2], (1, 2)),
    (set, [1, 2], {1, 2}),
    (set, frozenset({1}), {1}),
    (dict, OrderedDict(a=1), {"a": 1}),
    (datetime, Stamp(2024, 1, 2, 3, tzinfo=UTC, fold=1), datetime(2024, 1, 2, 3, tzinfo=UTC, fold=1)),
]


@pytest.mark.parametrize(("declared", "value", "converted"), EXACT)
def test_an_exact_conversion_is_made(declared: type, value: object, converted: object):
    actual = convert(value, declared)
    assert (type(actual), actual) == (declared, converted)
    assert str(actual) == str(converted)


@pytest.mark.parametrize("declared", [int, float, Decimal, str, bool, bytes, list, dict, set, tuple, date, time])
def test_none_passes(declared: type):
    assert convert(None, declared) is None


def test_nan_passes_as_a_float():
    assert math.isnan(convert(math.nan, float))  # type: ignore[arg-type]


LOSSY = [
    (int, 1.5, "round"),
    (int, math.nan, "round"),
    (int, Decimal("1.5"), "round"),
    (int, "1.5", "digits"),
    (int, "abc", "digits"),
    (int, b"5", "declare the field as bytes"),
    (float, 2**53 + 1, "53 bits"),
    (float, 10**400, "53 bits"),
    (float, "9007199254740993", "53 bits"),
    (float, "1e400", "Decimal"),
    (float, "1e-400", "Decimal"),
    (float, "x", "digits"),
    (float, Decimal("0.12345678901234567890"), "Decimal"),
    (float, Fraction(1, 3), "Decimal"),
    (float, Decimal("sNaN"), "float"),
    (Decimal, "x", "digits"),
    (Decimal, [1], "Decimal"),
    (str, b"ab", "decode"),
    (str, [1], "list"),
    (str, object(), "object"),
    (bool, "False", "True or False"),
    (bool, 2, "True or False"),
    (bool, 1.0, "True or False"),
    (bytes, "ab", "encode"),
    (bytes, 5, "int"),
    (list, "abc", "str"),
    (list, {"a": 1}, "dict"),
    (tuple, b"ab", "bytes"),
    (set, [1, 1], "duplicates"),
    (set, [[1]], "hashable"),
    (dict, [("a", 1)], "give a dict"),
    (date, datetime(2024, 1, 2), "time would be lost"),
    (date, "2024-01-02", "fromisoformat"),
    (datetime, date(2024, 1, 2), "combine"),
    (datetime, "2024-01-02T03:04:05", "fromisoformat"),
    (time, "01:02:03", "fromisoformat"),
]


@pytest.mark.parametrize(("declared", "value", "remedy"), LOSSY)
def test_a_lossy_conversion_is_refused_with_a_remedy(declared: type, value: object, remedy: str):
    with pytest.raises(ConversionError, match=remedy):
        convert(value, declared)
