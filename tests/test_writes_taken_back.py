"""A save that fails half-way puts back what it wrote: entries, scores, places, lists of values and the class set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from stored import READERS, stray_entries

from popoto import Field, GeoField, IndexedField, KeyField, Model, SortedField, UniqueField, using
from popoto.exceptions import ReplyError, StaleObjectError, WrongType
from popoto.storage import Connection


class Stall(Model):
    name = KeyField()
    rank = SortedField(type=int, default=0)
    place = GeoField()
    weight = SortedField(type=int, default=0, partition_by="kind")
    kind = IndexedField()
    code = UniqueField()
    tail = IndexedField()
    text = Field()


OLD = {"rank": 1, "place": (10.0, 20.0), "weight": 3, "kind": "old", "code": "o", "tail": "t"}
NEW = {"rank": 2, "place": (30.0, 40.0), "weight": 4, "kind": "new", "code": "n", "tail": "u", "text": "x"}


def create() -> Any:
    return Stall.create(name="b", **NEW)


def replace() -> Any:
    return Stall.create(name="a", **NEW)


def change() -> Any:
    row = Stall.load(name="a")
    assert row is not None
    for name, value in NEW.items():
        setattr(row, name, value)
    return row.save()


def rename() -> Any:
    row = Stall.load(name="a")
    assert row is not None
    for name, value in {**NEW, "name": "b"}.items():
        setattr(row, name, value)
    return row.save(migrate_key=True)


VERBS: dict[str, Callable[[], Any]] = {"create": create, "replace": replace, "change": change, "rename": rename}


def whole(plain: Any) -> dict[bytes, Any]:
    """Every key with its content; of places where they are, as the fake's scores are no numbers."""
    found = {}
    for key in plain.scan_iter(count=1000):
        if b"$GeoF:" in key and plain.type(key) == b"zset":
            members = plain.zrange(key, 0, -1)
            found[key] = dict(zip(members, plain.geopos(key, *members), strict=True))
        else:
            found[key] = READERS[plain.type(key)](plain, key)
    return found


@pytest.fixture
def begun(store: Connection, plain: Any) -> Iterator[Any]:
    Stall.create(name="a", **OLD)
    yield plain
    plain.flushdb()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "key",
    ["$SortF:Stall:rank", "$GeoF:Stall:place", "$SortF:Stall:weight:new", "$IndexF:Stall:kind:new",
     "$UniquF:Stall:code:n", "$IndexF:Stall:tail:u", "$Vals:Stall:tail", "$Class:Stall"],
)  # fmt: skip
def test_a_key_of_another_type_refuses_the_save_whole(begun: Any, verb: str, key: str):
    begun.delete(key)
    begun.set(key, "text")
    before = whole(begun)
    with pytest.raises(WrongType):
        VERBS[verb]()
    assert whole(begun) == before
    begun.delete(key)
    VERBS[verb]()
    row = Stall.load(name="a" if verb in ("replace", "change") else "b")
    assert row is not None and row.tail == "u"


@pytest.mark.parametrize("verb", ["replace", "change", "rename"])
@pytest.mark.parametrize("key", ["$IndexF:Stall:tail:t", "$UniquF:Stall:code:o", "$SortF:Stall:weight:old"])
def test_an_entry_that_cannot_be_left_refuses_the_save_whole(begun: Any, verb: str, key: str):
    begun.delete(key)
    begun.set(key, "text")
    before = whole(begun)
    with pytest.raises(WrongType):
        VERBS[verb]()
    assert whole(begun) == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_user_who_may_write_entries_and_no_row_leaves_none(server: Connection, plain: Any, verb: str):
    Stall.create(name="a", **OLD)
    plain.execute_command("ACL", "SETUSER", "half", "on", ">pw", "~*", "+@all", "-hset")
    host, port = server.url.hosts[0]
    limited = Connection(f"{server.url.scheme}://half:pw@{host}:{port}/{server.url.path}")
    before = whole(plain)
    with using(limited), pytest.raises(ReplyError):
        VERBS[verb]()
    limited.close()
    plain.execute_command("ACL", "DELUSER", "half")
    assert whole(plain) == before
    VERBS[verb]()
    assert stray_entries(plain, Stall) == []


class Noted(Field):
    """A field that counts its saves in a key of its own."""

    @classmethod
    def on_save(
        cls, model_instance: Any, field_name: str, field_value: Any, pipeline: Any = None, **kwargs: Any
    ) -> Any:
        return pipeline.incr("saves")


class Booth(Model):
    name = KeyField()
    tail = IndexedField()
    text = Noted()


@pytest.mark.parametrize("key", ["$IndexF:Booth:tail:u", "saves"])
@pytest.mark.parametrize("new", [False, True])
def test_a_hook_and_its_save_are_done_or_undone_together(store: Connection, plain: Any, key: str, new: bool):
    Booth.create(name="a", tail="t", text="x")
    assert plain.get("saves") == b"1"
    plain.delete(key)
    plain.rpush(key, "of another type")
    before = whole(plain)
    row = Booth(name="b", tail="u", text="y") if new else Booth.load(name="a")
    assert row is not None
    row.tail, row.text = "u", "z"
    with pytest.raises(WrongType):
        row.save()
    assert whole(plain) == before
    plain.delete(key)
    row.save()
    assert int(plain.get("saves")) == (1 if key == "saves" else 2)
    assert stray_entries(plain, Booth) == []


def test_a_row_that_the_class_set_still_names_is_made_anew(begun: Any):
    roster = begun.hgetall("$Vals:Stall")
    begun.delete("Stall:a")
    before = begun.scard("$Class:Stall")
    Stall.create(name="a", **OLD)
    assert (begun.scard("$Class:Stall"), begun.hgetall("$Vals:Stall")) == (before, roster)


def test_a_list_of_values_is_not_believed_beside_rows_that_were_never_counted(begun: Any):
    begun.delete("$Vals:Stall")
    Stall.create(name="b", **NEW)
    assert begun.exists("$Vals:Stall") == 0
    assert sorted(row.name for row in Stall.query.filter(tail__startswith="")) == ["a", "b"]


def test_additions_in_one_batch_are_each_atomic(begun: Any, store: Connection):
    class Counter(Model):
        name = KeyField()
        hits = Field(type=int, default=0)

    rows = [Counter.create(name=f"c{number}") for number in range(3)]
    begun.delete("Counter:c1")
    pipeline = store.pipeline()
    for row in rows:
        row.atomic_increment("hits", 5, pipeline=pipeline)
    with pytest.raises(StaleObjectError):
        pipeline.execute()
    assert [begun.hget(f"Counter:c{number}", "hits") for number in range(3)] == [b"\x05", None, b"\x05"]
