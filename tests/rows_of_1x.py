"""Rows of the databases of 1.x: their values told apart by type, and the entries that name them."""

from __future__ import annotations

from typing import Any

import pytest
from data_of_1x import DUMPS, MODELS
from stored import actual_entries, entries, keyspace

from popoto import Model

BOOKS = {b"$Class", b"$Exp", b"$Rcpt"}
EACH = [(dump, model) for dump in DUMPS for model in MODELS[dump]]
SOUND = [(dump, model) for dump, model in EACH if dump != "leftovers"]
on_each = pytest.mark.parametrize(("dump", "model"), EACH, ids=lambda one: getattr(one, "__name__", one))
on_sound = pytest.mark.parametrize(("dump", "model"), SOUND, ids=lambda one: getattr(one, "__name__", one))


def state(row: Model) -> dict[str, str]:
    """A row's values, told apart by their types; of references the keys."""
    fields = row._meta.fields
    return exactly(
        {name: field.compared(row) if field.code == "r" else getattr(row, name) for name, field in fields.items()}
    )


def exactly(values: dict[str, Any]) -> dict[str, str]:
    """The same of values by their names."""
    return {name: repr(tuple(value) if isinstance(value, tuple) else value) for name, value in values.items()}


def held(plain: Any, model: type[Model], pk: str) -> set[tuple[bytes, float | None]]:
    """The index entries that name a row, class set and ledger left out."""
    found = set()
    for key, content in keyspace(plain).items():
        family, _, rest = key.partition(b":")
        if rest.split(b":")[0] == model.__name__.encode() and family.startswith(b"$") and family not in BOOKS:
            found |= {(entry, place) for entry, member, place in actual_entries(key, content) if member == pk.encode()}
    return found


def wanted(plain: Any, model: type[Model], pk: str) -> set[tuple[bytes, float | None]]:
    """The entries that a row should have, spelled as 2.0 does."""
    key = pk.encode()
    named = [one for one in entries(model, key, plain.hgetall(key)) if one[1] == key]
    return {(entry, place) for entry, _, place in named if b"$Class" not in entry}
