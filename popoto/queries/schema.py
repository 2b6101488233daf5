"""What queries need to know of a model; its `_meta` is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from popoto.fields import Field
from popoto.fields.sources import Index
from popoto.storage import Layout


class Keys(Protocol):
    """A model's keys on one store."""

    @property
    def prefix(self) -> str:
        """What stands in front of every key."""

    @property
    def class_set(self) -> bytes:
        """The set of all rows' keys."""


class Schema(Protocol):
    """A model as queries see it."""

    model_name: str
    fields: dict[str, Field[Any]]
    field_names: list[str]
    places: dict[str, int]
    key_order: tuple[str, ...]
    listed: tuple[str, ...]
    connection: str | None
    gathering: tuple[Field[Any], ...]
    model: Any

    @property
    def read_words(self) -> tuple[bytes, ...]:
        """What a row is read by, as `rows.lua` reads it."""

    def near(self, name: str, among: Iterable[str] | None = None) -> str:
        """A hint at the names nearest to a wrong one."""

    def keyspace(self, layout: Layout) -> Keys:
        """The model's keys on a store with this layout."""

    def schema_words(self, prefix: str, indexes: Iterable[Index]) -> tuple[bytes, ...]:
        """Indexes as `entries.lua` reads them."""

    def row_keys(self, values: Mapping[str, Any]) -> list[str]:
        """The keys that a row with these key values may have."""
