"""EmbeddingField: vectors beside their rows, made once, seen by every process, of one maker."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import msgpack
import numpy as np
import pytest
from stored import keyspace

from popoto import (
    ContentField,
    EmbeddingField,
    Field,
    IndexedField,
    KeyField,
    ListField,
    Model,
    ModelException,
    QueryException,
    UniqueField,
    clock,
    round_trips,
)
from popoto.configuration import configuration
from popoto.embeddings import AbstractEmbeddingProvider
from popoto.embeddings.hashing import HashingProvider
from popoto.exceptions import EmbeddingError
from popoto.fields.embedding_field import invalidate_cache
from popoto.storage import Connection


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


@pytest.fixture(autouse=True)
def provider(tmp_path: Path) -> Iterator[Spying]:
    made = Spying()
    before = configuration.embedding_provider, configuration.content_path
    configuration.embedding_provider, configuration.content_path = made, str(tmp_path)
    yield made
    configuration.embedding_provider, configuration.content_path = before


def unit(text: str, dimensions: int = 16) -> list[float]:
    return list(np.array(HashingProvider(dimensions).embed([text])[0], dtype=np.float32))


def vectors(plain: Any, model: str = "Note", field: str = "vector") -> dict[str, list[float]]:
    raw = plain.hgetall(f"$EmbeddingF:{model}:{field}:vectors")
    return {key.decode(): list(np.frombuffer(value[16:], dtype="<f4")) for key, value in raw.items()}


def beside(plain: Any) -> set[bytes]:
    return {key for key in keyspace(plain) if key.startswith(b"$Embedding")}


def known(model: Any = Note, name: str | None = None) -> dict[str, list[float]]:
    matrix, keys = EmbeddingField.load_embeddings(model, name)
    return {} if matrix is None else dict(zip(keys, map(list, matrix), strict=True))


def test_a_save_stores_the_vector_and_who_made_it(store: Connection, plain: Any, provider: Spying) -> None:
    note = Note.create(name="a", text="a pot of tea")
    assert vectors(plain) == {"Note:a": unit("a pot of tea")}
    meta = plain.hgetall("$EmbeddingF:Note:vector:meta")
    told = [meta[name] for name in (b"provider", b"model", b"dim", b"normalised")]
    assert told == [b"hashing", b"blake2b-signed-words", b"16", b"1"]
    assert (note.vector, Note.load(name="a").vector, msgpack.unpackb(plain.hget("Note:a", "vector"))) == (16, 16, 16)
    assert known() == vectors(plain)


def test_vectors_have_length_one_and_those_of_zeros_stay(store: Connection, plain: Any) -> None:
    class Odd(Model):
        name = KeyField()
        text = Field()
        vector = EmbeddingField(source="text", provider=Fixed({"a": [3.0, 4.0], "zero": [0.0, 0.0]}))

    Odd.create(name="a", text="a")
    Odd.create(name="z", text="zero")
    assert vectors(plain, "Odd") == {"Odd:a": pytest.approx([0.6, 0.8]), "Odd:z": [0.0, 0.0]}


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


def test_without_a_cache_nothing_is_kept(store: Connection, plain: Any) -> None:
    """D43."""
    Pair.create(name="a", title="tea", body="cake")
    with round_trips() as trips:
        known(Pair, "of_title")
        known(Pair, "of_title")
    field = Pair._meta.fields["of_title"]
    kept = field._matrix._kept.get(store, {})
    assert (trips, [base for base in kept if "of_title" in base]) == (2, [])
    known(Pair, "of_body")
    invalidate_cache("Pair")
    assert [base for base in kept if "of_body" in base] == []


def test_a_cache_reads_only_what_changed(store: Connection, plain: Any) -> None:
    Note.bulk_create([Note(name=str(number), text=f"text {number}") for number in range(50)])
    field = Note._meta.fields["vector"]
    known()
    matrix = store.run(field.current(Note))
    taken: list[int] = []
    take = matrix.take
    matrix.take = lambda state, page: taken.append(len(page.keys) + len(page.gone)) or take(state, page)
    Note.create(name="new", text="new")
    Note.load(name="3").delete()
    assert (len(known()), taken) == (50, [2])
    assert known() == vectors(plain)


def test_a_database_that_begins_anew_is_read_anew(store: Connection, plain: Any) -> None:
    for number in range(3):
        Note.create(name=str(number), text="tea")
    known()
    plain.flushall()
    Note.create(name="x", text="cake")
    Note.create(name="y", text="cake")
    assert set(known()) == {"Note:x", "Note:y"}


def test_who_missed_too_many_deletions_reads_anew(store: Connection, plain: Any) -> None:
    Note.bulk_create([Note(name=str(number), text="tea") for number in range(4)])
    known()
    Note.load(name="0").delete()
    # As after ten thousand more of them.
    plain.delete("$EmbeddingF:Note:vector:gone")
    plain.hset("$EmbeddingF:Note:vector:meta", "floor", plain.hget("$EmbeddingF:Note:vector:meta", "version"))
    assert set(known()) == {"Note:1", "Note:2", "Note:3"}


CHILD = """
import sys
from popoto import EmbeddingField, Field, IndexedField, KeyField, Model, configure, connect
from popoto.embeddings.hashing import HashingProvider

connect(sys.argv[1])
configure(embedding_provider=HashingProvider(16))

class Note(Model):
    name = KeyField()
    text = Field()
    code = IndexedField()
    vector = EmbeddingField(source="text")

for line in sys.stdin:
    print(*[note.name for note in Note.query.semantic_search(line)], flush=True)
"""


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_another_process_sees_a_new_row_in_its_next_search(server: Connection) -> None:
    """D43."""
    Note.create(name="a", text="tea")
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, server.url.raw], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        answers = []
        for change in (lambda: None, lambda: Note.create(name="b", text="tea"), lambda: Note.load(name="a").delete()):
            change()
            child.stdin.write("tea\n")
            child.stdin.flush()
            answers.append(child.stdout.readline().split())
        child.stdin.close()
    assert answers == [["a"], ["a", "b"], ["b"]]


# Of whom


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
