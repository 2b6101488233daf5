"""The items of a capped list: each one msgpack value of its own, tagged by its own type as in 1.x."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final, cast

from popoto.encoding import DecodingError, decode, encode

# Ordered: a bool is an int and a datetime is a date.
_TYPES: Final = (bool, int, float, str, bytes, list, dict, set, tuple, Decimal, datetime, date, time)
_TAGGED: Final = {f"__{kind.__name__}__": kind for kind in (Decimal, datetime, date, time, set, tuple)}
_PAYLOAD: Final = "as_encodable"


def item_bytes(value: Any) -> bytes:
    """The bytes of one item.

    Raises:
        EncodingError: when it cannot be stored.
    """
    # A dictionary of the user's that looks like a tagged map of 1.x is told from one by the order of its keys.
    if isinstance(value, dict) and len(value) == 2 and _PAYLOAD in value and not _TAGGED.keys().isdisjoint(value):
        value = {_PAYLOAD: value[_PAYLOAD], **value}
    declared: type = next((kind for kind in _TYPES if isinstance(value, kind)), list)
    return encode(value, declared)


def item(raw: bytes) -> Any:
    """The item that bytes hold.

    Raises:
        DecodingError: when they hold none.
    """
    (value,) = cast("list[Any]", decode(b"\x91" + raw, list))
    if type(value) is dict and len(value) == 2:
        tag = next(iter(value))
        if tag in _TAGGED and value[tag] is True and _PAYLOAD in value:
            try:
                return decode(raw, _TAGGED[tag])
            except DecodingError:
                return value
    return value
