"""What is damaged, or kept by others under the keys of a model: it is named, can be mended, and hides no other row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from stored import keyspace, stray_entries

from popoto import (
    Field,
    GeoField,
    IndexedField,
    KeyField,
    ListField,
    Model,
    ModelException,
    Relationship,
    SortedField,
)
from popoto.exceptions import ReplyError, WrongType
from popoto.storage import Connection, using


class Owner(Model):
    name = KeyField()


class Shelf(Model):
    name = KeyField()
    kind = IndexedField()
    rank = SortedField(default=0.0)
    mark = SortedField(type=int, default=1, partition_by="kind")
    place = GeoField()
    owner = Relationship(model=Owner)
    note = Field()

    class Meta:
        indexes = ((("kind", "note"), False),)


class Case(Model):
    name = KeyField()
    books = ListField(max_length=3)


@pytest.fixture
def squatted(store: Connection, plain: Any) -> set[bytes]:
    """Two rows beside a key of a row that others have taken for a text; all keys that there are."""
    for name in ("a", "b", "c"):
        Shelf.create(name=name, kind="x", rank=1.0, place=(1.0, 1.0), owner=Owner(name="o"))
    plain.delete("Shelf:b")
    plain.set("Shelf:b", "foreign")
    return set(plain.scan_iter())


def test_what_others_keep_under_the_key_of_a_row_hides_no_other_row(plain: Any, squatted: set[bytes]):
    found = {
        "all": Shelf.query.all(),
        "set": Shelf.query.filter(kind="x"),
        "range": Shelf.query.filter(rank__gte=0),
        "partition": Shelf.query.filter(kind="x", mark__gte=0),
        "circle": Shelf.query.filter(place=(1.0, 1.0), place_radius=10),
        "text": Shelf.query.filter(kind__startswith="x"),
        "order": Shelf.query.filter(order_by="rank", limit=5),
        "reference": Shelf.query.filter(owner="Owner:o"),
        "none": Shelf.query.exclude(kind="y"),
        "plain": Shelf.query.filter(note=None),
        "keys": Shelf.query.get_many(["Shelf:a", "Shelf:b", "Shelf:c"], skip_none=True),
    }
    assert {name: sorted(row.name for row in rows) for name, rows in found.items()} == {
        name: ["a", "c"] for name in found
    }
    assert (Shelf.load(name="b"), Shelf.query.get(redis_key="Shelf:b")) == (None, None)
    assert (Shelf.query.count(kind="x"), Shelf.query.count(rank__gte=0)) == (2, 2)
    assert set(plain.scan_iter()) == squatted


def test_what_others_keep_under_the_key_of_a_row_is_neither_changed_nor_deleted(plain: Any, squatted: set[bytes]):
    with pytest.raises(WrongType, match="Shelf:b"):
        Shelf.create(name="b", kind="x")
    with pytest.raises(ModelException, match="Shelf:b"):
        Shelf.get_or_create(name="b")
    assert Shelf(name="b").delete() is False
    assert plain.get("Shelf:b") == b"foreign"
    assert Shelf.check_indexes()["total"] > 0
    assert Shelf.clean_indexes() > 0
    assert plain.get("Shelf:b") == b"foreign"
    assert {one for one in stray_entries(plain, Shelf) if "Shelf:b" not in one} == set()
    assert (set(plain.smembers("$IndexF:Shelf:kind:x")), plain.exists("$KeyF:Shelf:name:b")) == (
        {b"Shelf:a", b"Shelf:c"},
        0,
    )
    assert Shelf.rebuild_indexes() == 2
    assert (plain.get("Shelf:b"), Shelf.check_indexes()["total"]) == (b"foreign", 0)
    assert Shelf.delete_all() == 2


INDEXES = [
    "$Class:Shelf",
    "$KeyF:Shelf:name:a",
    "$IndexF:Shelf:kind:x",
    "$SortF:Shelf:rank",
    "$SortF:Shelf:mark:x",
    "$GeoF:Shelf:place",
    "$RelationshipF:Shelf:owner:Owner:o",
    "$Index:Shelf:kind:note",
    "$Vals:Shelf:kind",
    "$Vals:Shelf",
]


@pytest.mark.parametrize("index", INDEXES)
def test_rebuilding_puts_an_index_where_others_have_taken_its_key(store: Connection, plain: Any, index: str):
    for name in ("a", "b"):
        Shelf.create(name=name, kind="x", rank=1.0, place=(1.0, 1.0), owner=Owner(name="o"), note=name)
    before = keyspace(plain)
    assert index.encode() in before
    plain.delete(index)
    plain.set(index, "foreign")
    plain.set("$IndexF:Shelfish:kind:x", "of another model")
    assert Shelf.rebuild_indexes() == 2
    assert plain.get("$IndexF:Shelfish:kind:x") == b"of another model"
    plain.delete("$IndexF:Shelfish:kind:x")
    assert keyspace(plain) == before


def test_looking_after_indexes_names_the_key_that_others_have_taken(store: Connection, plain: Any):
    Shelf.create(name="a", kind="x")
    plain.delete("$SortF:Shelf:rank")
    plain.set("$SortF:Shelf:rank", "foreign")
    before = keyspace(plain)
    for look in (Shelf.check_indexes, Shelf.clean_indexes):
        with pytest.raises(WrongType, match=r"\$SortF:Shelf:rank.*rebuild_indexes"):
            look()
    assert keyspace(plain) == before


def test_a_capped_list_that_is_no_list_is_named_and_hides_no_row(store: Connection, plain: Any):
    for name in ("a", "b"):
        Case.create(name=name, books=[name])
    plain.delete("Case:b::books")
    plain.set("Case:b::books", "foreign")
    for rows in (Case.query.filter(order_by="name"), Case.query.get_many(["Case:a", "Case:b"])):
        one, other = rows
        assert (one.books, other.name) == (["a"], "b")
        with pytest.raises(ModelException, match=r"'Case:b'.*'books'"):
            other.books  # noqa: B018


def test_a_row_of_another_model_in_the_class_set_is_none_of_this_one(store: Connection, plain: Any):
    Shelf.create(name="a", kind="x")
    Owner.create(name="o")
    plain.sadd("$Class:Shelf", "Owner:o", "Shelf:b::books")
    assert [row.pk for row in Shelf.query.all()] == ["Shelf:a"]
    assert [row.pk for row in Shelf.query.exclude(kind="y")] == ["Shelf:a"]
    assert Shelf.check_indexes()["class_set"] == 2
    assert Shelf.clean_indexes() == 2
    assert set(plain.smembers("$Class:Shelf")) == {b"Shelf:a"}
    assert plain.exists("Owner:o") == 1


@pytest.mark.parametrize("field", ["name", "kind", "rank", "mark", "place", "owner", "note"])
def test_a_value_that_cannot_be_read_hides_no_other_row(
    store: Connection, plain: Any, field: str, caplog: pytest.LogCaptureFixture
):
    for name in ("a", "b", "c"):
        Shelf.create(name=name, kind="x", rank=1.0, place=(1.0, 1.0), owner=Owner(name="o"), note="n")
    plain.hset("Shelf:b", field, b"\xc1")
    conditions: list[dict[str, Any]] = [
        {"kind": "x"},
        {"rank__gte": 0},
        {"rank__in": [1.0, 2.0]},
        {"kind": "x", "mark": 1},
        {"place": (1.0, 1.0), "place_radius": 10, "place_with_distances": True},
        {"owner": "Owner:o"},
        {"note": "n"},
        {"note__isnull": False},
        {"name__contains": ""},
    ]
    for condition in conditions:
        found = {row.pk for row in Shelf.query.filter(**condition)}
        assert {"Shelf:a", "Shelf:c"} <= found, condition
    for order in ("name", "-kind", "rank", "-mark", "owner", "note"):
        assert {row.pk for row in Shelf.query.filter(order_by=order)} == {"Shelf:a", "Shelf:b", "Shelf:c"}
        assert len(Shelf.query.filter(order_by=order, limit=2)) == 2
    with pytest.raises(ModelException, match=rf"'Shelf:b'.*'{field}'"):
        getattr(Shelf.load("Shelf:b"), field)
    if field == "note":
        assert any("'Shelf:b'" in message and "'note'" in message for message in caplog.messages)


@pytest.mark.parametrize("denied", ["hmget", "hlen"])
def test_what_a_user_may_not_look_at_is_not_taken_for_missing(server: Connection, plain: Any, denied: str):
    for name in "ab":
        Shelf.create(name=name, kind="x")
    before = keyspace(plain)
    host, port = server.url.hosts[0]
    plain.execute_command("ACL", "SETUSER", "half", "reset", "on", ">pw", "~*", "+@all", f"-{denied}")
    limited = Connection(f"{server.url.scheme}://half:pw@{host}:{port}/{server.url.path}")
    try:
        with using(limited):
            verbs: list[Callable[[], Any]] = [Shelf.check_indexes, Shelf.clean_indexes]
            if denied == "hmget":
                verbs += [Shelf.query.all, lambda: Shelf.query.filter(kind="x").all()]
            for verb in verbs:
                # The server's own words, which name the command or its script.
                with pytest.raises(ReplyError, match=r"permission|can't run"):
                    verb()
    finally:
        limited.close()
        plain.execute_command("ACL", "DELUSER", "half")
    assert keyspace(plain) == before
