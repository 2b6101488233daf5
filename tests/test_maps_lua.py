"""maps.lua takes msgpack maps apart and puts them together as Python's msgpack does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakeredis
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

PRELUDE = Path(__file__).parent.parent.joinpath("popoto", "fields", "maps.lua").read_text()
# Of each argument: its keys and values, one after the other, then the map put together again; or nothing.
PARTS = (
    PRELUDE
    + """
    local out = {}
    for place, raw in ipairs(ARGV) do
      local items, keys = map_items(raw)
      local found = {}
      for number, key in ipairs(items and keys or {}) do
        found[2 * number - 1], found[2 * number] = key, items[key]
      end
      found[#found + 1] = items and map_bytes(items, keys) or false
      out[place] = found
    end
    return out"""
)
Evaluate = Callable[[list[bytes]], list[list[bytes | None]]]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.floats(width=32).map(lambda number: ("single", number))
    | st.sampled_from([0, 31, 32, 255, 256, 70_000]).map(lambda length: "x" * length)
    | st.sampled_from([0, 255, 256, 70_000]).map(bytes)
    | st.sampled_from([1, 2, 4, 8, 16, 3, 300, 70_000]).map(lambda length: msgpack.ExtType(5, bytes(length))),
    lambda inner: st.lists(inner, max_size=18) | st.dictionaries(st.text(max_size=3), inner, max_size=18),
    max_leaves=8,
)
maps = st.dictionaries(st.text(max_size=3) | st.just("k" * 40), values, max_size=18)


@pytest.fixture(scope="module")
def evaluate() -> Evaluate:
    server = fakeredis.FakeRedis()
    return lambda raws: server.eval(PARTS, 0, *raws)  # type: ignore[no-any-return]


def packed(value: Any) -> bytes:
    """The bytes of a value; a marked one as a single float."""
    if isinstance(value, tuple):
        return msgpack.packb(value[1], use_single_float=True)  # type: ignore[no-any-return]
    if isinstance(value, list):
        return msgpack.Packer().pack_array_header(len(value)) + b"".join(map(packed, value))
    if isinstance(value, dict):
        items = [msgpack.packb(key) + packed(one) for key, one in value.items()]
        return msgpack.Packer().pack_map_header(len(value)) + b"".join(items)
    return msgpack.packb(value)  # type: ignore[no-any-return]


@settings(max_examples=40, deadline=None)
@given(st.lists(maps, min_size=1, max_size=4))
def test_a_map_comes_apart_into_the_bytes_of_its_values(evaluate: Evaluate, some: list[dict[str, Any]]) -> None:
    expected = [
        [part for key, one in found.items() for part in (key.encode(), packed(one))] + [own(found)] for found in some
    ]
    assert evaluate([packed(found) for found in some]) == expected


def own(found: dict[str, Any]) -> bytes:
    """The map as maps.lua writes it: texts of 32 and more bytes with a length of two."""
    parts = []
    for key, one in found.items():
        raw = key.encode()
        head = bytes([0xA0 + len(raw)]) if len(raw) < 32 else b"\xda" + len(raw).to_bytes(2)
        parts.append(head + raw + packed(one))
    return msgpack.Packer().pack_map_header(len(found)) + b"".join(parts)


@settings(max_examples=40, deadline=None)
@given(maps, st.data())
def test_a_map_that_ends_early_or_is_none_comes_to_nothing(
    evaluate: Evaluate, found: dict[str, Any], data: st.DataObject
) -> None:
    raw = packed(found)
    short = raw[: data.draw(st.integers(0, len(raw) - 1))]
    others = [packed(one) for one in (1, None, "x", [1], b"x", {1: 2}, {b"k": 2})]
    assert evaluate([short, *others]) == [[None]] * (1 + len(others))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=20))
def test_junk_never_breaks_it(evaluate: Evaluate, junk: list[bytes]) -> None:
    assert len(evaluate([b"\x8f" + one for one in junk] + [b"\xdf\xff\xff\xff\xff" + one for one in junk])) == 2 * len(
        junk
    )


def test_a_map_within_maps_without_end_takes_no_stack(evaluate: Evaluate) -> None:
    raw = packed({"deep": None})[:-1] + b"\x91" * 100_000 + b"\xc0"
    assert evaluate([raw])[0][1] == raw[6:]
