"""What is found beside the rows: what relationships refer to, in the same script or before, and what hooks name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Final

from popoto.exceptions import QueryException
from popoto.fields.sources import InSets, Match
from popoto.queries import run
from popoto.queries.plan import plan
from popoto.queries.schema import Schema
from popoto.queries.where import AllOf, AnyOf, Asked, Condition, Not, OneOf, Related, Wanted, Where
from popoto.storage import Layout, effect, layout

# More sets than this in one script would hold the server; the rows are compared after loading then.
MOST_SETS: Final = 1_000


def has_related(where: Where) -> bool:
    """Whether any lookup goes through a relationship."""
    if isinstance(where, Related):
        return True
    if isinstance(where, Not):
        return has_related(where.branch)
    return isinstance(where, (AllOf, AnyOf)) and any(has_related(branch) for branch in where.branches)


def is_open(where: Where) -> bool:
    """Whether anything is left that another query or a field's hook decides."""
    if isinstance(where, Asked) or (isinstance(where, Related) and not where.nested):
        return True
    if isinstance(where, Not):
        return is_open(where.branch)
    return isinstance(where, (AllOf, AnyOf)) and any(is_open(branch) for branch in where.branches)


def beside(schema: Schema, other: Schema, here: Layout) -> bool:
    """Whether one script may read the rows of both models: they share a connection, a namespace and a slot."""
    return schema.connection == other.connection and schema.keyspace(here).prefix == other.keyspace(here).prefix


# -- in the script that finds the rows


def nested(schema: Schema, wanted: Wanted, here: Layout) -> Wanted:
    """The query with those lookups marked that the script can follow and confirm by itself."""
    if not has_related(wanted.where):
        return wanted
    return replace(wanted, where=AllOf(tuple(_nested(schema, branch, here) for branch in wanted.where.branches)))


def _nested(schema: Schema, where: Where, here: Layout) -> Where:
    """A part that every row must satisfy; under OR the script confirms all of it or nothing."""
    if isinstance(where, AllOf):
        return replace(where, branches=tuple(_nested(schema, branch, here) for branch in where.branches))
    if isinstance(where, AnyOf) and has_related(where):
        marked = replace(where, branches=tuple(_nested(schema, branch, here) for branch in where.branches))
        return marked if plan(schema, Wanted(AllOf((marked,)))).exact else where
    if not isinstance(where, Related):
        return where
    other: Schema = where.field.related()._meta
    inner = nested(other, Wanted(where.where), here)
    # Where rows must be loaded to decide, they are found first.
    follows = beside(schema, other, here) and plan(other, inner).exact
    return replace(where, where=inner.where, nested=True) if follows else where


def loadable(schema: Schema, names: Iterable[str], here: Layout) -> tuple[str, ...]:
    """Those relationships whose rows the script can send with each page."""
    models = {name: schema.fields[name].related() for name in names}
    return tuple(name for name, other in models.items() if other is not None and beside(schema, other._meta, here))


# -- level by level


async def resolved(wanted: Wanted) -> Wanted:
    """The query with every other lookup through a relationship turned into one by the related keys, and hooks asked."""
    if not is_open(wanted.where):
        return wanted
    where = await _resolved(wanted.where)
    return replace(wanted, where=where if isinstance(where, AllOf) else AllOf((where,)))


async def _resolved(where: Where) -> Where:
    if isinstance(where, Related):
        return where if where.nested else await _by_keys(where)
    if isinstance(where, Asked):
        return await _by_hook(where)
    if isinstance(where, Not):
        return Not(await _resolved(where.branch))
    if isinstance(where, AllOf | AnyOf):
        return replace(where, branches=tuple([await _resolved(branch) for branch in where.branches]))
    return where


async def _by_keys(where: Related) -> Condition:
    model = where.field.model
    inner = await resolved(Wanted(where=AllOf((where.where,))))
    rows = await run.rows(model._meta, plan(model._meta, inner), model._from_row)
    keys = frozenset(row.pk for row in rows)
    source = InSets(where.field.index, tuple(sorted(keys))) if len(keys) <= MOST_SETS else None
    match = Match(lambda value: value in keys, source, exact=source is not None)
    return Condition(where.field.name, "in", sorted(keys), match)


async def _by_hook(where: Asked) -> Where:
    """The keys that a field's `filter_query` gives; a plain function may ask a client, so it is slow local work."""
    meta, hook = where.model._meta, type(where.field).filter_query
    asked = partial(hook, where.model, where.field.name, **where.keywords)
    found: Any = await asked() if iscoroutinefunction(hook) else await effect(asked)
    if found is None:
        return _left_to_lookups(where)
    # 1.x's geo fields gave distances beside the keys.
    keys = found[0] if isinstance(found, tuple) and found and isinstance(found[0], set) else found
    prefix = meta.keyspace(await layout()).prefix
    texts = (key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else str(key) for key in keys)
    own = frozenset(text.removeprefix(prefix) for text in texts)
    for key in own:
        if not key.startswith(f"{meta.model_name}:"):
            raise QueryException(
                f"{meta.model_name}: {type(where.field).__name__}.filter_query gave {key!r}, which is no key of the "
                "model: let it give a set of keys, as bytes"
            )
    return OneOf(own)


def _left_to_lookups(where: Asked) -> Where:
    """Nothing more, where each keyword is a lookup too, which stands beside the hook."""
    field = where.field
    for name in where.keywords:
        if name.removeprefix(field.name).removeprefix("__") not in field.lookups:
            raise QueryException(
                f"{where.model.__name__}: {type(field).__name__}.filter_query gave None for {name}, no lookup: "
                "let it give a set of keys, as bytes"
            )
    return AllOf()
