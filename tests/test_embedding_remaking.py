"""Vectors of one model have one maker: those of another are refused, made anew, or taken from files of 1.x."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import msgpack
import numpy as np
import pytest
from embeddings import Note, Spying, beside, known, spying, unit, vectors
from stored import keyspace

from popoto import EmbeddingField, Field, KeyField, Model, ModelException
from popoto.configuration import configuration
from popoto.embeddings.hashing import HashingProvider
from popoto.exceptions import EmbeddingError
from popoto.storage import Connection


@pytest.fixture(autouse=True)
def provider(tmp_path: Path) -> Iterator[Spying]:
    with spying(tmp_path) as made:
        yield made


def test_vectors_of_another_maker_are_refused_with_the_remedy(store: Connection, plain: Any, provider: Spying) -> None:
    Note.create(name="a", text="tea")
    Note.create(name="b", text="cake")
    before = keyspace(plain)
    configuration.embedding_provider = Spying(32)
    remedy = r"hashing blake2b-signed-words of 16 dimensions.*EmbeddingField.reembed\(Note, 'vector'\)"
    for work in (
        lambda: Note.create(name="c", text="pie"),
        lambda: Note.query.semantic_search("tea"),
        lambda: EmbeddingField.import_1x(Note),
        lambda: Note.bulk_create([Note(name="c", text="pie")]),
    ):
        with pytest.raises((EmbeddingError, ModelException), match=remedy):
            work()
    assert keyspace(plain) == before
    assert EmbeddingField.reembed(Note, batch_size=1) == 2
    assert vectors(plain) == {"Note:a": unit("tea", 32), "Note:b": unit("cake", 32)}
    assert (Note.load(name="a").vector, known() == vectors(plain)) == (32, True)
    assert len(beside(plain)) == 3
    assert Note.check_indexes()["total"] == 0


def test_the_only_vector_may_change_its_maker(store: Connection, plain: Any) -> None:
    note = Note.create(name="a", text="tea")
    known()
    configuration.embedding_provider = Spying(32)
    note.text = "cake"
    note.save()
    assert vectors(plain) == known() == {"Note:a": unit("cake", 32)}


def test_rows_that_are_saved_while_all_is_made_anew_are_embedded_again(store: Connection, plain: Any) -> None:
    class Interrupted(HashingProvider):
        """Saves rows in the midst of the work."""

        work: ClassVar[list[Any]] = []

        def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
            found = super().embed(texts, input_type)
            if self.work:
                self.work.pop()()
            return found

    Note.bulk_create([Note(name=str(number), text=f"text {number}") for number in range(6)])
    old, new = configuration.embedding_provider, Interrupted(32)

    def change() -> None:
        configuration.embedding_provider = old
        note = Note.load(name="0")
        note.text = "changed"
        note.save()
        Note.load(name="1").delete()
        Note.create(name="late", text="late")
        configuration.embedding_provider = new

    new.work = [change]
    configuration.embedding_provider = new
    assert asyncio.run(EmbeddingField.async_reembed(Note, batch_size=100)) == 6
    wanted = {f"Note:{number}": unit(f"text {number}", 32) for number in range(2, 6)}
    assert vectors(plain) == wanted | {"Note:0": unit("changed", 32), "Note:late": unit("late", 32)}
    assert known() == vectors(plain)


def test_a_reembedding_that_fails_leaves_everything_as_it_was(store: Connection, plain: Any, provider: Spying) -> None:
    Note.bulk_create([Note(name=str(number), text=f"text {number}") for number in range(3)])
    before = keyspace(plain)
    provider.failing = True
    with pytest.raises(EmbeddingError, match="the service is down"):
        EmbeddingField.reembed(Note)
    assert keyspace(plain) == before


def test_auto_embed_off_leaves_it_to_reembed(store: Connection, plain: Any, provider: Spying) -> None:
    class Late(Model):
        name = KeyField()
        text = Field()
        vector = EmbeddingField(source="text", auto_embed=False)

    Late.create(name="a", text="tea")
    assert (provider.calls, vectors(plain, "Late")) == ([], {})
    assert EmbeddingField.reembed(Late) == 1
    assert vectors(plain, "Late") == {"Late:a": unit("tea")}
    with pytest.raises(ModelException, match="use bulk_update"):
        Note.raw_update(["Note:a"], text="tea")


def test_files_of_1x_are_taken(store: Connection, plain: Any, provider: Spying, tmp_path: Path) -> None:
    folder = tmp_path / ".embeddings" / "Note"
    folder.mkdir(parents=True)
    named = {}
    for key, vector in (("Note:a", [3.0] + [0.0] * 15), ("Note:gone", [1.0] * 16), ("Note:b", [0.0, 2.0] + [0.0] * 14)):
        stem = sha256(key.encode()).hexdigest() if key != "Note:b" else key.encode().hex()
        np.save(folder / f"{stem}.npy", np.array(vector, dtype=np.float32))
        if key != "Note:b":
            named[f"{stem}.npy"] = key
    (folder / "_index.json").write_text(json.dumps(named))
    for name in "abc":
        plain.hset(f"Note:{name}", mapping={"name": msgpack.packb(name), "text": msgpack.packb(f"text {name}")})
        plain.sadd("$Class:Note", f"Note:{name}")
    assert EmbeddingField.import_1x(Note) == 2
    assert vectors(plain) == {"Note:a": [1.0] + [0.0] * 15, "Note:b": [0.0, 1.0] + [0.0] * 14}
    assert (Note.load(name="a").vector, EmbeddingField.import_1x(Note), provider.calls) == (16, 0, [])
    Note.rebuild_indexes()
    assert (provider.calls, set(known())) == ([["text c"]], {"Note:a", "Note:b", "Note:c"})
    np.save(folder / (b"Note:c".hex() + ".npy"), np.array([object()]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        EmbeddingField.import_1x(Note)
