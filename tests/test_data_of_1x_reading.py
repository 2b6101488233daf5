"""Whole databases of 1.x: every row is read on every path and found by every lookup."""

from __future__ import annotations

from typing import Any

from data_of_1x import ROWS, Left, load
from questions_of_1x import questions, unindexed
from rows_of_1x import exactly, on_each, on_sound, state
from stored import keyspace

from popoto import Model


@on_each
def test_each_row_is_read_alike_on_every_path(store: Any, plain: Any, dump: str, model: type[Model]):
    load(plain, dump)
    before = keyspace(plain)
    for pk, values in ROWS[model].items():
        by_key = model.load(db_key=pk)
        by_keys = model.query.get_many([pk.encode()])[0]
        found = [row for row in model.query.all() if row.pk == pk]
        for row in (by_key, by_keys, *found):
            assert state(row) == exactly(values)
        assert len(found) == 1
        names = {name: values[name] for name in model._meta.key_order}
        if names and pk != "Left:d":
            assert model.query.get(**names).pk == pk
    assert sorted(row.pk for row in model.query.all()) == sorted(ROWS[model])
    assert keyspace(plain) == before


@on_sound
def test_each_lookup_finds_the_rows_that_it_means(store: Any, plain: Any, dump: str, model: type[Model]):
    load(plain, dump)
    asked = list(questions(model))
    for keywords, means in asked:
        rows = {pk for pk, values in ROWS[model].items() if means(values)} - unindexed(plain, model, keywords)
        query = model.query.filter(**keywords)
        assert sorted(row.pk for row in query) == sorted(rows), keywords
        assert model.query.count(**keywords) == query.count() == len(rows), keywords
        assert model.query.filter(**keywords).exists() == bool(rows)
    assert len(asked) >= len(model._meta.fields)
    assert model.query.count() == len(ROWS[model])


@on_each
def test_order_and_values_are_of_the_stored_rows(store: Any, plain: Any, dump: str, model: type[Model]):
    load(plain, dump)
    for name, field in model._meta.fields.items():
        if field.type in (dict, set, list, tuple) or field.code == "r" or getattr(field, "partition_by", ()):
            continue
        values = sorted(row[name] for row in ROWS[model].values() if row[name] is not None)
        rows = model.query.all(order_by=name)
        assert sorted(row.pk for row in rows) == sorted(ROWS[model]), name
        assert [getattr(row, name) for row in rows if getattr(row, name) is not None] == values, name
        if len(values) == len(rows):
            # None in a sorted field has no place in the index that a limit walks.
            assert [row.pk for row in model.query.all(order_by=name, limit=1)] == [rows[0].pk], name
        listed = model.query.all(values=(name,))
        assert sorted(repr(one[name]) for one in listed) == sorted(repr(row[name]) for row in ROWS[model].values())


def test_stale_entries_never_show_in_answers(store: Any, plain: Any):
    load(plain, "leftovers")
    for keywords, means in questions(Left):
        rows = {pk for pk, values in ROWS[Left].items() if means(values)}
        found = {row.pk for row in Left.query.filter(**keywords)}
        assert found <= rows, keywords
        assert Left.query.count(**keywords) == len(found), keywords
    assert {row.pk for row in Left.query.filter(st="x")} == {"Left:b", "Left:d"}
    assert Left.query.count(st="x") == 2
    assert Left.query.filter(e="eold").all() == Left.query.filter(e="egone").all() == []
    assert Left.query.filter(r="LeftTo:old").all() == []
    assert [row.pk for row in Left.query.filter(g=(1, 2), g_radius=10)] == ["Left:a"]
    # count() without a filter takes the class set at its word, so that it costs the same for any number of rows.
    assert Left.query.count() == 5
    assert len(Left.query.all()) == 4
