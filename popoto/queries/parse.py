"""Keywords become a `Wanted`; a wrong one is refused here, before anything is sent."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from popoto.exceptions import QueryException
from popoto.fields.expressions import Q
from popoto.queries.where import AllOf, AnyOf, Asked, Condition, Not, Related, Wanted, Where

if TYPE_CHECKING:
    from popoto.fields import Field
    from popoto.queries.schema import Schema

RESERVED = ("order_by", "limit", "values")


def parse(
    schema: Schema, keywords: Mapping[str, Any], expressions: Iterable[Any] = (), default_order: str | None = None
) -> Wanted:
    """A query's conditions and keywords, checked.

    Raises:
        QueryException: naming the keyword and the nearest right ones.
    """
    lookups = {name: value for name, value in keywords.items() if name not in RESERVED}
    where = AllOf((*leaves(schema, lookups), *(expression(schema, one) for one in expressions)))
    wanted_values = keywords.get("values")
    order_by = keywords.get("order_by")
    return Wanted(
        where,
        order(schema, order_by if order_by is not None else default_order),
        limit(schema, keywords.get("limit")),
        values(schema, wanted_values) if wanted_values is not None else None,
    )


def leaves(schema: Schema, keywords: Mapping[str, Any]) -> list[Where]:
    """The conditions of some keywords; several of one field may make one, as do those through one relationship."""
    rest = dict(keywords)
    found: list[Where] = []
    for field in schema.gathering:
        if field.searches:
            found += _asked(schema, field, rest)
            continue
        # What is a field's own name is no part of another's.
        mine = {n: v for n, v in rest.items() if n == field.name or n not in schema.fields}
        if not mine:
            continue
        try:
            gathered = field.gathered(mine)
        except ValueError as error:
            raise QueryException(f"{schema.model_name}.{field.name} {error}") from error
        if gathered is not None:
            used, match = gathered
            found.append(Condition(field.name, "near", {name: rest.pop(name) for name in sorted(used)}, match))
    through: dict[str, dict[str, Any]] = {}
    for keyword, operand in rest.items():
        name, inner = _through(schema, keyword)
        if inner:
            through.setdefault(name, {})[inner] = operand
        else:
            found.append(condition(schema, keyword, operand))
    for name, lookups in through.items():
        field = schema.fields[name]
        found.append(Related(field, AllOf(tuple(leaves(field.related()._meta, lookups)))))
    return found


def _through(schema: Schema, keyword: str) -> tuple[str, str]:
    """The relationship that a keyword goes through and the other model's keyword, "" for none: `customer__city`."""
    name, _, rest = keyword.partition("__")
    field = schema.fields.get(name)
    passes = field is not None and rest not in field.lookups and field.related() is not None
    return name, rest if passes else ""


def _asked(schema: Schema, field: Field[Any], rest: dict[str, Any]) -> list[Where]:
    """What a field's own `filter_query` is asked, taken out of the keywords; what is a lookup too, the row decides."""
    mine = sorted(field.get_filter_query_params(field.name) & rest.keys())
    keywords = {name: rest.pop(name) for name in mine}
    known = {f"{field.name}__{name}" if name else field.name for name in field.lookups}
    decided = [condition(schema, name, operand) for name, operand in keywords.items() if name in known]
    return [Asked(field, keywords, schema.model), *decided] if keywords else []


def expression(schema: Schema, one: Any) -> Where:
    """A `Q` as a tree of conditions."""
    if not isinstance(one, Q):
        raise QueryException(f"{schema.model_name}: {one!r} is no condition; write Q(field=value) or field=value")
    if one.kind == "leaf":
        return AllOf(tuple(leaves(schema, one.keywords)))
    branches = tuple(expression(schema, branch) for branch in one.branches)
    if one.kind == "not":
        return Not(branches[0])
    return AllOf(branches) if one.kind == "and" else AnyOf(branches)


def condition(schema: Schema, keyword: str, operand: Any) -> Condition:
    """One keyword of a filter."""
    name, _, lookup = keyword.partition("__") if not keyword.startswith("_") else _hidden(keyword)
    field = schema.fields.get(name)
    if field is None or lookup not in field.lookups:
        raise QueryException(_unknown(schema, keyword, field))
    try:
        match = field.lookups[lookup](field, operand)
    except ValueError as error:
        shown = repr(operand)
        raise QueryException(f"{schema.model_name}: {keyword}={shown[:80]} {error}") from error
    return Condition(name, lookup, operand, match)


def _hidden(keyword: str) -> tuple[str, str, str]:
    name, dunder, lookup = keyword[1:].partition("__")
    return f"_{name}", dunder, lookup


def _unknown(schema: Schema, keyword: str, field: Field[Any] | None) -> str:
    if field is not None:
        known = sorted(field.get_filter_query_params(field.name))
    else:
        known = sorted(name for one in schema.fields.values() for name in one.get_filter_query_params(one.name))
    close = difflib.get_close_matches(keyword, known, 3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
    return f"{schema.model_name} has no lookup {keyword!r}; {hint}"


def order(schema: Schema, order_by: Any) -> tuple[str, bool] | None:
    """`order_by` as a field name and whether the order descends."""
    if order_by is None:
        return None
    name = order_by.removeprefix("-") if isinstance(order_by, str) else order_by
    if not isinstance(order_by, str) or name not in schema.fields:
        raise QueryException(
            f"{schema.model_name}: order_by={order_by!r} names no field; write one of "
            f"{', '.join(sorted(schema.fields))}, with - in front to descend"
        )
    if not schema.fields[name].orderable:
        raise QueryException(f"{schema.model_name}: order_by={order_by!r} names a field whose values have no order")
    return name, order_by.startswith("-")


def limit(schema: Schema, most: Any) -> int | None:
    """`limit` as a number of rows."""
    if most is None:
        return None
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise QueryException(f"{schema.model_name}: limit={most!r} must be an int from 0, or None for all rows")
    return most


def values(schema: Schema, names: Any) -> tuple[str, ...]:
    """`values` as field names."""
    if not isinstance(names, tuple):
        raise QueryException(f"{schema.model_name}: values={names!r} must be a tuple of field names")
    for name in names:
        if name not in schema.fields:
            near = schema.near(str(name))
            raise QueryException(f"{schema.model_name}: values names {name!r}, which is no field{near}")
    return names
