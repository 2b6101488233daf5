"""ContentField: the row has a reference, the body is in a file, and the two are never apart."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgpack
import pytest
from proxy import Proxy

import popoto
from popoto import (
    BM25Field,
    ContentField,
    EventStreamMixin,
    Field,
    IndexedField,
    KeyField,
    Model,
    ModelException,
    clock,
    round_trips,
    using,
)
from popoto.configuration import configuration
from popoto.exceptions import DamagedContent, MissingContent
from popoto.models import writing
from popoto.storage import Connection
from popoto.storage.drivers import blocking
from popoto.storage.plans import Running
from popoto.stores import AbstractContentStore, FilesystemStore

HELLO = "$CF:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"


class Doc(Model):
    name = KeyField()
    body = ContentField()
    note = Field()
    code = IndexedField()


class Blob(Model):
    name = KeyField()
    data = ContentField(type=bytes)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    before = configuration.content_path
    configuration.content_path = str(tmp_path)
    yield tmp_path
    configuration.content_path = before


def reference(text: str, model: str = "Doc") -> str:
    digest = sha256(text.encode()).hexdigest()
    return f"$CF:{digest}:{model}/{digest[:2]}/{digest}.txt"


def stored(plain: Any, key: str = "Doc:x", field: str = "body") -> Any:
    return msgpack.unpackb(plain.hget(key, field))


def kept(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.rglob("*.txt")}


def test_the_row_has_the_reference_and_the_file_the_text(store: Connection, plain: Any, folder: Path) -> None:
    with round_trips() as trips:
        doc = Doc.create(name="x", body="hello world")
    assert stored(plain) == reference("hello world")
    assert (stored(plain).startswith(HELLO), kept(folder), doc.body, trips) == (True, {"hello world"}, "hello world", 1)


def test_the_body_never_travels(proxied: Connection, proxy: Proxy, folder: Path) -> None:
    """D40."""
    text = "the only secret " * 100_000
    Doc.create(name="x", body=text)
    doc = Doc.load(name="x")
    doc.body = text + "more"
    doc.save()
    Doc.bulk_create([Doc(name=str(number), body=f"{text}{number}") for number in range(3)])
    Doc.raw_update(["Doc:x"], body=text + "again")
    assert proxy.requested < 200_000
    assert Doc.load(name="x").body == text + "again"


def loaded(doc: Any) -> bool:
    return "body" in doc.__dict__


def test_every_way_of_loading_reads_lazily(store: Connection, folder: Path) -> None:
    """D39."""
    Doc.create(name="x", body="hello world", code="c")
    ways = {
        "load": Doc.load(name="x"),
        "get": Doc.query.get(name="x"),
        "get by index": Doc.query.get(code="c"),
        "filter": Doc.query.filter(name="x")[0],
        "all": Doc.query.all()[0],
        "get_many": Doc.query.get_many(["Doc:x"])[0],
        "first": Doc.query.first(),
        "iterator": next(Doc.query.iterator()),
        "get_or_create": Doc.get_or_create(name="x")[0],
    }
    assert {name: loaded(doc) for name, doc in ways.items()} == dict.fromkeys(ways, False)
    assert {name: doc.body for name, doc in ways.items()} == dict.fromkeys(ways, "hello world")
    for path in folder.rglob("*.txt"):
        path.unlink()
    assert {name: doc.body for name, doc in ways.items()} == dict.fromkeys(ways, "hello world")


def test_prefetch_and_values_load_the_texts(store: Connection, folder: Path) -> None:
    Doc.bulk_create([Doc(name=str(number), body=f"text {number}", code=str(number)) for number in range(3)])
    assert [loaded(doc) for doc in Doc.query.prefetch("body").all()] == [True] * 3
    assert sorted(one["body"] for one in Doc.query.values("body")) == ["text 0", "text 1", "text 2"]
    assert Doc.load(name="1").to_dict()["body"] == "text 1"


def test_under_asyncio_a_hidden_read_is_refused_with_its_remedy(store: Connection, folder: Path) -> None:
    async def work() -> tuple[Any, ...]:
        await Doc.async_create(name="x", body="hello world")
        doc = await Doc.async_load(name="x")
        with pytest.raises(ModelException, match=r"await obj.async_fetch\('body'\)"):
            _ = doc.body
        fetched = await doc.async_fetch("body")
        (also,) = await Doc.query.prefetch("body").async_all()
        other = await Doc.async_load(name="x")
        rows = await Doc.query.filter(body="hello world").async_all()
        return fetched, doc.body, also.body, (await other.async_to_dict())["body"], len(rows)

    assert asyncio.run(work()) == ("hello world",) * 4 + (1,)


def test_a_text_that_looks_like_a_reference_is_a_text(store: Connection, plain: Any, folder: Path) -> None:
    """D42."""
    text = reference("hello world")
    Doc.create(name="x", body=text)
    assert stored(plain) == reference(text)
    doc = Doc.load(name="x")
    assert doc.body == text
    doc.body = "$CF:x:../victim"
    doc.save()
    assert Doc.load(name="x").body == "$CF:x:../victim"


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_and_the_empty_text_need_no_file(store: Connection, plain: Any, folder: Path, value: Any) -> None:
    Doc.create(name="x", body=value)
    assert (stored(plain), Doc.load(name="x").body, kept(folder)) == (value, value, set())


def test_bytes_are_a_type_of_their_own(store: Connection, plain: Any, folder: Path) -> None:
    with pytest.raises(ModelException, match=r"decode them, or declare ContentField\(type=bytes\)"):
        Doc.create(name="x", body=b"\xff")
    Blob.create(name="x", data=b"\xff\x00")
    Blob.create(name="empty", data=b"")
    assert (Blob.load(name="x").data, Blob.load(name="empty").data) == (b"\xff\x00", b"")
    with pytest.raises(ModelException, match="surrogate"):
        Doc.create(name="x", body="\ud800")


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


def test_filters_compare_digests_and_load_nothing(store: Connection, folder: Path) -> None:
    for number in range(3):
        Doc.create(name=str(number), body=f"text {number}", code=str(number))
    Doc.create(name="none", body=None)
    for path in folder.rglob("*.txt"):
        path.unlink()
    found = Doc.query.filter(body="text 1")
    assert [doc.name for doc in found] == ["1"]
    assert sorted(doc.name for doc in Doc.query.filter(body__in=["text 0", "text 2"])) == ["0", "2"]
    assert [doc.name for doc in Doc.query.filter(body__isnull=True)] == ["none"]
    assert "<content " in repr(found[0])


def test_a_missing_or_damaged_content_names_its_row(store: Connection, folder: Path) -> None:
    Doc.create(name="x", body="hello world")
    (path,) = folder.rglob("*.txt")
    path.write_text("other")
    with pytest.raises(DamagedContent, match="Doc 'Doc:x': body"):
        _ = Doc.load(name="x").body
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"Doc 'Doc:x': body refers to \$CF:b94d"):
        _ = Doc.load(name="x").body
    doc = Doc.load(name="x")
    doc.body = "hello world"
    doc.note = "n"
    assert "unreadable" not in repr(doc)
    Doc.create(name="x", body="hello world")
    assert Doc.load(name="x").body == "hello world"


def test_rows_of_1x_are_read(store: Connection, plain: Any, folder: Path) -> None:
    (folder / "Doc").mkdir()
    (folder / "Doc" / "x.txt").write_text("hello world")
    plain.hset("Doc:x", mapping={"name": msgpack.packb("x"), "body": msgpack.packb(f"{HELLO}:Doc/x.txt")})
    plain.hset("Doc:y", mapping={"name": msgpack.packb("y"), "body": msgpack.packb("whole text, of a rename")})
    plain.sadd("$Class:Doc", "Doc:x", "Doc:y")
    assert [Doc.load(name=name).body for name in "xy"] == ["hello world", "whole text, of a rename"]
    assert Doc.query.filter(body="hello world").first().name == "x"
    doc = Doc.load(name="y")
    assert doc.body and doc.save() == 0
    assert ContentField.garbage_collect(Doc, grace_seconds=0) == 0
    assert Doc.load(name="x").body == "hello world"


def collected(grace: float = 3600, model: Any = Doc) -> int:
    return ContentField.garbage_collect(model, grace_seconds=grace)


def test_collecting_takes_what_no_row_has_and_is_old(store: Connection, folder: Path) -> None:
    with clock.frozen(lambda: 1e9):
        doc = Doc.create(name="x", body="first")
        Blob.create(name="b", data=b"a blob").delete()
        doc.body = "second"
        doc.save()
    with clock.frozen(lambda: 1e9 + 3599):
        assert (collected(), kept(folder)) == (0, {"first", "second", "a blob"})
    with clock.frozen(lambda: 1e9 + 3601):
        assert (collected(), kept(folder), Doc.load(name="x").body) == (1, {"second", "a blob"}, "second")
        assert asyncio.run(ContentField.async_garbage_collect(Blob)) == 1
    assert kept(folder) == {"second"}


def test_collecting_spares_rows_that_the_class_set_has_lost(store: Connection, plain: Any, folder: Path) -> None:
    Doc.create(name="x", body="first")
    plain.delete("$Class:Doc")
    with clock.frozen(lambda: 4e9):
        assert (collected(), kept(folder)) == (0, {"first"})


def test_two_namespaces_that_share_a_folder_collect_their_own(folder: Path) -> None:
    one, other = Connection("fake://shared?namespace=a-b"), Connection("fake://shared?namespace=c")
    for connection in (one, other):
        with using(connection):
            Doc.create(name="x", body=f"text {connection.layout.namespace}")
    with using(one), clock.frozen(lambda: 4e9):
        Doc.load(name="x").delete()
        assert (collected(), kept(folder)) == (1, {"text c"})


def test_a_content_that_is_saved_while_collecting_stays(store: Connection, folder: Path) -> None:
    class Meanwhile(FilesystemStore):
        def references(self, model_class_name: str) -> Any:
            listed = list(super().references(model_class_name))
            Doc.create(name="late", body="first")
            return iter(listed)

    with clock.frozen(lambda: 1e9):
        Doc.create(name="x", body="first").delete()
    popoto.configure(content_store=Meanwhile())
    try:
        assert collected() == 0
    finally:
        configuration.content_store = None
    assert Doc.load(name="late").body == "first"


class Whole(AbstractContentStore):
    """A store of the four methods alone, whose references tell nothing."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        if content not in self.contents:
            self.contents.append(content)
        return f"$CF:{self.contents.index(content)}"

    def load(self, reference: str) -> bytes:
        return self.contents[int(reference[4:])]

    def delete(self, reference: str) -> None:
        raise FileNotFoundError

    def exists(self, reference: str) -> bool:
        return int(reference[4:]) < len(self.contents)


def test_a_store_of_ones_own(store: Connection, plain: Any, folder: Path) -> None:
    whole = Whole()

    class Own(Model):
        name = KeyField()
        body = ContentField(store=whole)

    Own.create(name="x", body="a")
    own = Own.load(name="x")
    assert (stored(plain, "Own:x"), own.body, own.save()) == ("$CF:0", "a", 0)
    assert [one.name for one in Own.query.filter(body="a")] == ["x"]
    with pytest.raises(ModelException, match="keeps everything"):
        ContentField.garbage_collect(Own)


def test_bad_declarations_are_refused() -> None:
    for options, message in (
        ({"indexed": True}, "cannot be indexed"),
        ({"store": "bucket"}, "is no content store"),
        ({"type": int}, "cannot be stored"),
        ({"lenght": 1}, "has no option"),
    ):
        with pytest.raises(ModelException, match=message):
            ContentField(**options)
    with pytest.raises(ModelException, match="has no ContentField"):
        ContentField.garbage_collect(Plain)


class Plain(Model):
    name = KeyField()


# Kills


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


def test_a_store_that_fails_keeps_the_row_from_being_written(store: Connection, plain: Any, folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "Doc").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="Doc"):
        Doc.create(name="x", body="hello world")
    assert plain.keys("*") == []


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


@pytest.mark.parametrize("options", ["namespace=space", "namespace=space&hash_tags=1"])
def test_references_lie_in_their_layout(store: Connection, folder: Path, options: str) -> None:
    url = store.url.raw
    connection = Connection(f"{url}{'&' if '?' in url else '?'}{options}")
    with using(connection), clock.frozen(lambda: 1e9):
        doc = Doc.create(name="x", body="first")
        doc.body = "second"
        doc.save()
        with clock.frozen(lambda: 4e9):
            assert (collected(), kept(folder), Doc.load(name="x").body) == (1, {"second"}, "second")
        assert (folder / "space.Doc").is_dir()
    connection.close()


class Streamed(EventStreamMixin, Model):
    _stream_name = "pages"
    _stream_metadata_fields = ("body",)
    name = KeyField()
    body = ContentField()


def test_an_event_tells_the_digest_of_a_content(store: Connection, plain: Any, folder: Path) -> None:
    row = Streamed.create(name="x", body="hello world")
    ((_, entry),) = plain.xrange(row.stream_key())
    assert (b"b94d27b9934d" in b"".join(entry.values()), b"hello" in b"".join(entry.values())) == (True, False)


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
