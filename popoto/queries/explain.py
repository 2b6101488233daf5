"""What a query does, in words: its sources, its driver, its commands and its round trips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from popoto.fields.sources import InCircle, InRange, InTexts
from popoto.queries.fetch import PAGE_ROWS, page, select
from popoto.queries.plan import Group, Plan, Referring, Sourced, range_words
from popoto.queries.schema import Schema
from popoto.queries.where import AllOf, AnyOf, Asked, Condition, Not, OneOf, Related, Where
from popoto.storage import layout

_DRIVERS = {
    b"S": "a set",
    b"Z": "a sorted set",
    b"K": "rows named by their keys",
    b"T": "a list of values",
    b"": "nothing",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A query's plan as lines of text; print it.

    Attributes:
        lines: the plan, one thought a line.
        driver: what the server walks, and how many members that has; "" before it was asked.
        rows: how many rows the first page has; None before it was run.
    """

    lines: tuple[str, ...]
    driver: str = ""
    rows: int | None = None

    def __str__(self) -> str:
        return "\n".join(self.lines)


def explained(schema: Schema, query: Plan) -> Explanation:
    """The plan, without asking the store."""
    return Explanation(tuple(_lines(schema, query)))


async def analyzed(schema: Schema, query: Plan) -> Explanation:
    """The plan, and what its first page shows: the driver that the server chose, and how many rows there were."""
    first = await page(select(schema, query, await layout()))
    driver = f"{_DRIVERS[first.driver]} of {first.cardinality}"
    more = ", and there are more pages" if first.cursor else ""
    lines = (*_lines(schema, query), f"driver: {driver}", f"first page: {len(first.found)} candidates{more}")
    return Explanation(lines, driver, len(first.found))


def _lines(schema: Schema, query: Plan) -> Iterator[str]:
    wanted = query.wanted
    yield f"{schema.model_name} where {_words(wanted.where)}"
    yield "sources:" if query.source.branches else f"sources: every row of $Class:{schema.model_name}"
    yield from _tree(schema, query.source, 1)
    if query.walk is not None:
        yield f"order: walks {query.walk[0]} {'downward' if query.walk[1] else 'upward'} up to the limit"
    elif wanted.order is not None:
        yield f"order: by {wanted.order[0]}{' descending' if wanted.order[1] else ''}, after loading"
    if wanted.computed is not None:
        yield "order: by a function of each row, after loading all of them; then the limit"
    if wanted.limit is not None:
        yield f"limit: {wanted.limit}"
    yield f"rows decide: {'no, the indexes tell all' if query.exact else 'yes, each is compared after loading'}"
    yield f"commands: one EVALSHA of select.lua a page of about {PAGE_ROWS} rows, each one round trip"
    counts = query.exact and bool(query.source.branches)
    yield f"count(): {'the script counts, no row is sent' if counts else 'loads the rows, unless nothing is filtered'}"


_MODES = {"startswith": "start with", "endswith": "end with", "contains": "contain"}


def _tree(schema: Schema, source: Group | Sourced, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(source, Sourced) and isinstance(source.source, Referring):
        other = source.source.other
        yield f"{indent}{source.source.index.base(schema.model_name)} of each {other.model_name} in"
        yield from _tree(other, source.source.plan.source, depth + 1)
        return
    if isinstance(source, Sourced) and isinstance(source.source, InTexts):
        place = f"values in {source.keys[0]}" if source.keys else f"keys in $Class:{schema.model_name}"
        yield f"{indent}{place} that {_MODES[source.source.mode]} {source.source.text!r:.60}"
        return
    if isinstance(source, Sourced):
        detail = ""
        if isinstance(source.source, InRange):
            low, high, *_ = range_words(source.source)
            detail = f" from {low} to {high}"
        elif isinstance(source.source, InCircle):
            detail = f" within {source.source.metres:.0f} m of {source.source.centre}"
        yield f"{indent}{' or '.join(source.keys) or 'nothing'}{detail}"
        return
    if depth > 1 or source.kind == "O":
        yield f"{indent}{'all of' if source.kind == 'A' else 'any of'}"
        depth += 1
    for branch in source.branches:
        yield from _tree(schema, branch, depth)


def _words(where: Where) -> str:
    if isinstance(where, Condition):
        name = f"{where.field}__{where.lookup}" if where.lookup else where.field
        return f"{name}={where.operand!r:.60}"
    if isinstance(where, Not):
        return f"not ({_words(where.branch)})"
    if isinstance(where, Related):
        when = "in the same script" if where.nested else "first"
        return f"{where.field.name} refers to a {where.field.model.__name__} where {_words(where.where)}, found {when}"
    if isinstance(where, Asked):
        return f"{type(where.field).__name__}.filter_query gives it for {where.keywords!r:.60}, asked first"
    if isinstance(where, OneOf):
        return f"the key is one of {len(where.keys)}"
    joint = " and " if isinstance(where, AllOf) else " or "
    inner = joint.join(_words(branch) for branch in where.branches)
    return f"({inner})" if isinstance(where, AnyOf) else inner or "anything"
