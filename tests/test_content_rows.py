"""A row and its content are never apart: through every verb, renaming, failures, kills and many writers at once."""

from __future__ import annotations

import asyncio
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from documents import Doc, kept, reference, stored

from popoto import BM25Field, ContentField, EventStreamMixin, Field, KeyField, Model, clock, round_trips, using
from popoto.configuration import configuration
from popoto.exceptions import MissingContent
from popoto.models import writing
from popoto.storage import Connection
from popoto.storage.drivers import blocking
from popoto.storage.plans import Running


def test_every_verb_keeps_the_content(store: Connection, plain: Any, folder: Path) -> None:
    doc = Doc.create(name="x", body="one")
    doc.body, doc.note = "two", "unsaved"
    doc.save(update_fields=["body"])
    assert (stored(plain), stored(plain, field="note")) == (reference("two"), None)
    Doc.create(name="x", body="three")
    assert stored(plain) == reference("three")
    pipe = store.pipeline()
    doc.body = "four"
    doc.save(pipeline=pipe)
    assert stored(plain) == reference("three")
    pipe.execute()
    assert stored(plain) == reference("four")
    found, created = Doc.get_or_create(name="x", defaults={"body": "five"})
    assert (found.body, created) == ("four", False)
    Doc.bulk_update([found], body="six")
    assert stored(plain) == reference("six")
    assert Doc.raw_update(["Doc:x"], body="seven") == 1
    assert stored(plain) == reference("seven")
    assert Doc.get_or_create(name="y", defaults={"body": "eight"})[0].body == "eight"
    Doc.query.filter(name="y").update(body="nine")
    assert (Doc.load(name="y").body, Doc.rebuild_indexes()) == ("nine", 2)


def test_a_batch_is_one_trip_and_its_contents_are_kept_before_it(store: Connection, plain: Any, folder: Path) -> None:
    docs = [Doc(name=str(number), body=f"text {number}" if number % 3 else None, code=number) for number in range(30)]
    with round_trips() as trips:
        Doc.bulk_create(docs)
    assert (trips, len(kept(folder))) == (1, 20)
    assert {doc.body for doc in Doc.query.all()} == {f"text {number}" for number in range(30) if number % 3} | {None}


def test_an_unchanged_content_is_not_written_again(store: Connection, plain: Any, folder: Path) -> None:
    Doc.create(name="x", body="hello world")
    (path,) = folder.rglob("*.txt")
    before = path.stat().st_mtime_ns, path.stat().st_ino
    doc = Doc.load(name="x")
    doc.body, doc.note = "hello" + " world", "n"
    doc.save()
    assert ((path.stat().st_mtime_ns, path.stat().st_ino), stored(plain, field="note")) == (before, "n")
    with clock.frozen(lambda: 4e9):
        Doc.create(name="y", body="hello world")
    assert (path.stat().st_mtime, path.stat().st_ino, len(list(folder.rglob("*.txt")))) == (4e9, before[1], 1)


def test_a_deleted_row_that_is_saved_again_needs_its_content(store: Connection, plain: Any, folder: Path) -> None:
    Doc.create(name="x", body="hello world")
    doc = Doc.load(name="x")
    doc.delete()
    doc.save()
    assert Doc.load(name="x").body == "hello world"
    doc = Doc.load(name="x")
    doc.delete()
    for path in folder.rglob("*.txt"):
        path.unlink()
    with pytest.raises(MissingContent, match="keeps no more: assign the text anew"):
        doc.save()
    assert plain.exists("Doc:x") == 0


def test_renaming_takes_the_reference_along(store: Connection, plain: Any, folder: Path) -> None:
    """D41."""
    doc = Doc.create(name="x", body="hello world")
    doc.name = "y"
    doc.save(migrate_key=True)
    assert (plain.exists("Doc:x"), stored(plain, "Doc:y")) == (0, reference("hello world"))
    found = Doc.load(name="y")
    found.name = "z"
    found.save(migrate_key=True)
    assert (Doc.load(name="z").body, Doc.query.keys()) == ("hello world", [b"Doc:z"])


def test_renaming_renews_the_content_as_a_walk_may_miss_its_row(store: Connection, folder: Path) -> None:
    with clock.frozen(lambda: 1e9):
        Doc.create(name="x", body="hello world")
    doc = Doc.load(name="x")
    doc.name = "y"
    with clock.frozen(lambda: 2e9):
        doc.save(migrate_key=True)
    assert [path.stat().st_mtime for path in folder.rglob("*.txt")] == [2e9]
    for path in folder.rglob("*.txt"):
        path.unlink()
    doc.name = "z"
    doc.save(migrate_key=True)
    assert Doc.query.keys() == [b"Doc:z"]


class Searched(Model):
    name = KeyField()
    note = Field()
    body = ContentField()
    words = BM25Field(source="body")


def test_words_of_a_content_stay_indexed(store: Connection, plain: Any, folder: Path) -> None:
    """D37."""
    Searched.create(name="x", body="green tea")
    row = Searched.query.filter(name="x")[0]
    row.note = "n"
    row.save()
    assert [one.name for one in Searched.query.keyword_search("tea")] == ["x"]
    row.body = "black coffee"
    row.save()
    assert [one.name for one in Searched.query.keyword_search("tea")] == []
    plain.delete(*[key for key in plain.keys("$BM25*") if b":analyzer" not in key])
    assert asyncio.run(Searched.async_rebuild_indexes()) == 1
    assert [one.body for one in Searched.query.keyword_search("coffee")] == ["black coffee"]


class Streamed(EventStreamMixin, Model):
    _stream_name = "pages"
    _stream_metadata_fields = ("body",)
    name = KeyField()
    body = ContentField()


def test_an_event_tells_the_digest_of_a_content(store: Connection, plain: Any, folder: Path) -> None:
    row = Streamed.create(name="x", body="hello world")
    ((_, entry),) = plain.xrange(row.stream_key())
    assert (b"b94d27b9934d" in b"".join(entry.values()), b"hello" in b"".join(entry.values())) == (True, False)


def test_a_store_that_fails_keeps_the_row_from_being_written(store: Connection, plain: Any, folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "Doc").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="Doc"):
        Doc.create(name="x", body="hello world")
    assert plain.keys("*") == []


def test_a_kill_at_any_point_leaves_no_reference_without_content(store: Connection, plain: Any, folder: Path) -> None:
    def save(most: int, text: str) -> bool:
        """Run a save until it has been given so many answers; whether it came to its end."""
        doc = Doc.load(name="x") or Doc(name="x")
        doc.body = text
        running = Running(writing.save(doc))
        while running.request is not None:
            if most == 0:
                running.fail(RuntimeError("killed"))
                return False
            running.reply(blocking.serve(running.request, store.backend, store.layout))
            most -= 1
        return True

    ended, most = False, 0
    while not ended:
        ended = save(most, f"text {most}")
        if plain.exists("Doc:x"):
            assert Doc.load(name="x").body == f"text {most}"
        most += 1
    assert most > 3


def write(url: str, path: str, number: int, barrier: Any, replies: Any) -> None:
    configuration.content_path = path
    connection = Connection(url)
    with using(connection):
        doc = Doc.load(name="x")
        barrier.wait(60)
        for turn in range(8):
            doc.body = f"text {turn}"
            doc.save()
            Doc.create(name=f"{number}-{turn}", body=f"text {turn}", code=f"{number}-{turn}")
            if turn == 4:
                ContentField.garbage_collect(Doc, grace_seconds=60)
    connection.close()
    replies.put(number)


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_eight_processes_write_the_same_content_and_the_same_row(server: Connection, plain: Any, folder: Path) -> None:
    Doc.create(name="x", body="start")
    context = multiprocessing.get_context("spawn")
    barrier, replies = context.Barrier(8), context.Queue()
    workers = [
        context.Process(target=write, args=(server.url.raw, str(folder), number, barrier, replies))
        for number in range(8)
    ]
    for worker in workers:
        worker.start()
    assert sorted(replies.get(timeout=100) for _ in workers) == list(range(8))
    for worker in workers:
        worker.join(30)
    rows = Doc.query.prefetch("body").all()
    assert len(rows) == 65
    assert {doc.body for doc in rows if doc.name != "x"} == {f"text {turn}" for turn in range(8)}
    assert Doc.load(name="x").body.startswith("text ")
