"""Vectors beside rows: written in the row's own step, told by version to who asks, moved and dropped with the row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from popoto import Connection, EmbeddingField, Field, IndexedField, KeyField, Model, using
from popoto import connection as current
from popoto.embeddings.hashing import HashingProvider
from popoto.exceptions import EmbeddingError
from popoto.storage import ask, ask_all
from popoto.storage.commands.hashes import hget, hkeys
from popoto.storage.commands.keys import exists
from popoto.storage.commands.sorted_sets import zmembers
from popoto_conformance.cases import Driver, exactly
from popoto_conformance.shelf import Shelf

pytestmark = pytest.mark.needs("lua")

pytest.importorskip("numpy", reason="an EmbeddingField needs popoto[embeddings]")


class Meanings(Shelf):
    """A model with vectors, and its verbs run by one driver."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        vector = EmbeddingField(source="text", provider=HashingProvider(32))
        body = {"name": KeyField(), "kind": IndexedField(), "text": Field(), "vector": vector}
        self.model = type(self.name, (Model,), body)

    def found(self, text: str, **lookups: Any) -> list[str]:
        """The names of the rows that a search finds."""
        return [row.name for row in self.run(self.model.query.filter(**lookups), "semantic_search", text)]

    def beside(self) -> list[Any]:
        """The rows that have a vector, and those that have a version, in its order."""
        keys = [self.index(f"$EmbeddingF::vector:{name}") for name in ("vectors", "versions")]
        vectors, versions = current().run(ask_all([hkeys(keys[0]), zmembers(keys[1], 0, -1)]))
        return [sorted(vectors), versions]


@pytest.fixture
def meanings(driver: Driver, connection: Connection) -> Iterator[Meanings]:
    """A model of a name of its own; what it has stored is deleted in the end."""
    with using(connection):
        made = Meanings(driver)
        yield made
        for row in made.model.query.all():
            row.delete()


def test_a_search_finds_what_was_saved(meanings: Meanings) -> None:
    for name, text in (("a", "green tea"), ("b", "green cake"), ("c", "a trip")):
        meanings.run(meanings.model, "create", name=name, kind="xyx"[ord(name) - 97], text=text)
    exactly(meanings.found("green tea"), ["a", "b"])
    exactly(meanings.found("green tea", kind="y"), ["b"])
    keys = [meanings.key(f"{meanings.name}:{name}").encode() for name in "abc"]
    exactly(meanings.beside(), [keys, keys])
    dim = current().run(ask(hget(meanings.index("$EmbeddingF::vector:meta"), "dim")))
    exactly(dim, b"32")


def test_who_knows_a_version_is_told_what_changed(meanings: Meanings) -> None:
    rows = [meanings.run(meanings.model, "create", name=name, kind="x", text="green tea") for name in "abc"]
    exactly(meanings.found("tea"), ["a", "b", "c"])
    meanings.run(rows[1], "delete")
    rows[0].name = "d"
    meanings.run(rows[0], "save", migrate_key=True)
    rows[2].text = None
    meanings.run(rows[2], "save")
    exactly(meanings.found("tea"), ["d"])
    meanings.run(rows[0], "delete")
    exactly(meanings.found("tea"), [])
    left = current().run(ask(exists(meanings.index("$EmbeddingF::vector:meta"))))
    exactly(left, False)


def test_vectors_of_another_maker_are_refused(meanings: Meanings) -> None:
    for name in "ab":
        meanings.run(meanings.model, "create", name=name, kind="x", text="green tea")
    field: Any = meanings.model._meta.fields["vector"]
    field._provider = HashingProvider(16)
    for work in (lambda: meanings.run(meanings.model, "create", name="c", text="tea"), lambda: meanings.found("tea")):
        with pytest.raises(EmbeddingError, match="reembed"):
            work()
    exactly(meanings.run(EmbeddingField, "reembed", meanings.model), 2)
    exactly(meanings.found("tea"), ["a", "b"])
    keys = [meanings.key(f"{meanings.name}:{name}").encode() for name in "ab"]
    exactly([sorted(one) for one in meanings.beside()], [keys, keys])
