"""Names that a model does not have are refused by every verb, and defaults belong to one instance each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from stored import keyspace

from popoto import (
    DictField,
    IndexedField,
    KeyField,
    ListField,
    Model,
    ModelException,
    Q,
    QueryException,
    Relationship,
    SetField,
    TupleField,
    round_trips,
)


class Crate(Model):
    name = KeyField()
    state = IndexedField(default="new")
    items = ListField(default=[])
    labels = DictField(default={"a": []})
    marks = SetField(default=set())
    pair = TupleField(default=([], "x"))
    inside = Relationship(model="self")


def crate() -> Crate:
    return Crate.create(name="a")


WRONG: dict[str, tuple[Callable[[Any], Any], type[Exception]]] = {
    "constructor": (lambda row: Crate(stat="x"), ModelException),
    "create": (lambda row: Crate.create(name="b", stat="x"), ModelException),
    "assignment": (lambda row: setattr(row, "stat", "x"), AttributeError),
    "save": (lambda row: row.save(update_fields=["stat"]), ModelException),
    "increment": (lambda row: row.atomic_increment("stat", 1), AttributeError),
    "bulk_update": (lambda row: Crate.bulk_update([row], stat="x"), ModelException),
    "raw_update": (lambda row: Crate.raw_update([row.pk], stat="x"), ModelException),
    "update": (lambda row: Crate.query.filter(name="a").update(stat="x"), ModelException),
    "get_or_create": (lambda row: Crate.get_or_create(name="b", stat="x"), ModelException),
    "get_or_create defaults": (lambda row: Crate.get_or_create({"stat": "x"}, name="a"), ModelException),
    "update_or_create": (lambda row: Crate.update_or_create({"stat": "x"}, name="a"), ModelException),
    "filter": (lambda row: Crate.query.filter(stat="x"), QueryException),
    "filter on a lookup": (lambda row: Crate.query.filter(state__starts="x"), QueryException),
    "filter through": (lambda row: Crate.query.filter(inside__stat="x"), QueryException),
    "condition": (lambda row: Crate.query.filter(Q(state="new") | Q(stat="x")), QueryException),
    "exclude": (lambda row: Crate.query.exclude(stat="x"), QueryException),
    "all": (lambda row: Crate.query.all(stat="x"), QueryException),
    "get": (lambda row: Crate.query.get(name="a", stat="x"), QueryException),
    "load": (lambda row: Crate.load(stat="x"), QueryException),
    "count": (lambda row: Crate.query.count(stat="x"), QueryException),
    "exists": (lambda row: Crate.query.exists(stat="x"), QueryException),
    "order_by": (lambda row: Crate.query.order_by("stat"), QueryException),
    "values": (lambda row: Crate.query.values("stat"), QueryException),
    "prefetch": (lambda row: Crate.query.prefetch("stat"), QueryException),
    "to_dict": (lambda row: row.to_dict(include=["stat"]), ModelException),
    "async_fetch": (lambda row: asyncio.run(row.async_fetch("stat")), ModelException),
}


@pytest.mark.parametrize("verb", WRONG)
def test_every_verb_refuses_an_unknown_name_before_anything_is_sent(fake: Any, plain: Any, verb: str):
    # D51
    work, error = WRONG[verb]
    row = crate()
    before = keyspace(plain)
    with round_trips() as trips, pytest.raises(error, match=r"stat|inside|state__starts"):
        work(row)
    assert keyspace(plain) == before
    # The rows of a query are fetched before they are given new values.
    assert trips == (1 if verb == "update" else 0)


def change(row: Any) -> None:
    row.items.append(1)
    row.labels["a"].append(1)
    row.marks.add(1)
    row.pair[0].append(1)


def values(row: Any) -> tuple[Any, ...]:
    return row.items, row.labels, row.marks, row.pair


FRESH: tuple[Any, ...] = ([], {"a": []}, set(), ([], "x"))


@pytest.mark.parametrize("keys", [None, 5, "Crate:a", b"Crate:a"])
def test_get_many_refuses_what_is_no_list(fake: Any, keys: Any):
    crate()
    with pytest.raises(QueryException, match="must be a list of keys"):
        Crate.query.get_many(keys)
    with pytest.raises(QueryException, match="must be a list of keys"):
        asyncio.run(Crate.query.async_get_many(keys))


def test_each_instance_has_its_defaults_for_itself(fake: Any):
    # D46
    one, other = Crate(name="1"), Crate(name="2")
    change(one)
    assert (values(other), values(Crate(name="3"))) == (FRESH, FRESH)


def test_rows_that_lack_a_field_have_its_default_for_themselves(store: Any, plain: Any):
    # D46
    for name in "ab":
        plain.hset(f"Crate:{name}", "name", b"\xa1" + name.encode())
        plain.sadd("$Class:Crate", f"Crate:{name}")
    one, other = Crate.query.order_by("name")
    change(one)
    assert values(other) == FRESH
    one.save()
    assert values(Crate.load(name="a")) == ([1], {"a": [1]}, {1}, ([1], "x"))
    assert values(Crate.load(name="b")) == FRESH


def test_rows_that_are_given_one_value_have_it_for_themselves(fake: Any):
    rows = Crate.bulk_create([Crate(name="1"), Crate(name="2")])
    Crate.bulk_update(rows, items=[0], labels={"a": []}, pair=([], "y"))
    change(rows[0])
    assert (rows[1].items, rows[1].labels, rows[1].pair) == ([0], {"a": []}, ([], "y"))


def test_load_makes_the_key_of_defaults_where_values_are_missing(store: Any, plain: Any):
    class Branch(Model):
        city = KeyField(default="Rome")
        name = KeyField()

    for city in ("Rome", "Oslo"):
        Branch.create(city=city, name="a")
    found = Branch.load(name="a")
    assert found is not None
    assert found.city == "Rome"
    with pytest.raises(QueryException, match=r"Branch.load.*give name=\.\.\."):
        Branch.load(city="Rome")
    with pytest.raises(QueryException, match=r"give name=\.\.\."):
        asyncio.run(Branch.async_load(city="Rome"))


def test_load_without_its_generated_key_takes_no_other_row(store: Any, plain: Any):
    class Slip(Model):
        text = IndexedField()

    slip = Slip.create(text="only")
    assert Slip.load(slip.pk) == slip
    with pytest.raises(QueryException, match=r"give _auto_key=\.\.\."):
        Slip.load(text="only")
