"""A model of the suite's own, under a name that no other run has, driven by either driver and cleaned up after."""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

from popoto import IndexedField, IntField, KeyField, Model, RoundTrips, SortedField, UniqueField, connection
from popoto.storage import ask
from popoto.storage.commands.keys import delete
from popoto_conformance.cases import Driver


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
        }
        self.model: Any = type(self.name, (Model,), body)

    def run(self, owner: Any, verb: str, *words: Any, **named: Any) -> Any:
        """Call a verb, or its asyncio twin, and give its result."""
        if self.driver.name == "sync":
            return getattr(owner, verb)(*words, **named)
        return self._finished(getattr(owner, f"async_{verb}")(*words, **named))

    def rows(self, **keywords: Any) -> list[Any]:
        """The rows of a filter."""
        query = self.model.query.filter(**keywords)
        return list(query) if self.driver.name == "sync" else list(self._finished(query))

    def _finished(self, waiting: Awaitable[Any]) -> Any:
        async def work() -> Any:
            return await waiting

        coroutine = work()
        return self.driver.runner.run(coroutine) if inspect.isawaitable(waiting) else asyncio.run(coroutine)

    def index(self, pattern: str) -> str:
        """The key of an index, of its pattern with the class name left out: `$IndexF::kind:x`."""
        tag, _, rest = pattern.partition("::")
        return f"{tag}:{self.name}:{rest}" if rest else f"{tag}:{self.name}"

    def forget(self, key: str) -> None:
        """Remove a row behind the model's back, as an expiry does."""
        connection().run(ask(delete(key)))

    def trips(self, counted: RoundTrips) -> int:
        """How many round trips were counted."""
        return int(counted)

    def clear(self) -> None:
        """Delete every row, and what is left in the indexes of rows that are gone."""
        for key in self.model.query.keys():
            name = key.decode().partition(":")[2]
            self.model(name=name, code="x").delete()
