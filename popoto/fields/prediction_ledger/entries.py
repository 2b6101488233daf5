"""The stored map of a prediction, written and read. Values only; nothing here performs I/O."""

from __future__ import annotations

from typing import Any, Final

import msgpack

from popoto.encoding import decoder, encoder

_encode = encoder(dict)
_decode = decoder(dict)
_NAMES: Final = ("predicted", "resolved", "resolution_mode", "prediction_error", "resolved_at", "recorded_at")


def encoded(predicted: dict[Any, Any]) -> bytes:
    """The bytes of a prediction.

    Raises:
        ValueError: when it holds something that cannot be stored.
    """
    return _encode(predicted)


def recorded(predicted: bytes, at: float) -> bytes:
    """The map of a new prediction, its own bytes spliced in as they are."""
    parts = [b"\x86"]
    values = {"resolved": False, "recorded_at": at}
    for name in _NAMES:
        parts.append(msgpack.packb(name))
        parts.append(predicted if name == "predicted" else msgpack.packb(values.get(name)))
    return b"".join(parts)


def read(raw: bytes | None) -> dict[str, Any] | None:
    """A stored map; None where there is none, or what is stored is none."""
    if not raw:
        return None
    try:
        found: Any = _decode(raw)
    except ValueError:
        return None
    if not isinstance(found, dict) or "predicted" not in found:
        return None
    known = {name: found.get(name) for name in _NAMES}
    # 1.x wrote the moment as text.
    known["resolved_at"] = _number(known["resolved_at"])
    known["recorded_at"] = _number(known["recorded_at"])
    known["prediction_error"] = _number(known["prediction_error"])
    known["resolved"] = bool(known["resolved"])
    return known


def predicted_bytes(raw: bytes) -> bytes:
    """The bytes of the prediction inside a stored map."""
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(raw)
    for _ in range(unpacker.read_map_header()):
        name = unpacker.unpack()
        start = unpacker.tell()
        unpacker.skip()
        if name == "predicted":
            return raw[start : unpacker.tell()]
    return b""


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
