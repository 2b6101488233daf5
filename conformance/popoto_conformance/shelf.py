"""A model of the suite's own, under a name that no other run has, driven by either driver and cleaned up after."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from popoto import (
    Connection,
    IndexedField,
    IntField,
    KeyField,
    Model,
    Relationship,
    SortedField,
    UniqueField,
    connection,
    using,
)
from popoto.storage import ask
from popoto.storage.commands.keys import delete
from popoto_conformance.cases import Driver, awaited


class Shelf:
    """A model, and its verbs run by one driver.

    Attributes:
        model: the class; its name is random, so that the store need not be empty.
        name: that name.
    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.name = f"Conformance{secrets.token_hex(6)}"
        body = {
            "name": KeyField(),
            "kind": IndexedField(),
            "code": UniqueField(),
            "rank": SortedField(default=0.0, partition_by="kind"),
            "price": SortedField(type=Decimal, default=Decimal(0)),
            "number": IntField(),
            "items": IndexedField(type=list),
            "parent": Relationship(model="self"),
        }
        self.model: Any = type(self.name, (Model,), body)

    def run(self, owner: Any, verb: str, *words: Any, **named: Any) -> Any:
        """Call a verb, or its asyncio twin, and give its result."""
        if self.driver.name == "sync":
            return getattr(owner, verb)(*words, **named)
        return awaited(self.driver.runner, getattr(owner, f"async_{verb}")(*words, **named))

    def rows(self, **keywords: Any) -> list[Any]:
        """The rows of a filter."""
        if self.driver.name == "sync":
            return list(self.model.query.filter(**keywords))
        return list(awaited(self.driver.runner, self.model.query.async_filter(**keywords)))

    def key(self, logical: str) -> str:
        """A key as the store has it, with its namespace and hash tag."""
        return f"{connection().layout.prefix(self.name)}{logical}"

    def index(self, pattern: str) -> str:
        """The key of an index, of its pattern with the class name left out: `$IndexF::kind:x`."""
        tag, _, rest = pattern.partition("::")
        return self.key(f"{tag}:{self.name}:{rest}" if rest else f"{tag}:{self.name}")

    def forget(self, key: str) -> None:
        """Remove a row behind the model's back, as an expiry does."""
        connection().run(ask(delete(key)))


@contextmanager
def shelved(driver: Driver, connection: Connection) -> Iterator[Shelf]:
    """A shelf on a connection, which is every model's for the while; what is on it is deleted in the end."""
    with using(connection):
        made = Shelf(driver)
        yield made
        made.model.delete_all()
