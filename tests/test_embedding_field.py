"""EmbeddingField: vectors beside their rows, made once, and gone with them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from embeddings import Note, Pair, Spying, beside, known, spying, unit, vectors
from stored import keyspace

from popoto import EmbeddingField, Field, KeyField, ListField, Model, ModelException, QueryException, clock, round_trips
from popoto.configuration import configuration
from popoto.embeddings import AbstractEmbeddingProvider
from popoto.embeddings.hashing import HashingProvider
from popoto.exceptions import EmbeddingError
from popoto.storage import Connection


@pytest.fixture(autouse=True)
def provider(tmp_path: Path) -> Iterator[Spying]:
    with spying(tmp_path) as made:
        yield made


def test_a_save_stores_the_vector_and_who_made_it(store: Connection, plain: Any, provider: Spying) -> None:
    note = Note.create(name="a", text="a pot of tea")
    assert vectors(plain) == {"Note:a": unit("a pot of tea")}
    meta = plain.hgetall("$EmbeddingF:Note:vector:meta")
    told = [meta[name] for name in (b"provider", b"model", b"dim", b"normalised")]
    assert told == [b"hashing", b"blake2b-signed-words", b"16", b"1"]
    assert (note.vector, Note.load(name="a").vector, msgpack.unpackb(plain.hget("Note:a", "vector"))) == (16, 16, 16)
    assert known() == vectors(plain)


class Fixed(AbstractEmbeddingProvider):
    """Vectors by text."""

    model = "fixed"

    def __init__(self, vectors: dict[str, list[float]]) -> None:
        self.vectors = vectors

    @property
    def dimensions(self) -> int:
        return len(next(iter(self.vectors.values())))

    @property
    def max_batch_size(self) -> int:
        return 2

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        return [self.vectors[text] for text in texts]


def test_vectors_have_length_one_and_those_of_zeros_stay(store: Connection, plain: Any) -> None:
    class Odd(Model):
        name = KeyField()
        text = Field()
        vector = EmbeddingField(source="text", provider=Fixed({"a": [3.0, 4.0], "zero": [0.0, 0.0]}))

    Odd.create(name="a", text="a")
    Odd.create(name="z", text="zero")
    assert vectors(plain, "Odd") == {"Odd:a": pytest.approx([0.6, 0.8]), "Odd:z": [0.0, 0.0]}


def test_an_unchanged_text_is_not_embedded_again(store: Connection, plain: Any, provider: Spying) -> None:
    """D43."""
    note = Note.create(name="a", text="tea", code="1")
    note.code = "2"
    note.save()
    note.save()
    loaded = Note.load(name="a")
    loaded.text = "tea"
    loaded.save()
    Note.create(name="a", text="tea", code="3")
    assert Note.rebuild_indexes() == 1
    assert provider.calls == [["tea"]]
    loaded.text = "coffee"
    loaded.save()
    assert (provider.calls, vectors(plain)) == ([["tea"], ["coffee"]], {"Note:a": unit("coffee")})


@pytest.mark.parametrize("nothing", [None, "", "  \n"])
def test_a_text_that_is_taken_away_takes_its_vector_along(store: Connection, plain: Any, nothing: Any) -> None:
    """D43."""
    note = Note.create(name="a", text="tea")
    Note.create(name="b", text="tea")
    note.text = nothing
    note.save()
    Note.create(name="b", text=nothing)
    assert (beside(plain), note.vector, known()) == (set(), None, {})
    assert msgpack.unpackb(plain.hget("Note:a", "vector")) is None


def test_a_batch_is_embedded_in_the_providers_batches(store: Connection, plain: Any, provider: Spying) -> None:
    Note.create(name="0", text="text 0")
    with round_trips() as trips:
        Note.bulk_create([Note(name=str(number), text=f"text {number % 20}") for number in range(40)])
    # One to see what is there already, one to write.
    assert (trips, len(provider.calls), sorted(provider.calls[1])) == (
        2,
        2,
        sorted(f"text {number}" for number in range(20)),
    )
    assert vectors(plain) == {f"Note:{number}": unit(f"text {number % 20}") for number in range(40)}
    Note.bulk_update(Note.query.all(), text="the same")
    assert provider.calls[2:] == [["the same"]]


def test_saving_costs_the_round_trips_that_it_says(store: Connection, provider: Spying) -> None:
    note = Note(name="a", text="tea")
    trips = []
    for change in (lambda: None, lambda: setattr(note, "text", "coffee"), lambda: setattr(note, "code", "2")):
        change()
        with round_trips() as counted:
            note.save()
        trips.append(int(counted))
    assert trips == [2, 1, 1]


def test_a_failing_provider_fails_the_save_before_anything_is_written(
    store: Connection, plain: Any, provider: Spying
) -> None:
    """D44."""
    note = Note.create(name="a", text="tea")
    before = keyspace(plain)
    provider.failing = True
    note.text, note.code = "coffee", "new"
    for work in (
        note.save,
        lambda: Note.create(name="b", text="cake"),
        lambda: Note.bulk_create([Note(name="c", text="cake"), Note(name="d", text="pie")]),
        lambda: note.save(pipeline=store.pipeline()),
        lambda: asyncio.run(note.async_save()),
        lambda: Note.get_or_create(name="e", defaults={"text": "cake"}),
    ):
        with pytest.raises(EmbeddingError, match=r"hashing.* failed: ConnectionError: the service is down"):
            work()
        assert keyspace(plain) == before


def test_rows_take_their_vectors_along(store: Connection, plain: Any) -> None:
    """D41."""
    note = Note.create(name="a", text="tea")
    Note.create(name="other", text="cake")
    assert set(known()) == {"Note:a", "Note:other"}
    note.name = "b"
    note.save(migrate_key=True)
    assert (set(vectors(plain)), set(known()), plain.exists("Note:a")) == ({"Note:b", "Note:other"},) * 2 + (0,)
    note.delete()
    assert (set(vectors(plain)), set(known())) == ({"Note:other"},) * 2
    Note.load(name="other").delete()
    assert keyspace(plain) == {}


def test_an_expired_row_leaves_no_vector(store: Connection, plain: Any) -> None:
    Note.create(name="a", text="tea", _ttl=1000)
    Note.create(name="c", text="tea")
    plain.delete("Note:a")
    assert [note.name for note in Note.query.semantic_search("tea")] == ["c"]
    with clock.frozen(lambda: 4e9):
        Note.create(name="b", text="cake")
    assert set(vectors(plain)) == set(known()) == {"Note:b", "Note:c"}


def test_care_finds_what_no_row_has(store: Connection, plain: Any) -> None:
    Note.create(name="a", text="tea")
    Note.create(name="b", text="tea")
    plain.delete("Note:b")
    assert Note.check_indexes()["companions"] == {"vector": 1}
    assert EmbeddingField.garbage_collect(Note) == 1
    assert set(vectors(plain)) == set(known()) == {"Note:a"}
    plain.delete("$EmbeddingF:Note:vector:vectors", "$EmbeddingF:Note:vector:versions", "$EmbeddingF:Note:vector:meta")
    assert known() == {}
    assert (Note.rebuild_indexes(), set(known())) == (1, {"Note:a"})


def test_two_fields_of_one_model_are_apart(store: Connection, plain: Any, provider: Spying) -> None:
    """D43."""
    Pair.create(name="a", title="tea", body="a long text on cake")
    assert vectors(plain, "Pair", "of_title") == {"Pair:a": unit("tea")}
    assert vectors(plain, "Pair", "of_body") == {"Pair:a": unit("a long text on cake")}
    pair = Pair.load(name="a")
    pair.title = "coffee"
    pair.save()
    assert provider.calls == [["tea"], ["a long text on cake"], ["coffee"]]
    assert known(Pair, "of_body") == vectors(plain, "Pair", "of_body")


def test_a_content_is_embedded_also_when_it_must_be_read(store: Connection, plain: Any, provider: Spying) -> None:
    Pair.create(name="a", title=None, body="a long text on cake")
    plain.delete("$EmbeddingF:Pair:of_body:vectors")
    assert asyncio.run(Pair.async_rebuild_indexes()) == 1
    assert vectors(plain, "Pair", "of_body") == {"Pair:a": unit("a long text on cake")}


def test_without_a_provider_a_changed_text_has_no_vector(store: Connection, plain: Any, caplog: Any) -> None:
    note = Note.create(name="a", text="tea")
    # It is said once in a process.
    Note._meta.fields["vector"]._warned = False
    configuration.embedding_provider = None
    note.code = "2"
    note.save()
    assert set(vectors(plain)) == {"Note:a"}
    note.text = "cake"
    note.save()
    assert (vectors(plain), "no embedding provider" in caplog.text) == ({}, True)


def test_a_rebuild_takes_no_vector_that_another_writer_has_just_made(
    store: Connection, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Note.create(name="a", text=None)
    field: Any = Note._meta.fields["vector"]
    prepared = field._prepared

    def meanwhile(instance: Any, change: Any, made: Any) -> None:
        if change.mode == "reindex":
            note = Note.load(name="a")
            note.text = "tea"
            note.save()
        prepared(instance, change, made)

    monkeypatch.setattr(field, "_prepared", meanwhile)
    Note.rebuild_indexes()
    assert vectors(plain) == {"Note:a": unit("tea")}


def test_bad_declarations_are_refused() -> None:
    for options, message in (
        ({"sauce": "text"}, "has no option 'sauce'"),
        ({"provider": HashingProvider}, "give an instance"),
        ({"source": 3}, "must be the name of a field"),
    ):
        with pytest.raises(ModelException, match=message):
            EmbeddingField(**options)  # type: ignore[arg-type]
    with pytest.raises(ModelException, match="source='body' is no other field"):

        class Wrong(Model):
            vector = EmbeddingField(source="body")

    with pytest.raises(ModelException, match="or a capped list, whose pushes are not embedded"):
        type("Wrong", (Model,), {"log": ListField(max_length=3), "vector": EmbeddingField(source="log")})
    with pytest.raises(ModelException, match="leave it out"):
        Note(vector=[1.0])
    with pytest.raises(QueryException, match="there are of_title, of_body"):
        EmbeddingField.load_embeddings(Pair, "title")


def test_a_machine_without_numpy_is_told_of_the_extra() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from popoto import EmbeddingField\n"
        "try:\n    EmbeddingField()\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'popoto[embeddings]'" in done.stdout
