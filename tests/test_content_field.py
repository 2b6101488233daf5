"""ContentField: the row has a reference, the body is in a file, and it is read when it is asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgpack
import pytest
from documents import Blob, Doc, kept, reference, stored
from proxy import Proxy

from popoto import ContentField, KeyField, Model, ModelException, round_trips
from popoto.exceptions import DamagedContent
from popoto.storage import Connection
from popoto.stores import AbstractContentStore

HELLO = "$CF:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"


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


class Plain(Model):
    name = KeyField()


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
