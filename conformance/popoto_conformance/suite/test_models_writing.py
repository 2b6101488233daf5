"""Models, written: rows and index entries are made, moved, renamed and removed by one script each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from popoto import (
    Connection,
    KeyField,
    KeyMutationError,
    ListField,
    Model,
    ModelException,
    StaleObjectError,
    round_trips,
    using,
)
from popoto import connection as current
from popoto.storage import ask, ask_all
from popoto.storage.commands.hashes import hgetall
from popoto.storage.commands.keys import exists, pttl
from popoto.storage.commands.lists import lrange
from popoto.storage.commands.sets import smembers
from popoto.storage.commands.sorted_sets import zrange
from popoto_conformance.cases import Driver, exactly
from popoto_conformance.shelf import Shelf, shelved

pytestmark = pytest.mark.needs("lua")


@pytest.fixture
def shelf(driver: Driver, connection: Connection) -> Iterator[Shelf]:
    """A model of a name of its own."""
    with shelved(driver, connection) as made:
        yield made


def stored(shelf: Shelf, key: str) -> Any:
    """A stored hash."""
    return current().run(ask(hgetall(shelf.key(key))))


def members(shelf: Shelf, *indexes: str) -> list[set[bytes]]:
    """The members of index sets of the model."""
    return [set(one) for one in current().run(ask_all([smembers(shelf.index(index)) for index in indexes]))]


def test_a_created_row_and_its_entries_are_stored(shelf: Shelf) -> None:
    made = shelf.run(shelf.model, "create", name="a:b", kind="x", code="1", rank=1.5)
    exactly(made.pk, f"{shelf.name}:a{{&#58;}}b")
    key = shelf.key(made.pk)
    row = stored(shelf, made.pk)
    exactly(row[b"name"], b"\xa3a:b")
    exactly(row[b"kind"], b"\xa1x")
    exactly(members(shelf, "$IndexF::kind:x", "$UniquF::code:1"), [{key.encode()}, {key.encode()}])
    scores = current().run(ask(zrange(shelf.index("$SortF::rank:x"), 0, -1)))
    exactly(scores, [(key.encode(), 1.5)])


def test_a_save_moves_the_entries_that_changed(shelf: Shelf) -> None:
    made = shelf.run(shelf.model, "create", name="a", kind="x", code="1", rank=1.5)
    made.kind, made.code = "y", "2"
    exactly(shelf.run(made, "save"), 0)
    own = {shelf.key(made.pk).encode()}
    indexes = ("$IndexF::kind:x", "$IndexF::kind:y", "$UniquF::code:1", "$UniquF::code:2")
    exactly(members(shelf, *indexes), [set(), own, set(), own])
    exactly(current().run(ask(exists(shelf.index("$SortF::rank:x")))), False)


def test_a_partial_save_writes_what_it_names(shelf: Shelf) -> None:
    made = shelf.run(shelf.model, "create", name="a", kind="x", code="1")
    made.kind, made.number = "y", 7
    shelf.run(made, "save", update_fields=["number"])
    row = stored(shelf, made.pk)
    exactly([row[b"kind"], row[b"number"]], [b"\xa1x", b"\x07"])


def test_a_stale_copy_leaves_no_entry_behind(shelf: Shelf) -> None:
    made = shelf.run(shelf.model, "create", name="a", kind="x", code="1")
    stale = shelf.run(shelf.model, "load", made.pk)
    made.kind = "y"
    shelf.run(made, "save")
    stale.kind = "z"
    shelf.run(stale, "save")
    exactly(members(shelf, "$IndexF::kind:x", "$IndexF::kind:y"), [set(), set()])
    exactly(members(shelf, "$IndexF::kind:z"), [{shelf.key(made.pk).encode()}])


def test_a_second_create_replaces_the_row_whole(shelf: Shelf) -> None:
    shelf.run(shelf.model, "create", name="a", kind="x", code="1", number=5)
    made = shelf.run(shelf.model, "create", name="a", kind="y", code="2")
    exactly(stored(shelf, made.pk)[b"number"], b"\xc0")
    exactly(members(shelf, "$IndexF::kind:x", "$UniquF::code:1"), [set(), set()])


def test_a_unique_value_has_one_holder(shelf: Shelf) -> None:
    shelf.run(shelf.model, "create", name="a", kind="x", code="1")
    with pytest.raises(ModelException, match=r"code = '1' is taken"):
        shelf.run(shelf.model, "create", name="b", kind="x", code="1")
    exactly(current().run(ask(exists(shelf.key(f"{shelf.name}:b")))), False)
    exactly(len(members(shelf, "$IndexF::kind:x")[0]), 1)


def test_a_changed_key_is_refused_or_renames(shelf: Shelf) -> None:
    made = shelf.run(shelf.model, "create", name="a", kind="x", code="1", rank=2.0)
    made.name = "b"
    with pytest.raises(KeyMutationError):
        shelf.run(made, "save")
    shelf.run(made, "save", migrate_key=True)
    exactly(stored(shelf, f"{shelf.name}:a"), {})
    exactly(members(shelf, "$KeyF::name:a", "$KeyF::name:b"), [set(), {shelf.key(f"{shelf.name}:b").encode()}])
    other = shelf.run(shelf.model, "create", name="c", code="2")
    other.name = "b"
    with pytest.raises(ModelException, match="is stored already"):
        shelf.run(other, "save", migrate_key=True)


def test_a_deleted_row_leaves_nothing(shelf: Shelf) -> None:
    made = shelf.run(shelf.model, "create", name="a", kind="x", code="1", items=[1, "a"])
    exactly(shelf.run(made, "delete"), True)
    exactly(shelf.run(made, "delete"), False)
    indexes = ("$Class", "$KeyF::name:a", "$IndexF::kind:x", "$UniquF::code:1", "$SortF::rank:x")
    keys = [shelf.key(made.pk), *(shelf.index(index) for index in indexes), shelf.index("$IndexF::items:/[1, /'a/'/]")]
    exactly(current().run(ask_all([exists(key) for key in keys])), [False] * len(keys))


class Lease(Shelf):
    """A model whose rows expire, with a list of few items."""

    def __init__(self, driver: Driver) -> None:
        super().__init__(driver)
        meta = type("Meta", (), {"ttl": 600})
        body = {"name": KeyField(), "tags": ListField(max_length=3), "Meta": meta}
        self.model = type(self.name, (Model,), body)

    def left(self, row: Any) -> int:
        """The milliseconds that a row has left, -1 without an end."""
        return current().run(ask(pttl(self.key(row.pk))))


@pytest.fixture
def lease(driver: Driver, connection: Connection) -> Iterator[Lease]:
    """A model of a name of its own; what it has stored is deleted in the end."""
    with using(connection):
        made = Lease(driver)
        yield made
        for row in made.model.query.all():
            row.delete()


def test_a_row_expires_when_its_class_or_it_says_so(lease: Lease) -> None:
    row = lease.run(lease.model, "create", name="a")
    exactly(590_000 < lease.left(row) <= 600_000, True)
    row._ttl = 6000
    lease.run(row, "save")
    exactly(5_990_000 < lease.left(row) <= 6_000_000, True)
    row.name = "b"
    lease.run(row, "save", migrate_key=True)
    exactly(5_990_000 < lease.left(row) <= 6_000_000, True)
    row._ttl = None
    lease.run(row, "save")
    exactly(lease.left(row), -1)
    exactly(lease.left(lease.run(lease.model, "create", name="c", _ttl=None)), -1)


def test_a_capped_list_keeps_its_newest_items(lease: Lease) -> None:
    row = lease.run(lease.model, "create", name="a", tags=["x", "y"])
    for tag in ("p", "q"):
        lease.run(row.tags, "push", tag)
    items = current().run(ask(lrange(lease.key(f"{row.pk}::tags"), 0, -1)))
    exactly(items, [b"\xa1q", b"\xa1p", b"\xa1x"])
    exactly(list(lease.run(lease.model, "load", row.pk).tags), ["q", "p", "x"])


def test_saving_what_is_gone_is_refused(shelf: Shelf) -> None:
    made = shelf.run(shelf.model, "create", name="a", code="1")
    stale = shelf.run(shelf.model, "load", made.pk)
    shelf.run(made, "delete")
    stale.number = 5
    with pytest.raises(StaleObjectError):
        shelf.run(stale, "save")
    exactly(stored(shelf, made.pk), {})


@pytest.mark.parametrize("verb", ["create", "save", "partial save", "rename", "delete", "violation"])
def test_each_write_is_one_round_trip(shelf: Shelf, verb: str) -> None:
    made = shelf.run(shelf.model, "create", name="a", kind="x", code="1")
    shelf.run(shelf.model, "create", name="z", kind="x", code="z")
    made.kind = "y"
    with round_trips() as trips:
        if verb == "create":
            shelf.run(shelf.model, "create", name="b", code="2")
        elif verb == "violation":
            with pytest.raises(ModelException):
                shelf.run(shelf.model, "create", name="b", code="z")
        elif verb == "rename":
            made.name = "b"
            shelf.run(made, "save", migrate_key=True)
        elif verb == "delete":
            shelf.run(made, "delete")
        else:
            shelf.run(made, "save", update_fields=["kind"] if verb == "partial save" else None)
    exactly(int(trips), 1)


def test_a_pipeline_carries_writes_in_one_trip(shelf: Shelf) -> None:
    pipe = current().pipeline()
    for number in range(10):
        shelf.run(shelf.model, "create", name=str(number), code=str(number), pipeline=pipe)
    shelf.run(shelf.model, "create", name="x", code="5", pipeline=pipe)
    exactly(stored(shelf, f"{shelf.name}:0"), {})
    *good, taken = shelf.run(pipe, "execute", raise_on_error=False)
    exactly([isinstance(taken, ModelException), len(good), len(set(good))], [True, 10, 1])
    exactly(shelf.run(shelf.model.query, "count"), 10)


def test_a_dropped_pipeline_does_no_harm(shelf: Shelf) -> None:
    made = shelf.run(shelf.model, "create", name="a", kind="x", code="1")
    pipe = current().pipeline()
    made.kind = "y"
    shelf.run(made, "save", pipeline=pipe)
    pipe.reset()
    exactly(stored(shelf, made.pk)[b"kind"], b"\xa1x")
    shelf.run(made, "save")
    exactly(members(shelf, "$IndexF::kind:x", "$IndexF::kind:y"), [set(), {shelf.key(made.pk).encode()}])
