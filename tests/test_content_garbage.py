"""ContentField.garbage_collect: it takes what no row has and is old, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from documents import Blob, Doc, kept

import popoto
from popoto import ContentField, clock, using
from popoto.configuration import configuration
from popoto.storage import Connection
from popoto.stores import FilesystemStore


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
