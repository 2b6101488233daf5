"""A query as one plan: parse, plan, fetch, hydrate, finish."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from popoto.exceptions import ModelException
from popoto.queries import fetch
from popoto.queries.fetch import MORE, PAGE_ROWS, TIES, select
from popoto.queries.finish import annotated, attach, decision, ordered
from popoto.queries.plan import Plan
from popoto.queries.schema import Schema
from popoto.queries.where import Wanted, conditions
from popoto.storage import Layout, layout

Hydrate = Callable[[str, Sequence[str], Sequence[bytes | None]], Any]


class Gathering:
    """The rows of a query so far, page by page."""

    def __init__(self, schema: Schema, query: Plan, hydrate: Hydrate, here: Layout, chunk: int = PAGE_ROWS) -> None:
        self.schema = schema
        self.query = query
        self.hydrate = hydrate
        self.here = here
        self.found: dict[str, Any] = {}
        self.related: dict[str, dict[str, Any]] = {name: {} for name in query.prefetch}
        self.cursor = b""
        self.ended = False
        self._decides = decision(schema, query.wanted.where)
        self._seen: set[str] = set()
        self._strip = len(schema.keyspace(here).prefix)
        limit = query.wanted.limit
        # Rows are in order already when the index is walked; else all are needed before the first is known.
        ranked = any(condition.match.rank is not None for condition in conditions(query.wanted.where))
        early = query.walk is not None or (query.wanted.order is None and not ranked)
        self.enough = limit if early else None
        self._chunk = chunk
        self._most = chunk if self.enough is None else min(chunk, self.enough)
        # Where the indexes tell all, no more than the limit is asked for.
        self._limited = self.enough is not None and query.exact and self.enough <= chunk

    async def page(self) -> list[Any]:
        """One more page: the rows of it that satisfy the query."""
        page = await fetch.page(
            select(self.schema, self.query, self.here, most=self._most, limited=self._limited, cursor=self.cursor)
        )
        names, seen, hydrate, decides = self.schema.field_names, self._seen, self.hydrate, self._decides
        keys = [key.decode("utf-8", "surrogateescape")[self._strip :] for key in page.keys]
        rows: Iterable[tuple[str, Any]] = zip(keys, page.found, strict=True)
        if not seen.isdisjoint(keys):
            rows = [row for row in rows if row[0] not in seen]
        fresh = {}
        for key, values in rows:
            row = hydrate(key, names, values)
            if decides(row, values):
                fresh[key] = row
        seen.update(keys)
        self.found |= fresh
        self._attach(fresh.values(), page.related)
        self.cursor = page.cursor
        if page.cursor in (MORE, TIES):
            # Some were leftovers of an index: begin again, this time with cursors that lose nothing.
            self._limited, self.cursor = False, b""
        # Where rows decide, few of the first may satisfy: look at more at a time.
        self._most = min(self._chunk, 4 * self._most)
        enough = self.enough is not None and len(self.found) >= self.enough
        self.ended = not page.cursor or (enough and page.cursor != TIES and (page.cursor == MORE or not self._tied()))
        return list(fresh.values())

    def _attach(self, rows: Collection[Any], related: Sequence[Any]) -> None:
        for name, others in zip(self.query.prefetch, related, strict=True):
            model = self.schema.fields[name].related()
            found = self.related[name]
            for key_bytes, *values in others:
                key = key_bytes.decode("utf-8", "surrogateescape")
                if key not in found and any(value for value in values):
                    found[key] = model._from_row(key, model._meta.field_names, values)
            attach(rows, name, found)

    def _tied(self) -> bool:
        """Whether rows beyond the limit may belong before it: they share a score, and perhaps not their value."""
        if self.query.walk is None or self.query.wanted.order is None or self.enough is None:
            return False
        field = self.schema.fields[self.query.wanted.order[0]]
        found = list(self.found.values())
        try:
            edge, last = (field.score(field.compared(row)) for row in (found[self.enough - 1], found[-1]))
        except ModelException:
            return False
        return edge == last and isinstance(last, float) and abs(last) >= field.tied_from


async def rows(schema: Schema, query: Plan, hydrate: Hydrate) -> list[Any]:
    """The rows of a query, in its order and up to its limit."""
    limit = query.wanted.limit
    if limit == 0:
        return []
    gathering = Gathering(schema, query, hydrate, await layout())
    while not gathering.ended:
        await gathering.page()
    result = _finished(schema, list(gathering.found.values()), query.wanted)
    return result if limit is None else result[:limit]


def _finished(schema: Schema, found: list[Any], wanted: Wanted) -> list[Any]:
    """The rows in order, with what their conditions note on them."""
    result = ordered(schema, found, wanted.order)
    for match in [condition.match for condition in conditions(wanted.where)]:
        if match.rank is not None and wanted.order is None:
            result.sort(key=match.rank)
    annotated(result, wanted)
    return result


async def count(schema: Schema, query: Plan, hydrate: Hydrate) -> int:
    """How many rows a query has; nothing is loaded where the indexes tell."""
    if query.exact and query.source.branches:
        return await fetch.count(schema, query)
    return len(await rows(schema, query, hydrate))
