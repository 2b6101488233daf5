"""Cues: what an agent has in mind when it asks its memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from popoto.exceptions import QueryException
from popoto.models import Model
from popoto.recipes.context_assembler import signals


def texts(cues: Mapping[str, Any] | None) -> list[str]:
    """The texts of cues, each once, in their order; a list's items are cues of their own, None is none.

    Raises:
        QueryException: when the cues are no mapping.
    """
    if cues is None:
        return []
    if not isinstance(cues, Mapping):
        raise QueryException(f"query_cues={cues!r:.60} must map names to values, as {{'topic': 'coffee'}}")
    found = [text for value in cues.values() for text in _texts(value)]
    return list(dict.fromkeys(found))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _texts(one)
    elif value is not None and str(value).strip():
        yield str(value)


async def familiarity(model: type[Model], asked: list[str]) -> dict[str, bool | None]:
    """Whether each text may be known to the model's ExistenceFilter; None for all where it has none."""
    name = signals.offering(model, "existence")
    if name is None or not asked:
        return dict.fromkeys(asked)
    field: Any = model._meta.fields[name]
    known: Mapping[str, bool] = await field._asking(model, asked)
    return dict(known)
