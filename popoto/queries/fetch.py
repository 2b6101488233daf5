"""Rows from the store: one call of `select.lua` a page, each page one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import msgpack

from popoto.fields.sources import InCircle, Index, InRange
from popoto.queries.plan import Group, Plan, Sourced, circle_words, range_words
from popoto.queries.schema import Schema
from popoto.storage import Call, Layout, Script, ask, layout

# A page of 1,000 rows of ten fields takes a server about 3 ms; 10,000 members are looked at in about 5 ms.
PAGE_ROWS: Final = 1_000
MOST_MEMBERS: Final = 10_000
MORE: Final = b"more"
Action = Literal["rows", "count", "keys"]


class Page(NamedTuple):
    """One reply of `select.lua`.

    Attributes:
        cursor: where the next page begins; empty at the end, `more` when rows were left out at a limit.
        found: rows as lists of key and values, or keys, or a count.
        driver: the kind of source that was walked.
        cardinality: how many members it has.
    """

    cursor: bytes
    found: Any
    driver: bytes
    cardinality: int


def _page(raw: Any) -> Page:
    cursor, found, driver, cardinality = raw
    if isinstance(found, bytes):
        found = msgpack.unpackb(found, raw=True, strict_map_key=False)
    return Page(cursor, found, driver, int(cardinality))


SELECT: Final = Script("popoto.select", "popoto.queries", "select.lua", shape=_page, writes=False)
SELECT_PACKED: Final = Script(
    "popoto.select", "popoto.queries", "select.lua", shape=_page, writes=False, needs="cmsgpack"
)


def select(
    schema: Schema,
    query: Plan,
    here: Layout,
    *,
    action: Action = "rows",
    most: int = PAGE_ROWS,
    limited: bool = False,
    cursor: bytes = b"",
    names: Sequence[str] | None = None,
) -> Call[Page]:
    """One page of a query's candidates."""
    keyspace = schema.keyspace(here)
    prefix = keyspace.prefix
    keys: list[bytes | str] = [keyspace.class_set]
    packed = here.packs and action == "rows"
    words: list[bytes | str | int] = [action, int(packed), most, int(limited), MOST_MEMBERS, cursor]
    if query.walk is None:
        words.append("none")
    else:
        keys.append(prefix + query.walk[0])
        words.append("down" if query.walk[1] else "up")
    names = schema.read_names if names is None else names
    words += (len(names), *names)
    describe(schema, query.source, prefix, keys, words)
    return Call(SELECT_PACKED if packed else SELECT, keys, words)


def describe(
    schema: Schema, source: Group, prefix: str, keys: list[bytes | str], words: list[bytes | str | int]
) -> None:
    """Append the tree of sources and its schema, as `sources.lua` reads them."""
    indexes: list[Index] = []
    _describe(source, prefix, keys, words, indexes)
    words += schema.schema_words(prefix, indexes)


def _describe(
    source: Sourced | Group, prefix: str, keys: list[bytes | str], words: list[bytes | str | int], indexes: list[Index]
) -> None:
    """Append a source as `select.lua` reads it, and the indexes whose entries confirm it."""
    if isinstance(source, Group):
        words += (source.kind, len(source.branches))
        for branch in source.branches:
            _describe(branch, prefix, keys, words, indexes)
        return
    names = [prefix + key for key in source.keys]
    index = source.index
    words += ("K" if index is None else "S" if index.kind == "U" else index.kind, len(names))
    if index is None:
        words += names
        return
    keys += names
    indexes.append(index)
    if isinstance(source.source, InRange):
        words += range_words(source.source)
    elif isinstance(source.source, InCircle):
        words += circle_words(source.source)


async def count(schema: Schema, query: Plan) -> int:
    """How many rows are members of every source, as their stored bytes confirm."""
    here = await layout()
    total, cursor = 0, b""
    while True:
        page = await ask(select(schema, query, here, action="count", cursor=cursor))
        total += int(page.found)
        cursor = page.cursor
        if not cursor:
            return total
