"""Vectors that a process keeps: it reads what changed, and sees what every other process wrote."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from embeddings import Note, Pair, Spying, known, spying, vectors

from popoto import round_trips
from popoto.fields.embedding_field import invalidate_cache
from popoto.storage import Connection


@pytest.fixture(autouse=True)
def provider(tmp_path: Path) -> Iterator[Spying]:
    with spying(tmp_path) as made:
        yield made


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
