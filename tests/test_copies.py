"""Instances, queries, conditions and errors, copied and sent to other processes."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from popoto import IndexedField, IntField, KeyField, ListField, Model, Q, exceptions

WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda one: pickle.loads(pickle.dumps(one)),
}


class Stamp(Model):
    name = KeyField()
    place = IndexedField()
    worth = IntField(default=1)
    marks = ListField(max_length=3)


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_of_a_row_is_that_row(store: Any, plain: Any, way: str):
    Stamp.create(name="a", place="x", marks=["m"])
    row = WAYS[way](Stamp.query.filter(name="a").first())
    row.worth = 5
    row.save()
    assert plain.hget("Stamp:a", "worth") == b"\x05"
    assert plain.smembers("$IndexF:Stamp:place:x") in ({b"Stamp:a"}, [b"Stamp:a"])
    assert (row, row.place, list(row.marks)) == (Stamp.load(name="a"), "x", ["m"])
    row.marks.push("n")
    assert plain.lrange("Stamp:a::marks", 0, -1) == [b"\xa1n", b"\xa1m"]


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_of_a_query_or_a_condition_asks_the_same(store: Any, way: str):
    for name in ("a", "b", "c"):
        Stamp.create(name=name, place="x" if name == "a" else "y")
    condition = ~Q(place="x") & (Q(name="b") | Q(name="a"))
    assert [row.name for row in Stamp.query.filter(WAYS[way](condition))] == ["b"]
    query = WAYS[way](Stamp.query.filter(condition, order_by="name"))
    assert [row.name for row in query] == ["b"]
    assert repr(WAYS[way](condition)) == repr(condition)


ERRORS = [one for _, one in inspect.getmembers(exceptions, inspect.isclass) if issubclass(one, Exception)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ERRORS)
def test_a_copy_of_an_error_says_the_same(kind: type[Exception], way: str):
    words = ("ERR", "no") if issubclass(kind, exceptions.ReplyError) else ("no",)
    error = kind(*words)
    error.add_note("why")
    same = WAYS[way](error)
    assert (type(same), str(same), same.__dict__) == (kind, str(error), error.__dict__)
