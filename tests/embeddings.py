"""Models with embedded texts, a provider that notes what it is asked for, and vectors as they are stored and read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from stored import keyspace

from popoto import ContentField, EmbeddingField, Field, IndexedField, KeyField, Model, UniqueField
from popoto.configuration import configuration
from popoto.embeddings.hashing import HashingProvider


class Spying(HashingProvider):
    """Notes what it is asked for, and fails when it is told to."""

    def __init__(self, dimensions: int = 16) -> None:
        super().__init__(dimensions)
        self.calls: list[list[str]] = []
        self.failing = False

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        if self.failing:
            raise ConnectionError("the service is down")
        self.calls.append(list(texts))
        return super().embed(texts, input_type)


class Note(Model):
    name = KeyField()
    text = Field()
    code = IndexedField()
    vector = EmbeddingField(source="text")


class Pair(Model):
    name = KeyField()
    body = ContentField()
    title = Field()
    only = UniqueField(default=lambda: object().__repr__())
    of_title = EmbeddingField(source="title", cache=False)
    of_body = EmbeddingField(source="body")


@contextmanager
def spying(folder: Path) -> Iterator[Spying]:
    """A provider for every model, and a folder for contents."""
    made = Spying()
    before = configuration.embedding_provider, configuration.content_path
    configuration.embedding_provider, configuration.content_path = made, str(folder)
    yield made
    configuration.embedding_provider, configuration.content_path = before


def unit(text: str, dimensions: int = 16) -> list[float]:
    """The vector of a text."""
    return list(np.array(HashingProvider(dimensions).embed([text])[0], dtype=np.float32))


def vectors(plain: Any, model: str = "Note", field: str = "vector") -> dict[str, list[float]]:
    """The vectors of rows as they are stored."""
    raw = plain.hgetall(f"$EmbeddingF:{model}:{field}:vectors")
    return {key.decode(): list(np.frombuffer(value[16:], dtype="<f4")) for key, value in raw.items()}


def beside(plain: Any) -> set[bytes]:
    """Every key of vectors."""
    return {key for key in keyspace(plain) if key.startswith(b"$Embedding")}


def known(model: Any = Note, name: str | None = None) -> dict[str, list[float]]:
    """The vectors of rows as this process reads them."""
    matrix, keys = EmbeddingField.load_embeddings(model, name)
    return {} if matrix is None else dict(zip(keys, map(list, matrix), strict=True))
