"""What a model offers to a memory, and the numbers that its rows have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from popoto.exceptions import QueryException
from popoto.keys import part
from popoto.models import Model, Query
from popoto.queries.hits import Hit
from popoto.storage import together

# Rows that are wanted in any case are given a score that no signal reaches, and what has less is not looked at.
WANTED: Final = 1e300
# What ranks a question's words has no number for a row by itself.
ASKED: Final = ("words", "meaning", "associations")


def offering(model: type[Model], what: str) -> str | None:
    """The name of the model's first field that offers something (see `Field.offers`), None where there is none."""
    return next((name for name, field in model._meta.fields.items() if field.offers == what), None)


def resonating(model: type[Model]) -> str | None:
    """The name of the model's first field with cycles, None where there is none."""
    return next((name for name, field in model._meta.fields.items() if field.resonates), None)


def weighed(model: type[Model], weights: Mapping[str, Any]) -> dict[str, float]:
    """Weights of the signals alone, without those of fields that rank by a question.

    Raises:
        QueryException: for a name that the model cannot rank by, or a weight that is no number from 0.
    """
    meta = model._meta
    if not isinstance(weights, Mapping):
        raise QueryException(f"{meta.model_name}: score_weights={weights!r:.60} must map signals to weights")
    known = [*meta.signals, *(name for name, field in meta.fields.items() if field.offers in ASKED)]
    for name, weight in weights.items():
        if name not in known:
            raise QueryException(f"{meta.model_name} has no signal {name!r} to rank by{meta.near(name, known)}")
        number = isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight)
        if not number or weight < 0:
            raise QueryException(f"{meta.model_name}: the weight of {name} is {weight!r}: give a number from 0")
    return {name: float(weight) for name, weight in weights.items() if name in meta.signals}


def judging(model: type[Model], weights: Iterable[str]) -> list[str]:
    """The signals that quality is computed from: those of the weights, and the confidence."""
    sure = offering(model, "confidence")
    return list(dict.fromkeys([*weights, *([sure] if sure else [])]))


def raws(hit: Hit) -> dict[str, float]:
    """The numbers of a hit by signal."""
    return {one.signal: one.raw for one in hit.parts}


async def hits(query: Query[Any], keys: Sequence[str], names: Sequence[str]) -> list[Hit]:
    """Those of some rows that the query's conditions allow, with all their numbers. One round trip for 1,000."""
    if not keys or not names:
        return []
    wanted = {"wanted": dict.fromkeys(keys, WANTED)}
    weights = dict.fromkeys(names, 1.0)
    found: list[Hit] = await query._composing(weights, len(keys), "SUM", WANTED / 2, None, 1.0, None, True, wanted)
    return found


async def of_records(records: Sequence[Model], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """The numbers of rows of one model, by key; each is looked for in the row's own partitions. One round trip."""
    if not records or not names:
        return {}
    model = type(records[0])
    chosen = list(dict.fromkeys(one for name in names for one in model._meta.signals[name].partitions))
    groups: dict[tuple[str, ...], list[Model]] = {}
    for record in records:
        groups.setdefault(tuple(part(getattr(record, name)) for name in chosen), []).append(record)
    plans = []
    for group in groups.values():
        conditions = {name: getattr(group[0], name) for name in chosen}
        query = model.query.filter(**conditions).no_track()
        plans.append(hits(query, [str(record.pk) for record in group], names))
    return {hit.key: raws(hit) for found in await together(plans) for hit in found}
