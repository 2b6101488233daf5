"""A query as one plan: parse, plan, fetch, hydrate, finish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from popoto.queries import fetch
from popoto.queries.fetch import MORE, PAGE_ROWS, select
from popoto.queries.finish import ordered, satisfies
from popoto.queries.plan import Plan
from popoto.queries.schema import Schema
from popoto.queries.where import Wanted, conditions
from popoto.storage import ask, layout

Hydrate = Callable[[str, Sequence[str], Sequence[bytes | None]], Any]


async def rows(schema: Schema, query: Plan, hydrate: Hydrate) -> list[Any]:
    """The rows of a query, in its order and up to its limit."""
    limit = query.wanted.limit
    if limit == 0:
        return []
    here = await layout()
    strip = len(schema.keyspace(here).prefix)
    # Rows are in order already when the index is walked; else all are needed before the first is known.
    ranked = any(condition.match.rank is not None for condition in conditions(query.wanted.where))
    early = limit is not None and (query.walk is not None or (query.wanted.order is None and not ranked))
    most = min(limit, PAGE_ROWS) if early and limit is not None else PAGE_ROWS
    found: dict[str, Any] = {}
    seen: set[bytes] = set()
    cursor = b""
    while True:
        page = await ask(select(schema, query, here, most=most, limited=early, cursor=cursor))
        for key, *values in page.found:
            if key not in seen:
                seen.add(key)
                row = hydrate(key.decode("utf-8", "surrogateescape")[strip:], schema.field_names, values)
                if satisfies(row, query.wanted.where):
                    found[row.pk] = row
        if early and limit is not None and len(found) >= limit:
            break
        cursor = page.cursor
        if cursor == MORE:
            # Some candidates were leftovers of the index: look again, further.
            most, cursor = most * 2 + limit_of(limit), b""
        if not cursor and page.cursor != MORE:
            break
    result = _finished(list(found.values()), query.wanted)
    return result if limit is None else result[:limit]


def _finished(found: list[Any], wanted: Wanted) -> list[Any]:
    """The rows in order, with what their conditions note on them."""
    result = ordered(found, wanted.order)
    for match in [condition.match for condition in conditions(wanted.where)]:
        if match.rank is not None and wanted.order is None:
            result.sort(key=match.rank)
        annotate = match.annotate
        if annotate is not None:
            for row in result:
                annotate(row)
    return result


def limit_of(limit: int | None) -> int:
    """The limit as a number to grow by."""
    return limit or PAGE_ROWS


async def count(schema: Schema, query: Plan, hydrate: Hydrate) -> int:
    """How many rows a query has; nothing is loaded where the indexes tell."""
    if query.exact and query.source.branches:
        return await fetch.count(schema, query)
    return len(await rows(schema, query, hydrate))
