"""Whole databases of 1.x: a rebuild brings every row fully up, with all that refers to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from data_of_1x import CANONICAL, ROWS, Memo, Price, Word, load
from questions_of_1x import questions
from rows_of_1x import exactly, held, on_each, state, wanted
from stored import keyspace, stray_entries

from popoto import Model, ModelException
from popoto.models import care


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
