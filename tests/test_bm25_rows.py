"""The words of a row go with it: through changes, renaming, deletion and expiry."""

from __future__ import annotations

from typing import Any

import pytest
from corpus import Note, found, golden, index
from stored import keyspace, let_expire

from popoto import ModelException, clock
from popoto.storage import Connection


def test_an_update_rewrites_what_changed_alone(store: Connection, plain: Any) -> None:
    note = golden()["d1"]
    before = keyspace(plain)
    note.agent = "z"
    note.save()
    assert index(plain) == {key: value for key, value in before.items() if key.startswith(b"$BM25")}
    note.text = None
    note.save()
    assert sorted(key for key, _ in found("redis engine")) == ["Note:d2", "Note:d3", "Note:d4"]
    assert (plain.get("$BM25:Note:words:n"), plain.get("$BM25:Note:words:total")) == (b"3", b"15")


def test_a_partial_save_reindexes(store: Connection) -> None:
    """D36."""
    note = golden()["d1"]
    note.text = "unheard"
    note.save(update_fields=["text"])
    assert [key for key, _ in found("unheard")] == ["Note:d1"]


def test_a_renamed_row_is_found_once_under_its_new_key(store: Connection, plain: Any) -> None:
    """D36."""
    note = golden()["d2"]
    note.name = "e"
    note.save(migrate_key=True)
    assert [key for key, _ in found("cache")] == ["Note:e"]
    assert plain.get("$BM25:Note:words:n") == b"4"
    assert "d2" not in repr(index(plain))


def test_what_is_not_saved_is_not_found(store: Connection) -> None:
    """D36 and D44."""
    golden()
    pipe = store.pipeline()
    Note.create(pipeline=pipe, name="e", code="e", text="unheard")
    pipe.reset()
    with pytest.raises(ModelException, match="is taken"):
        Note.create(name="f", code="d1", text="unheard")
    assert found("unheard") == []


def test_deleted_rows_leave_nothing(store: Connection, plain: Any) -> None:
    for note in golden().values():
        note.delete()
    assert keyspace(plain) == {}


def test_expired_rows_are_not_found_and_leave_nothing(store: Connection, plain: Any) -> None:
    """D51 and D05: a dead row does not fill the limit either."""
    golden()
    Note.create(name="e", code="e", text="redis", _ttl=1000)
    plain.delete("Note:e")
    assert [key for key, _ in found("redis", 1)] == ["Note:d2"]
    with clock.frozen(lambda: 4e9):
        Note.create(name="f", code="f", text="other")
    assert plain.zscore("$BM25:Note:words:dl", "Note:e") is None
    assert plain.get("$BM25:Note:words:n") == b"5"


def test_the_words_of_a_row_that_really_expires_leave_with_it(store: Connection, plain: Any) -> None:
    Note.create(name="e", code="e", text="ephemeral redis", _ttl=1000)
    let_expire(plain)
    assert found("ephemeral") == []
    with clock.frozen(lambda: 4e9):
        Note.create(name="f", code="f", text="other")
    assert b"$BM25:Note:words:inv:ephemeral" not in keyspace(plain)
    assert keyspace(plain)[b"$BM25:Note:words:df"] == {b"other": 1.0}
    # A save without new words leaves it so.
    row = Note.query.get(name="f")
    assert row is not None
    row._ttl, row.agent = 1000, "a"
    row.save()
    let_expire(plain)
    with clock.frozen(lambda: 4e9):
        Note.clean_indexes()
    assert keyspace(plain) == {}
