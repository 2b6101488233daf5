"""Data frames as bytes: 1.x's tagged map around the JSON text of the columns, and beside it their types.

The JSON text is read here, by the standard library, and is never anything but the cells of a frame: no path, no URL.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import msgpack

from popoto.encoding import DecodingError, EncodingError

TAG: Final = "__dataframe__"
PAYLOAD: Final = "as_encodable"
DTYPES: Final = "dtypes"
# The types of which every value has a JSON form that it can be made of again.
_DTYPE: Final = re.compile(
    r"u?int(8|16|32|64)|float(32|64)|bool|object|str|string|datetime64\[(s|ms|us|ns)\]|U?Int(8|16|32|64)|Float(32|64)|boolean"
)
_LOST: Final = (
    "this frame would not come back as it is: give it unique labels, all texts or all whole numbers, without names "
    "(reset_index() does), and cells that are numbers, texts, truth values or None"
)
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]*")
_UNREADABLE: Final = (ValueError, TypeError, OverflowError, RecursionError, KeyError, msgpack.UnpackException)


def encoded(pandas: Any, frame: Any) -> bytes:
    """The bytes of a frame, or of None.

    Raises:
        EncodingError: when it would not come back just as it is.
    """
    if frame is None:
        return b"\xc0"
    dtypes = [str(dtype) for dtype in frame.dtypes]
    for label, dtype in zip(frame.columns, dtypes, strict=True):
        if not _DTYPE.fullmatch(dtype):
            raise EncodingError(
                f"column {label!r} has the type {dtype}: turn it into numbers, texts or plain datetimes"
            )
    labels, index = [_label(label) for label in frame.columns], [_label(label) for label in frame.index]
    if len(set(labels)) < len(labels):
        raise EncodingError(_LOST)
    try:
        columns = {
            label: dict(zip(index, (_cell(pandas, value) for value in frame.iloc[:, place].tolist()), strict=True))
            for place, label in enumerate(labels)
        }
        text = json.dumps(columns, separators=(",", ":"), allow_nan=False)
        again = _frame(pandas, json.loads(text), dtypes)
    except _UNREADABLE as error:
        raise EncodingError(f"this frame can't be stored: {error}") from error
    if not _same(frame, again):
        raise EncodingError(_LOST)
    raw: bytes = msgpack.packb({TAG: True, PAYLOAD: text, DTYPES: dtypes})
    return raw


def decoded(pandas: Any, raw: bytes) -> Any:
    """The frame that bytes hold, or None.

    Raises:
        DecodingError: when they hold none.
    """
    try:
        value = msgpack.unpackb(raw, strict_map_key=False)
        if value is None:
            return None
        if not isinstance(value, dict) or value.get(TAG) is not True or not isinstance(value.get(PAYLOAD), str):
            raise DecodingError(f"the stored value is no data frame: {value!r:.80}")
        return _frame(pandas, json.loads(value[PAYLOAD]), value.get(DTYPES))
    except DecodingError:
        raise
    except _UNREADABLE as error:
        raise DecodingError(f"the stored bytes are no data frame: {error}") from error


def _label(label: Any) -> str:
    if isinstance(label, str):
        return label
    try:
        return str(label.__index__())
    except AttributeError:
        raise EncodingError(
            f"the label {label!r} is neither a text nor a whole number: rename it, or reset_index()"
        ) from None


def _cell(pandas: Any, value: Any) -> Any:
    if value is None or value is pandas.NA or value is pandas.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.isoformat() if isinstance(value, pandas.Timestamp) else value


def _frame(pandas: Any, columns: Any, dtypes: Any) -> Any:
    """The frame of parsed JSON; without types, as 1.x wrote it, of what JSON tells of them."""
    if not isinstance(columns, dict) or not all(isinstance(column, dict) for column in columns.values()):
        raise DecodingError("the stored frame is not made of columns")
    rows = list(dict.fromkeys(name for column in columns.values() for name in column))
    cells = {place: [column.get(row) for row in rows] for place, column in enumerate(columns.values())}
    frame = pandas.DataFrame(cells, index=_labels(rows))
    frame.columns = _labels(list(columns))
    if dtypes is None:
        return frame
    if not isinstance(dtypes, list) or len(dtypes) != len(columns) or not all(map(_is_dtype, dtypes)):
        raise DecodingError(f"the stored frame has the types {dtypes!r:.80}")
    for place, dtype in enumerate(dtypes):
        frame.isetitem(place, pandas.Series(cells[place], index=frame.index, dtype=dtype))
    return frame


def _is_dtype(name: Any) -> bool:
    return isinstance(name, str) and _DTYPE.fullmatch(name) is not None


def _labels(names: list[str]) -> list[Any]:
    """Labels as JSON has them, whole numbers where all are."""
    return [int(name) for name in names] if names and all(map(_INTEGER.fullmatch, names)) else names


def _same(frame: Any, again: Any) -> bool:
    """Equal in labels, types and cells; an empty axis has no labels to compare."""
    axes = all(
        list(one) == list(other) and one.names == [None] for one, other in zip(frame.axes, again.axes, strict=True)
    )
    if not axes or [str(dtype) for dtype in frame.dtypes] != [str(dtype) for dtype in again.dtypes]:
        return False
    cells = zip(_cells(frame), _cells(again), strict=True)
    return all(type(one) is type(other) and (one is other or one == other or one != one) for one, other in cells)


def _cells(frame: Any) -> list[Any]:
    return [value for place in range(len(frame.columns)) for value in frame.iloc[:, place].tolist()]
