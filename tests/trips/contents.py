"""Rows with a content on files and a vector."""

from __future__ import annotations

from typing import Any

from popoto import ContentField, EmbeddingField, Field, KeyField, Model
from popoto.embeddings.hashing import HashingProvider
from trips.verb import Verb


class Fact(Model):
    name = KeyField()
    text = Field()
    body = ContentField()
    vector: Any = EmbeddingField(source="text", provider=HashingProvider(16))


def fact(**values: Any) -> Any:
    made = Fact.create(name="a", text="tea", body="a long text")
    for name, value in values.items():
        setattr(made, name, value)
    Fact.query.semantic_search("tea")
    return made


TABLE: dict[str, Verb] = {
    # One to see whether the text was embedded already.
    "create with a vector": Verb(
        lambda store: None,
        lambda it: Fact.create(name="a", text="tea", body="a long text"),
        lambda it: Fact.async_create(name="a", text="tea", body="a long text"),
        2,
    ),
    "bulk_create of 20 with vectors": Verb(
        lambda store: [Fact(name=str(number), text="tea", body=str(number)) for number in range(20)],
        lambda it: Fact.bulk_create(it),
        lambda it: Fact.async_bulk_create(it),
        2,
    ),
    "save a text and a content": Verb(
        lambda store: fact(text="coffee", body="another"),
        lambda it: it.save(),
        lambda it: it.async_save(),
        1,
    ),
    "load a content": Verb(
        lambda store: fact() and Fact.load(name="a"),
        lambda it: it.body,
        lambda it: it.async_fetch("body"),
        0,
    ),
    # One to learn what has changed, one to load the rows.
    "semantic_search": Verb(
        lambda store: fact(),
        lambda it: Fact.query.semantic_search("tea"),
        lambda it: Fact.query.async_semantic_search("tea"),
        2,
    ),
}
