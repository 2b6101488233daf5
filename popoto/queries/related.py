"""Lookups through a relationship: the related rows are found first, then the rows that refer to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from popoto.fields.sources import InSets, Match
from popoto.queries import run
from popoto.queries.plan import plan
from popoto.queries.where import AllOf, AnyOf, Condition, Not, Related, Wanted, Where

# More sets than this in one script would hold the server; the rows are compared after loading then.
MOST_SETS: Final = 1_000


def has_related(where: Where) -> bool:
    """Whether any lookup goes through a relationship."""
    if isinstance(where, Related):
        return True
    if isinstance(where, Not):
        return has_related(where.branch)
    return isinstance(where, AllOf | AnyOf) and any(has_related(branch) for branch in where.branches)


async def resolved(wanted: Wanted) -> Wanted:
    """The query with every lookup through a relationship turned into one by the related keys."""
    if not has_related(wanted.where):
        return wanted
    where = await _resolved(wanted.where)
    return replace(wanted, where=where if isinstance(where, AllOf) else AllOf((where,)))


async def _resolved(where: Where) -> Where:
    if isinstance(where, Related):
        return await _by_keys(where)
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
