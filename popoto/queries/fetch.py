"""Rows from the store: one call of `select.lua` a page, each page one round trip."""

from __future__ import annotations

import math
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgpack

from popoto.fields.sources import InCircle, Index, InRange, InTexts, Keyed
from popoto.queries.plan import Group, Plan, Referring, Sourced, bound, circle_words, range_words
from popoto.queries.schema import Schema
from popoto.storage import Call, Layout, Script, ask, layout
from popoto.storage.scripts import Pieces

# A page of 1,000 rows of ten fields takes a server about 3 ms; 10,000 members are looked at in about 5 ms.
PAGE_ROWS: Final = 1_000
MOST_MEMBERS: Final = 10_000
_MOST_MEMBERS: Final = b"%d" % MOST_MEMBERS
MORE: Final = b"more"
TIES: Final = b"ties"
WIDE: Final = b"wide"
Key: TypeAlias = bytes | str
Word: TypeAlias = bytes | str | int
Action = Literal["rows", "count"]


class Wide(Exception):
    """A lookup through a relationship is about more rows than one script should find."""


class Page(NamedTuple):
    """One reply of `select.lua`.

    Attributes:
        cursor: where the next page begins; empty at the end, `more` when rows were left out at a limit, `ties` when
            one of those may belong before the last one found.
        found: rows as lists of values, or a count.
        driver: the kind of source that was walked.
        cardinality: how many members it has.
        related: of each relationship that is loaded too, rows of the other model as lists of key and values.
        keys: the rows' keys.
    """

    cursor: bytes
    found: Any
    driver: bytes
    cardinality: int
    related: Any
    keys: Any


def _page(raw: Any) -> Page:
    cursor, found, driver, cardinality, related, keys = raw
    rows = _unpacked(found)
    return Page(cursor, rows, driver, int(cardinality), [_unpacked(others) for others in related], _keys(keys))


async def page(call: Call[Page]) -> Page:
    """Ask for a page.

    Raises:
        Wide: when related rows must be found first, as they are very many.
    """
    found = await ask(call)
    if found.cursor == WIDE:
        raise Wide
    return found


def _keys(packed: Any) -> Any:
    return msgpack.unpackb(packed, raw=True) if isinstance(packed, bytes) else packed


def _unpacked(found: Any) -> Any:
    return msgpack.unpackb(found, raw=True, strict_map_key=False) if isinstance(found, bytes) else found


_JUDGING: Final[Pieces] = {
    "bytes": (("popoto.fields", "values.lua"), ("popoto.fields", "entries.lua"), ("popoto.queries", "texts.lua")),
    "judging": (("popoto.queries", "judging.lua"),),
}
# What stays undefined where no row is judged.
_PLAIN: Final[Pieces] = {
    "bytes": ("local tested, texts, with_texts, value_text, take_schema, entry_keys, read_row, NIL = 0",),
    "judging": ("local index_sources, confirmed, row_under",),
}


def _select(*, judges: bool, packs: bool) -> Script[Page]:
    return Script(
        "popoto.select",
        "popoto.queries",
        "select.lua",
        shape=_page,
        writes=False,
        needs="cmsgpack" if packs else "lua",
        pieces=_JUDGING if judges else _PLAIN,
    )


SELECT: Final = {
    (judges, packs): _select(judges=judges, packs=packs) for judges in (False, True) for packs in (False, True)
}


def select(
    schema: Schema,
    query: Plan,
    here: Layout,
    *,
    action: Action = "rows",
    most: int = PAGE_ROWS,
    limited: bool = False,
    cursor: bytes = b"",
) -> Call[Page]:
    """One page of a query's candidates."""
    keyspace = schema.keyspace(here)
    prefix = keyspace.prefix
    keys: list[Key] = [keyspace.class_set]
    packed = here.packs and action == "rows"
    words: list[Word] = [action, "1" if packed else "0", str(most), "1" if limited else "0", _MOST_MEMBERS, cursor]
    judges = action == "count" or bool(query.prefetch)
    if query.walk is None or query.wanted.order is None:
        words.append("none")
    else:
        keys.append(prefix + query.walk[0])
        field = schema.fields[query.wanted.order[0]]
        words += ("down" if query.walk[1] else "up", field.name, field.code, bound(field.tied_from))
        judges = judges or field.tied_from < math.inf
    words += schema.read_words
    words.append(str(len(query.prefetch)))
    for name in query.prefetch:
        other = schema.fields[name].related()._meta
        words += (schema.places[name] + 1, other.keyspace(here).prefix, *other.read_words)
    indexes: list[Index] = []
    if _describe(schema, query.source, here, keys, words, indexes) or judges:
        words += schema.schema_words(prefix, indexes)
        judges = True
    return Call(SELECT[judges, packed], keys, words)


def describe_tree(schema: Schema, source: Group, here: Layout, keys: list[Key], words: list[Word]) -> None:
    """Append a tree of sources as `sources.lua` reads it, with the indexes whose entries confirm it."""
    indexes: list[Index] = []
    _describe(schema, source, here, keys, words, indexes)
    words += schema.schema_words(schema.keyspace(here).prefix, indexes)


def _describe(
    schema: Schema, one: Sourced | Group, here: Layout, keys: list[Key], words: list[Word], indexes: list[Index]
) -> bool:
    """Append a tree of sources; whether rows' bytes must be judged to find what is in it."""
    if isinstance(one, Group):
        words += (one.kind, str(len(one.branches)))
        judged = [_describe(schema, branch, here, keys, words, indexes) for branch in one.branches]
        return any(judged)
    source, prefix = one.source, schema.keyspace(here).prefix
    names = [prefix + key for key in one.keys]
    if isinstance(source, Keyed):
        words += ("K", str(len(names)), *names)
        return False
    keys += names
    indexes.append(source.index)
    if isinstance(source, Referring):
        other = source.other.keyspace(here)
        words += ("R", len(other.prefix.encode()))
        keys.append(other.class_set)
        describe_tree(source.other, source.plan.source, here, keys, words)
        return True
    kind = "T" if isinstance(source, InTexts) else "S" if source.index.kind == "U" else source.index.kind
    words += (kind, str(len(names)))
    if isinstance(source, InRange):
        words += range_words(source)
    elif isinstance(source, InCircle):
        words += circle_words(source)
    elif isinstance(source, InTexts):
        named = schema.key_order == (source.index.field,) and source.index.code == "s"
        words += (source.mode, source.text, ",".join(schema.listed), int(named))
    return kind == "T"


async def count(schema: Schema, query: Plan) -> int:
    """How many rows are members of every source, as their stored bytes confirm."""
    here = await layout()
    total, cursor = 0, b""
    while True:
        counted = await page(select(schema, query, here, action="count", cursor=cursor))
        total += int(counted.found)
        cursor = counted.cursor
        if not cursor:
            return total
