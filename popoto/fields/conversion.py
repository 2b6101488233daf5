"""Conversions: a given value as one of the field's declared type, where nothing is lost."""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn
from uuid import UUID

from popoto.encoding import plain


class ConversionError(ValueError):
    """A value that can't become the declared type without losing something."""


def convert(value: object, declared: type) -> object:
    """The value as the declared type, or None for None.

    Raises:
        ConversionError: the value is of another type and no exact conversion exists.
    """
    if value is None or type(value) is declared:
        return value
    make = _CONVERSIONS.get(declared)
    if make is None:
        return value if isinstance(value, declared) else _refuse(value, declared)
    try:
        # A datetime is a date, but its time of day would be lost.
        if isinstance(value, declared) and not (declared is date and isinstance(value, datetime)):
            return plain(value, declared)
        return make(value)
    except ConversionError:
        raise
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ConversionError(f"{_shown(value)} can't become {_a(declared)}: {error}") from error


def _a(declared: type) -> str:
    article = "an" if declared.__name__[:1] in "aeio" else "a"
    return f"{article} {declared.__name__}"


def _shown(value: object) -> str:
    return f"{reprlib.repr(value)} ({type(value).__name__})"


def _refuse(value: object, declared: type, remedy: str = "") -> NoReturn:
    advice = remedy or f"give {_a(declared)}, or declare the field as {type(value).__name__}"
    raise ConversionError(f"{_shown(value)} is not {_a(declared)}; {advice}")


def _int(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            _refuse(value, int, "give the digits of a whole number")
    if isinstance(value, (float, Decimal)):
        if not math.isfinite(value) or value != int(value):
            _refuse(value, int, f"round it, or declare the field as {type(value).__name__}")
        return int(value)
    if hasattr(value, "__index__"):
        return operator.index(value)
    _refuse(value, int)


def _float(value: Any) -> float:
    if isinstance(value, str):
        return _float_of_text(value)
    if isinstance(value, Decimal):
        number = float(value)
        # 0.1 has no exact double: what counts is that the float's own text is the same number.
        if math.isfinite(value) and (not math.isfinite(number) or Decimal(repr(number)) != value):
            _refuse(value, float, "round it, or declare the field as Decimal")
        return number
    if not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        _refuse(value, float)
    number = _finite_float(value)
    if number != value and value == value:
        _refuse(value, float, "a float keeps 53 bits; declare the field as int or Decimal")
    return number


def _finite_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        _refuse(value, float, "a float keeps 53 bits; declare the field as int or Decimal")


def _float_of_text(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        _refuse(text, float, "give the digits of a number")
    if not math.isfinite(number) and not text.strip().lstrip("+-").lower().startswith(("inf", "nan")):
        _refuse(text, float, "it is larger than a float can be; declare the field as Decimal")
    whole = text.strip().lstrip("+-").isdecimal()
    if (whole and number != int(text)) or (number == 0 and Decimal(text.strip()) != 0):
        _refuse(text, float, "a float keeps 53 bits; declare the field as int or Decimal")
    return number


def _decimal(value: Any) -> Decimal:
    if isinstance(value, str):
        try:
            return Decimal(value)
        except InvalidOperation:
            _refuse(value, Decimal, "give the digits of a number")
    if isinstance(value, float):
        return Decimal(float.__repr__(value))  # 1.1 as it is written, not as its double is
    if hasattr(value, "__index__"):
        return Decimal(operator.index(value))
    _refuse(value, Decimal)


def _str(value: object) -> str:
    if isinstance(value, (int, float, Decimal, date, time, UUID)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        _refuse(value, str, "decode it, or declare the field as bytes")
    _refuse(value, str)


def _bool(value: object) -> bool:
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    _refuse(value, bool, "give True or False")


def _bytes(value: object) -> bytes:
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str):
        _refuse(value, bytes, "encode it, or declare the field as str")
    _refuse(value, bytes)


def _items(value: object, declared: type) -> Iterable[object]:
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, bytearray, memoryview, Mapping)):
        _refuse(value, declared)
    return value


def _set(value: object) -> set[object]:
    items = list(_items(value, set))
    try:
        members = set(items)
    except TypeError:
        _refuse(value, set, "a set has hashable members only; declare the field as list")
    if len(members) != len(items):
        _refuse(value, set, "it has duplicates; remove them, or declare the field as list")
    return members


def _dict(value: object) -> dict[object, object]:
    if isinstance(value, Mapping):
        return dict(value)
    _refuse(value, dict, "give a dict")


def _date(value: object) -> NoReturn:
    if isinstance(value, datetime):
        _refuse(value, date, "its time would be lost: give its .date(), or declare the field as datetime")
    _refuse(value, date, "give a date, as date.fromisoformat() makes of a text")


def _datetime(value: object) -> NoReturn:
    if isinstance(value, date):
        _refuse(value, datetime, "it has no time: use datetime.combine(), or declare the field as date")
    _refuse(value, datetime, "give a datetime, as datetime.fromisoformat() makes of a text")


def _time(value: object) -> NoReturn:
    _refuse(value, time, "give a time, as time.fromisoformat() makes of a text")


_CONVERSIONS: Final[dict[type, Callable[[object], object]]] = {
    int: _int,
    float: _float,
    Decimal: _decimal,
    str: _str,
    bool: _bool,
    bytes: _bytes,
    list: lambda value: list(_items(value, list)),
    tuple: lambda value: tuple(_items(value, tuple)),
    set: _set,
    dict: _dict,
    date: _date,
    datetime: _datetime,
    time: _time,
}
