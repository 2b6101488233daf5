"""Whole databases of 1.x: every row is read, found by every lookup, changed, renamed, deleted and rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from data_of_1x import CANONICAL, DUMPS, MODELS, ROWS, Left, Memo, Price, Word, XLay, load
from stored import actual_entries, entries, keyspace, stray_entries

from popoto import Model, ModelException
from popoto.models import care

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
BOOKS = {b"$Class", b"$Exp", b"$Rcpt"}
EACH = [(dump, model) for dump in DUMPS for model in MODELS[dump]]
SOUND = [(dump, model) for dump, model in EACH if dump != "leftovers"]
on_each = pytest.mark.parametrize(("dump", "model"), EACH, ids=lambda one: getattr(one, "__name__", one))
on_sound = pytest.mark.parametrize(("dump", "model"), SOUND, ids=lambda one: getattr(one, "__name__", one))


def state(row: Model) -> dict[str, str]:
    """A row's values, told apart by their types; of references the keys."""
    fields = row._meta.fields
    return exactly(
        {name: field.compared(row) if field.code == "r" else getattr(row, name) for name, field in fields.items()}
    )


def exactly(values: dict[str, Any]) -> dict[str, str]:
    return {name: repr(tuple(value) if isinstance(value, tuple) else value) for name, value in values.items()}


def identity(model: type[Model], values: dict[str, Any]) -> tuple[str, ...]:
    return tuple(repr(values[name]) for name in model._meta.key_order)


def others(model: type[Model], name: str) -> Any:
    field = model._meta.fields[name]
    return f"{field.related()._meta.model_name}:other" if field.code == "r" else OTHERS[field.type]


def held(plain: Any, model: type[Model], pk: str) -> set[tuple[bytes, float | None]]:
    """The index entries that name a row, class set and ledger left out."""
    found = set()
    for key, content in keyspace(plain).items():
        family, _, rest = key.partition(b":")
        if rest.split(b":")[0] == model.__name__.encode() and family.startswith(b"$") and family not in BOOKS:
            found |= {(entry, place) for entry, member, place in actual_entries(key, content) if member == pk.encode()}
    return found


def wanted(plain: Any, model: type[Model], pk: str) -> set[tuple[bytes, float | None]]:
    """The entries that a row should have, spelled as 2.0 does."""
    key = pk.encode()
    named = [one for one in entries(model, key, plain.hgetall(key)) if one[1] == key]
    return {(entry, place) for entry, _, place in named if b"$Class" not in entry}


def of_index(entries: set[tuple[bytes, float | None]], model: type[Model], names: tuple[str, ...]) -> Any:
    marks = tuple(f"F:{model.__name__}:{name}".encode() for name in names) + tuple(
        f"$Index:{model.__name__}:{name}".encode() for name in names
    )
    return {one for one in entries if any(mark + b":" in one[0] + b":" for mark in marks)}


Question = tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]


def questions(model: type[Model]) -> Iterator[Question]:
    """Keywords of a filter, and which rows they mean."""
    for name, field in model._meta.fields.items():
        values = [row[name] for row in ROWS[model].values()]
        if field.index is not None and field.index.kind == "G":
            yield from _circles(name, values)
            continue
        parts = getattr(field, "partition_by", ())
        for row in ROWS[model].values():
            within = {part: row[part] for part in parts}

            def there(other: dict[str, Any], within: dict[str, Any] = within) -> bool:
                return all(other[part] == value for part, value in within.items())

            value = row[name]
            yield from _exact(model, name, value, within, there)
            if value is not None and name in model._meta.sorted_field_names:
                yield from _ranges(name, value, within, there)
        if not parts and field.index is not None and "in" in field.lookups:
            yield {f"{name}__in": values[:2]}, lambda row, name=name, some=values[:2]: row[name] in some
        if field.type is str and (field.key or field.indexed or field.unique) and field.code == "s" and not field.auto:
            yield from _texts(name, [value for value in values if value])


def _exact(model: type[Model], name: str, value: Any, within: dict[str, Any], there: Any) -> Iterator[Question]:
    if value is not None or not (within or name in model._meta.sorted_field_names):
        yield {**within, name: value}, lambda row: there(row) and row[name] == value


def _ranges(name: str, value: Any, within: dict[str, Any], there: Any) -> Iterator[Question]:
    tests: dict[str, Callable[[Any], bool]] = {
        "gte": lambda other: other >= value,
        "gt": lambda other: other > value,
        "lte": lambda other: other <= value,
        "lt": lambda other: other < value,
    }
    for lookup, test in tests.items():
        yield (
            {**within, f"{name}__{lookup}": value},
            lambda row, test=test: there(row) and row[name] is not None and test(row[name]),
        )
    yield {**within, f"{name}__between": (value, value)}, lambda row: there(row) and row[name] == value


def _texts(name: str, values: list[str]) -> Iterator[Question]:
    for value in values:
        for lookup, part, test in (
            ("startswith", value[:1], str.startswith),
            ("endswith", value[-1:], str.endswith),
            ("contains", value[:2], str.__contains__),
        ):
            yield (
                {f"{name}__{lookup}": part},
                lambda row, part=part, test=test: row[name] is not None and test(row[name], part),
            )
    yield {f"{name}__isnull": True}, lambda row: row[name] is None
    yield {f"{name}__isnull": False}, lambda row: row[name] is not None


def _circles(name: str, values: list[Any]) -> Iterator[Question]:
    for place in values:
        if place[0] is not None:
            yield {name: place, f"{name}_radius": 10}, lambda row, place=place: row[name] == place


def unindexed(plain: Any, model: type[Model], keywords: dict[str, Any]) -> set[str]:
    """Rows without an entry for what is asked, until they are rebuilt: the field is new, or a reference to nothing."""
    names = {word.partition("__")[0] for word in keywords} & model._meta.fields.keys()
    indexed = [model._meta.fields[name] for name in names if model._meta.fields[name].index is not None]
    return {
        pk
        for pk, row in ROWS[model].items()
        if any(not plain.hexists(pk, one.name) or (one.code == "r" and row[one.name] is None) for one in indexed)
    }


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


@on_each
def test_a_rebuild_brings_a_model_fully_up(store: Any, plain: Any, dump: str, model: type[Model]):
    load(plain, dump)
    plain.expire(next(iter(ROWS[model])), 1000)
    stored = {pk: plain.hgetall(pk) for pk in ROWS[model]}
    assert model.rebuild_indexes() == len(ROWS[model])
    moved = {pk: CANONICAL.get(pk, pk) for pk in ROWS[model]}
    assert sorted(plain.smembers(f"$Class:{model.__name__}")) == sorted(pk.encode() for pk in moved.values())
    for pk, key in moved.items():
        row = plain.hgetall(key)
        assert {name: row[name] for name in stored[pk]} == stored[pk]
        assert pk == key or not plain.exists(pk)
        assert held(plain, model, key) == wanted(plain, model, key)
        assert state(model.load(db_key=key)) == exactly(ROWS[model][pk])
        found = model.query.get(**{name: ROWS[model][pk][name] for name in model._meta.key_order})
        assert found is not None and found.pk == key
    assert 900 < plain.ttl(moved[next(iter(ROWS[model]))]) <= 1000
    ghosts = {entry for entry in stray_entries(plain, model) if ":ghost" not in entry}
    assert ghosts == set()
    assert model.check_indexes()["total"] == 0
    assert model.query.count() == len(ROWS[model])
    for keywords, means in questions(model):
        rows = {moved[pk] for pk, values in ROWS[model].items() if means(values)}
        assert {row.pk for row in model.query.filter(**keywords)} == rows, keywords
        assert model.query.count(**keywords) == len(rows), keywords
    before = keyspace(plain)
    assert model.rebuild_indexes() == len(ROWS[model])
    after = keyspace(plain)
    # The ledger's milliseconds are of the moment when it was looked at.
    assert {key: after[key] for key in after if b"$Exp" not in key} == {
        key: before[key] for key in before if b"$Exp" not in key
    }


def test_references_follow_the_rows_that_a_rebuild_moves(store: Any, plain: Any):
    load(plain, "spellings")
    Word.rebuild_indexes()
    memo = "Memo:0123456789abcdef0123456789abcdef"
    assert plain.hget(memo, "word") == b"\xaaWord:/None"
    assert held(plain, Memo, memo) == {(b"$RelationshipF:Memo:word:Word:/None", None)}
    assert Memo.query.get(text="m").word.text == "None"
    assert [row.pk for row in Memo.query.filter(word__code="None")] == [memo]
    assert [row.text for row in Memo.query.filter(word="Word:{/&#58;}")] == [None]


def test_references_that_a_crash_left_behind_follow_at_the_next_rebuild(store: Any, plain: Any):
    load(plain, "spellings")
    Word.rebuild_indexes()
    for key in list(plain.scan_iter(match="*Memo*")):
        plain.delete(key)
    words = keyspace(plain)
    plain.flushall()
    load(plain, "spellings")
    for key in list(plain.scan_iter(match="*Word*")):
        if b"Memo" not in key:
            plain.delete(key)
    for key, content in words.items():
        if isinstance(content, set):
            plain.sadd(key, *content)
        elif key.startswith(b"$") and key != b"$Vals:Word":
            plain.zadd(key, content)
        else:
            plain.hset(key, mapping=content)
    assert Word.rebuild_indexes() == 6
    assert Memo.query.get(text="m").word.text == "None"


def test_a_reference_to_nothing_does_not_follow_while_its_row_is_there(store: Any, plain: Any):
    Word.create(text=None, code="nil", rank=0)
    Word.create(text="None", code="None", rank=0)
    Memo.create(word="Word:None", text="m")
    Word.rebuild_indexes()
    assert Memo.query.get(text="m").word.code == "nil"


def test_a_row_never_moves_onto_a_taken_key(store: Any, plain: Any):
    load(plain, "spellings")
    Price.create(money=Decimal("1.1"), real=0.0, kind="y", place=Decimal(1))
    taken = plain.hgetall("Price:1.1:0.0")
    with pytest.raises(
        ModelException, match=r"'Price:1.10:/-0.0' belongs under the key 'Price:1.1:0.0', which another"
    ):
        Price.rebuild_indexes()
    assert plain.hgetall("Price:1.1:0.0") == taken
    assert set(plain.smembers("$Class:Price")) == {b"Price:1.1:0.0", b"Price:1.10:/-0.0", b"Price:0:1.0"}
    assert Price.check_indexes()["total"] == 0
    assert stray_entries(plain, Price) == []
    Price.load(db_key="Price:1.1:0.0").delete()
    assert Price.rebuild_indexes() == 2
    assert set(plain.smembers("$Class:Price")) == {b"Price:1.1:0.0", b"Price:0:1.0"}


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


def test_a_rebuild_that_stops_leaves_each_row_under_one_key(store: Any, plain: Any, monkeypatch: pytest.MonkeyPatch):
    load(plain, "spellings")
    calls: list[int] = []
    go_on = care.redirect

    async def stop(*given: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        await go_on(*given)

    one_by_one = care.scan
    monkeypatch.setattr(care, "scan", lambda cursor, match, count=1: one_by_one(cursor, match=match, count=1))
    monkeypatch.setattr(care, "redirect", stop)
    with pytest.raises(KeyboardInterrupt):
        Word.rebuild_indexes()
    rows = {key for key in plain.scan_iter(match="Word:*")}
    assert set(plain.smembers("$Class:Word")) == rows
    assert len(rows) == 6
    assert sorted(row.text for row in Word.query.all()) == sorted(row["text"] for row in ROWS[Word].values())
    for key in rows:
        held_now = {entry for entry, _ in held(plain, Word, key.decode())}
        assert len(held_now) == len(Word._meta.row_indexes)
    monkeypatch.undo()
    assert Word.rebuild_indexes() == 6
    assert stray_entries(plain, Word) == []


def test_a_row_that_is_changed_meanwhile_moves_all_the_same(store: Any, plain: Any, monkeypatch: pytest.MonkeyPatch):
    load(plain, "spellings")
    read = care.rows_under
    changes = [b"\x08", b"\x09"]

    async def rows_under(*given: Any) -> Any:
        rows = await read(*given)
        if changes:
            plain.hset("Word:None", "rank", changes.pop(0))
        return rows

    monkeypatch.setattr(care, "rows_under", rows_under)
    assert Word.rebuild_indexes() == 6
    assert plain.hget("Word:/None", "rank") == b"\x09"
    assert plain.zscore("$SortF:Word:rank:/None", "Word:/None") == 9
    assert stray_entries(plain, Word) == []


def test_a_row_that_others_change_every_time_is_named(fake: Any, plain: Any, monkeypatch: pytest.MonkeyPatch):
    load(plain, "spellings")
    read, numbers = care.rows_under, iter(range(100))

    async def rows_under(*given: Any) -> Any:
        rows = await read(*given)
        plain.hset("Word:None", "rank", bytes([next(numbers)]))
        return rows

    monkeypatch.setattr(care, "rows_under", rows_under)
    with pytest.raises(ModelException, match="'Word:None' was changed by others whenever"):
        Word.rebuild_indexes()
    assert plain.exists("Word:None")
