"""Whole databases of 1.x: rows are changed, renamed and deleted, and leave no entry of what they were."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from data_of_1x import ROWS, Left, Price, Word, XLay, load
from rows_of_1x import held, on_each, on_sound, wanted
from stored import keyspace

from popoto import Model, ModelException

OTHERS: dict[type, Any] = {
    str: "other", bool: False, int: 77, float: 77.5, bytes: b"other", list: ["o"], dict: {"o": 1}, set: {"o"},
    tuple: (7.0, 8.0), Decimal: Decimal("77.70"), date: date(2030, 1, 1), datetime: datetime(2030, 1, 1),
    time: time(3),
}  # fmt: skip
INDEXES: dict[type[Model], dict[str, tuple[str, ...]]] = {
    XLay: {"status": ("status", "part", "status:flag"), "flag": ("part", "status:flag")},
    Word: {"kind": ("kind", "rank")},
    Left: {"st": ("st", "p", "st:c"), "c": ("st:c",)},
}


def others(model: type[Model], name: str) -> Any:
    field = model._meta.fields[name]
    return f"{field.related()._meta.model_name}:other" if field.code == "r" else OTHERS[field.type]


def of_index(entries: set[tuple[bytes, float | None]], model: type[Model], names: tuple[str, ...]) -> Any:
    marks = tuple(f"F:{model.__name__}:{name}".encode() for name in names) + tuple(
        f"$Index:{model.__name__}:{name}".encode() for name in names
    )
    return {one for one in entries if any(mark + b":" in one[0] + b":" for mark in marks)}


@on_each
@pytest.mark.parametrize("whole", [False, True], ids=["partial", "whole"])
def test_changing_a_field_leaves_no_entry_of_its_old_value(
    store: Any, plain: Any, dump: str, model: type[Model], whole: bool
):
    for pk, values in ROWS[model].items():
        for name, field in model._meta.fields.items():
            if field.key:
                continue
            plain.flushall()
            load(plain, dump)
            before, stored = held(plain, model, pk), plain.hgetall(pk)
            row = model.load(db_key=pk)
            setattr(row, name, others(model, name))
            row.save(update_fields=None if whole else [name])
            changed = INDEXES.get(model, {}).get(name, (name,))
            touched = of_index(before, model, changed)
            true = wanted(plain, model, pk)
            after = held(plain, model, pk)
            # D1, D2, D55: what no stored value tells of is left to the next cleaning.
            stale = {one for one in touched if not _is_of(one, values)} if dump == "leftovers" else set()
            assert of_index(after, model, changed) - stale == of_index(true, model, changed), (pk, name)
            assert after - of_index(after, model, changed) == before - touched, (pk, name)
            assert {key: value for key, value in plain.hgetall(pk).items() if key != name.encode()} == {
                key: value for key, value in stored.items() if key != name.encode()
            }
            assert plain.hget(pk, name) == field.encode(others(model, name))


def _is_of(entry: tuple[bytes, float | None], values: dict[str, Any]) -> bool:
    """Whether an entry of a leftover row is one that its stored values tell of."""
    parts = entry[0].decode().split(":", 3)
    return len(parts) < 4 or parts[3] in {str(value) for value in values.values()} or len(parts) == 3


@on_each
def test_deleting_a_row_leaves_no_entry_of_it(store: Any, plain: Any, dump: str, model: type[Model]):
    for pk in ROWS[model]:
        plain.flushall()
        load(plain, dump)
        told = wanted(plain, model, pk)
        others_before = {one: held(plain, model, one) for one in ROWS[model] if one != pk}
        assert model.load(db_key=pk).delete() is True
        left = held(plain, model, pk)
        assert left & told == set()
        assert left == set() or dump == "leftovers"
        assert not plain.exists(pk)
        assert not plain.sismember(f"$Class:{model.__name__}", pk)
        assert {one: held(plain, model, one) for one in others_before} == others_before


@on_sound
def test_deleting_every_row_leaves_nothing(store: Any, plain: Any, dump: str, model: type[Model]):
    load(plain, dump)
    assert model.delete_all() == len(ROWS[model])
    name = model.__name__.encode()
    assert [key for key in keyspace(plain) if key.startswith(b"$") and key.split(b":")[1] == name] == []
    assert not list(plain.scan_iter(match=f"{model.__name__}:*"))


def test_values_that_stale_entries_held_are_free(store: Any, plain: Any):
    load(plain, "leftovers")
    Left.create(k="new", e="eold", st="x", c="z")
    Left.create(k="newer", e="egone", st="x", c="gone")
    with pytest.raises(ModelException, match="taken"):
        Left.create(k="newest", e="eb")
    with pytest.raises(ModelException, match="taken"):
        Left.create(k="newest", e="free", st="x", c="y:z")
    assert Left.query.count(st="x") == 4
    assert set(plain.smembers("$UniquF:Left:e:eold")) == {b"Left:new"}


def test_rows_of_old_keys_are_renamed_incremented_and_replaced(store: Any, plain: Any):
    load(plain, "spellings")
    assert Word.query.get(text="None").atomic_increment("rank", 9) == 10
    assert plain.zrange("$SortF:Word:rank:/None", 0, -1, withscores=True) == [(b"Word:None", 10.0)]
    assert not plain.zscore("$SortF:Word:rank:None", "Word:None")
    row = Word.query.get(text="{&#58;}")
    row.text = "plain"
    row.save(migrate_key=True)
    assert plain.exists("Word:{&#58;}") == 0
    assert held(plain, Word, "Word:plain") == wanted(plain, Word, "Word:plain")
    assert held(plain, Word, "Word:{&#58;}") == set()
    row = Price.query.get(money=Decimal("1.10"), real=-0.0)
    row.kind = "y"
    assert Price.bulk_update([row], kind="z") == 1
    assert held(plain, Price, row.pk) & {(b"$IndexF:Price:kind:x", None), (b"$IndexF:Price:kind:y", None)} == set()
    assert Price.query.count(kind="z") == 1
    assert Price.bulk_delete(Price.query.all()) == 2
    assert [key for key in keyspace(plain) if b"Price" in key] == []
