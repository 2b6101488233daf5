"""Value bytes: msgpack as 1.x wrote it, with extension types for what 1.x lost.

A value is read by its declared type, so stored user data is never interpreted: the tagged maps of 1.x
(`{"__date__": true, "as_encodable": "20240102"}`) are read only where a whole value of that type was
declared.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timezone
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgpack
from msgpack import ExtType

packb: Callable[..., bytes] = msgpack.packb
unpackb: Callable[..., object] = msgpack.unpackb

# A kept packer takes a fifth of the time of one for each value. Only one in C, under the interpreter's lock, can be
# shared; it keeps the memory of the longest text, so longer ones do without.
_shared = msgpack.Packer.__module__ == "msgpack._cmsgpack" and getattr(sys, "_is_gil_enabled", lambda: True)()
_pack_small: Callable[..., bytes] = msgpack.Packer().pack if _shared else packb

# Stored for ever: a code is never given another meaning. values.lua reads BIG_INT, DATETIME and TIME.
BIG_INT, DECIMAL, DATETIME, DATE, TIME, SET, FROZENSET, TUPLE = range(1, 9)

# Extension types inside each other; msgpack allows 511 lists in each, and 16 * 511 take 4 MB of C stack.
MAX_DEPTH: Final = 16

Encoder = Callable[[Any], bytes]
Decoder = Callable[[bytes], object]


class EncodingError(ValueError):
    """A value that can't be stored as its field's declared type."""


class DecodingError(ValueError):
    """Stored bytes that are no value of the field's declared type."""


def encode(value: object, declared: type) -> bytes:
    """The stored bytes of a value of the declared type, or of None; raises EncodingError."""
    return encoder(declared)(value)


def decode(raw: bytes, declared: type) -> object:
    """The value of the declared type, or None, that the bytes hold; raises DecodingError."""
    return decoder(declared)(raw)


def encoder(declared: type) -> Encoder:
    """The function that encodes values of the declared type."""
    if declared not in _ENCODERS:
        raise EncodingError(f"{declared!r} is not a type that can be stored")
    return _ENCODERS[declared]


def decoder(declared: type) -> Decoder:
    """The function that decodes values of the declared type."""
    if declared not in _DECODERS:
        raise DecodingError(f"{declared!r} is not a type that can be stored")
    return _DECODERS[declared]


def plain(value: object, declared: type) -> object:
    """An instance of a subclass of the declared type, as exactly the declared type."""
    return value if type(value) is declared else _PLAIN[declared](value)


def _name(value: object) -> str:
    return type(value).__name__


def _plain_datetime(value: datetime) -> datetime:
    if getattr(value, "nanosecond", 0):  # a pandas Timestamp
        raise ValueError("nanoseconds are finer than a datetime keeps")
    day = date(value.year, value.month, value.day)
    return datetime.combine(day, _plain_time(value.time())).replace(tzinfo=value.tzinfo)


def _plain_time(value: time) -> time:
    return time(value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold)


# The methods of the type itself: a subclass may define its own (an Enum's __str__ is its name).
_PLAIN: Final[dict[type, Callable[..., object]]] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: bytes.__bytes__,
    **{kind: kind for kind in (list, dict, set, frozenset, tuple, Decimal)},
    datetime: _plain_datetime,
    date: lambda value: date(value.year, value.month, value.day),
    time: _plain_time,
}


_UNWRITABLE: Final = (ValueError, TypeError, OverflowError, RecursionError)


def _pack(value: object, depth: int = 0) -> bytes:
    """The bytes of a nested value; whatever msgpack does not carry itself becomes an extension type."""
    try:
        return packb(value, default=_EXTENDERS[depth], strict_types=True)
    except EncodingError:
        raise
    except _UNWRITABLE as error:
        raise EncodingError(f"a {_name(value)} can't be stored: {error}") from error


def _extend(depth: int, value: object) -> object:
    if depth >= MAX_DEPTH:
        raise EncodingError(f"tuples, sets and dates are nested more than {MAX_DEPTH} deep")
    for kind, code, payload in _EXTENSIONS:
        if isinstance(value, kind):
            return ExtType(code, payload(plain(value, kind), depth + 1))
    if isinstance(value, int):
        number = int.__int__(value)
        return number if -(2**63) <= number < 2**64 else ExtType(BIG_INT, str(number).encode())
    for kind in (str, float, list, dict, bytes):
        if isinstance(value, kind):
            return _PLAIN[kind](value)
    raise EncodingError(f"a value of type {_name(value)} can't be stored")


def _members(values: Iterable[object], depth: int = 0) -> bytes:
    """An array of the values ordered by their bytes, so that equal sets have equal bytes."""
    packed = sorted(_pack(value, depth) for value in values)
    header: bytes = msgpack.Packer().pack_array_header(len(packed))
    return header + b"".join(packed)


def _moment(value: datetime | time, depth: int = 0) -> bytes:
    """ISO 8601 with the offset, then what ISO has no place for: `;zone=Europe/Paris;fold=1`."""
    spelled = value.isoformat()
    if isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key:
        spelled += f";zone={value.tzinfo.key}"
    elif value.tzinfo is not None and value.utcoffset() is None:
        raise EncodingError(f"a {_name(value)} whose tzinfo has no offset can't be stored")
    return (f"{spelled};fold=1" if value.fold else spelled).encode()


# Ordered: a datetime is a date too.
_EXTENSIONS: Final[tuple[tuple[type, int, Callable[..., bytes]], ...]] = (
    (tuple, TUPLE, lambda value, depth: _pack(list(value), depth)),
    (set, SET, _members),
    (frozenset, FROZENSET, _members),
    (Decimal, DECIMAL, lambda value, depth: str(value).encode()),
    (datetime, DATETIME, _moment),
    (date, DATE, lambda value, depth: value.isoformat().encode()),
    (time, TIME, _moment),
)
_EXTENDERS: Final = tuple(partial(_extend, depth) for depth in range(MAX_DEPTH + 1))


def _typed(declared: type, write: Encoder) -> Encoder:
    """The encoder of a type: None, values of exactly the type, values of its subclasses."""

    def encode_value(value: object) -> bytes:
        try:
            if type(value) is declared:
                return write(value)
            if value is None:
                return b"\xc0"
            if isinstance(value, declared) and not (declared is date and isinstance(value, datetime)):
                return write(_PLAIN[declared](value))
        except EncodingError:
            raise
        except _UNWRITABLE as error:
            raise EncodingError(f"this {declared.__name__} can't be stored: {error}") from error
        raise EncodingError(f"a value of type {_name(value)} can't be stored as {declared.__name__}")

    return encode_value


def _text_bytes(value: str) -> bytes:
    return _pack_small(value) if len(value) < 65_536 else packb(value)


def _int_bytes(value: int) -> bytes:
    try:
        return _pack_small(value)
    except OverflowError:
        return packb(ExtType(BIG_INT, str(value).encode()))


# A map of 1.x up to where its payload begins.
_TAGS: Final[dict[type, bytes]] = {
    kind: packb({f"__{kind.__name__}__": True, "as_encodable": None})[:-1]
    for kind in (Decimal, datetime, date, time, set, tuple)
}


def _date_stamp(value: date) -> str:  # not strftime: glibc writes the year 999 as 3 digits
    return f"{value.year:04}{value.month:02}{value.day:02}"


def _moment_bytes(code: int, value: datetime | time) -> bytes:
    if value.tzinfo is not None or value.fold:
        return packb(ExtType(code, _moment(value)))
    if isinstance(value, datetime):
        return _TAGS[datetime] + packb(f"{_date_stamp(value)}T{value.time().isoformat('microseconds')}")
    return _TAGS[time] + packb(value.isoformat("microseconds"))


_ENCODERS: Final[dict[type, Encoder]] = {
    int: _typed(int, _int_bytes),
    float: _typed(float, _pack_small),
    str: _typed(str, _text_bytes),
    bool: _typed(bool, _pack_small),
    bytes: _typed(bytes, packb),
    list: _typed(list, _pack),
    dict: _typed(dict, _pack),
    set: _typed(set, lambda value: _TAGS[set] + _members(value)),
    tuple: _typed(tuple, lambda value: _TAGS[tuple] + _pack(list(value))),
    Decimal: _typed(Decimal, lambda value: _TAGS[Decimal] + packb(str(value))),
    datetime: _typed(datetime, partial(_moment_bytes, DATETIME)),
    date: _typed(date, lambda value: _TAGS[date] + packb(_date_stamp(value))),
    time: _typed(time, partial(_moment_bytes, TIME)),
}


_UNREADABLE: Final = (*_UNWRITABLE, InvalidOperation, msgpack.UnpackException)
_BIG = re.compile(r"-?[1-9][0-9]*")
_DECIMAL = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|infinity|s?nan[0-9]*))", re.ASCII
)
# 1.x wrote the year 999 unpadded: the year is what precedes the last four digits.
_DATE_STAMP = re.compile(r"[0-9]{5,8}")
_TIME_STAMP = re.compile(r"(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{6}")
_DATETIME_STAMP = re.compile(rf"{_DATE_STAMP.pattern}T{_TIME_STAMP.pattern}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    rf"((?:{_DAY.pattern}T)?[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{6}})?)"
    r"([+-][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{6})?)?)?(?:;zone=([^;]+))?(;fold=1)?"
)


def _matched(pattern: re.Pattern[str], text: object) -> re.Match[str]:
    found = pattern.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise DecodingError(f"the stored value has an unreadable part, {text!r:.80}")
    return found


def _unpack(raw: bytes, depth: int = 0) -> object:
    options = {"ext_hook": _RESTORERS[depth], "strict_map_key": False, "timestamp": 3}
    try:
        return unpackb(raw, **options)
    except TypeError:  # 1.x wrote the tuple keys of a dict as arrays, which read as lists: no key
        return unpackb(raw, **options, object_pairs_hook=lambda pairs: {_hashable(k): v for k, v in pairs})


def _hashable(value: object) -> object:
    return tuple(map(_hashable, value)) if type(value) is list else value


def _restore(depth: int, code: int, payload: bytes) -> object:
    if depth >= MAX_DEPTH:
        raise DecodingError(f"the stored value is nested more than {MAX_DEPTH} deep")
    if code not in _EXTENDED:
        raise DecodingError(f"the stored value has the unknown extension type {code}")
    return _EXTENDED[code](payload, depth + 1)


def _array(value: object) -> list[object]:
    if type(value) is not list:
        raise DecodingError(f"the stored value has a {_name(value)} where its items belong")
    return value


def _big_int(payload: bytes, depth: int = 0) -> int:
    return int(_matched(_BIG, payload.decode())[0])


def _decimal(text: object) -> Decimal:
    return Decimal(_matched(_DECIMAL, text)[0])


def _moment_of(kind: type[datetime] | type[time], payload: bytes, depth: int = 0) -> object:
    iso, offset, zone, fold = _matched(_MOMENT, payload.decode()).groups()
    value = kind.fromisoformat(iso).replace(tzinfo=_offset(offset), fold=1 if fold else 0)
    if value.isoformat() != iso + (offset or ""):  # one value has one text, which values.lua copies
        raise DecodingError(f"the stored value has the {kind.__name__} {iso}{offset}")
    return value if zone is None else _in_zone(value, zone)


def _offset(text: str | None) -> timezone | None:
    """A zone of an offset; datetime.fromisoformat takes +00:00:00.000001 for UTC."""
    if text is None:
        return None
    size = datetime.combine(date.min, time.fromisoformat(text[1:])) - datetime.min
    return timezone(-size if text[0] == "-" else size)


def _in_zone(value: datetime | time, name: str) -> datetime | time:
    """The value in a named zone; with its offset alone where the zone is unknown here or has new rules."""
    try:
        zoned = value.replace(tzinfo=ZoneInfo(name))
    except (KeyError, ValueError, OSError) as error:
        if value.tzinfo is None:
            raise DecodingError(f"the time zone {name!r} of the stored value is unknown here") from error
        return value
    return zoned if zoned.utcoffset() == value.utcoffset() else value


_EXTENDED: Final[dict[int, Callable[[bytes, int], object]]] = {
    BIG_INT: _big_int,
    DECIMAL: lambda payload, depth: _decimal(payload.decode()),
    DATETIME: partial(_moment_of, datetime),
    DATE: lambda payload, depth: date.fromisoformat(_matched(_DAY, payload.decode())[0]),
    TIME: partial(_moment_of, time),
    SET: lambda payload, depth: set(_array(_unpack(payload, depth))),
    FROZENSET: lambda payload, depth: frozenset(_array(_unpack(payload, depth))),
    TUPLE: lambda payload, depth: tuple(_array(_unpack(payload, depth))),
}
_RESTORERS: Final = tuple(partial(_restore, depth) for depth in range(MAX_DEPTH + 1))


def _payload(value: object, declared: type) -> object:
    """The payload of a tagged map of 1.x, its two keys in either order."""
    tag = f"__{declared.__name__}__"
    if type(value) is dict and len(value) == 2 and value.get(tag) is True and "as_encodable" in value:
        return value["as_encodable"]
    return _refuse(value, declared)


def _read_int(value: Any) -> object:
    if type(value) is ExtType and value.code == BIG_INT:
        return _big_int(value.data)
    # 1.x let a bool pass as an int; its increments wrote large ints as floats.
    if type(value) is bool or (type(value) is float and value.is_integer()):
        return int(value)
    return _refuse(value, int)


def _read_float(value: object) -> object:
    return float(value) if type(value) is int else _refuse(value, float)


def _read_decimal(value: object) -> object:
    return Decimal(str(value)) if type(value) in (int, float) else _decimal(_payload(value, Decimal))


def _read_moment(kind: type[datetime] | type[time], code: int, value: Any) -> object:
    if type(value) is ExtType and value.code == code:
        return _moment_of(kind, value.data)
    stamp = _payload(value, kind)
    if kind is time:
        return time.fromisoformat(_matched(_TIME_STAMP, stamp)[0])
    return datetime.fromisoformat(_matched(_DATETIME_STAMP, stamp)[0].rjust(24, "0"))


def _read_date(value: object) -> object:
    return date.fromisoformat(_matched(_DATE_STAMP, _payload(value, date))[0].rjust(8, "0"))


def _refuse(value: object, declared: type) -> object:
    raise DecodingError(f"the stored value is a {_name(value)}, not a {declared.__name__}: {value!r:.80}")


def _reader(declared: type, unpack: Decoder, read: Callable[[object], object] | None = None) -> Decoder:
    """The decoder of a type: None, what msgpack reads as the type, then what `read` makes of the rest."""
    read = read or partial(_refuse, declared=declared)

    def decode_value(raw: bytes) -> object:
        try:
            value = unpack(raw)
            return value if type(value) is declared or value is None else read(value)
        except DecodingError:
            raise
        except _UNREADABLE as error:
            raise DecodingError(f"the stored bytes are no {declared.__name__}: {error}") from error

    return decode_value


_DECODERS: Final[dict[type, Decoder]] = {
    int: _reader(int, unpackb, _read_int),
    float: _reader(float, unpackb, _read_float),
    str: _reader(str, unpackb),
    bool: _reader(bool, unpackb),
    bytes: _reader(bytes, unpackb),
    list: _reader(list, _unpack),
    dict: _reader(dict, _unpack),
    set: _reader(set, _unpack, lambda value: set(map(_hashable, _array(_payload(value, set))))),
    tuple: _reader(tuple, _unpack, lambda value: tuple(_array(_payload(value, tuple)))),
    Decimal: _reader(Decimal, unpackb, _read_decimal),
    datetime: _reader(datetime, unpackb, partial(_read_moment, datetime, DATETIME)),
    date: _reader(date, unpackb, _read_date),
    time: _reader(time, unpackb, partial(_read_moment, time, TIME)),
}
