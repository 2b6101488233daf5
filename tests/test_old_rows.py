"""Rows written by 1.x are read, queried, changed and deleted, whatever it left behind."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from stored import keyspace, stray_entries

from popoto import (
    DictField,
    Field,
    FloatField,
    IndexedField,
    KeyField,
    Model,
    ModelException,
    SortedField,
    UniqueField,
    round_trips,
)


class Old(Model):
    name = KeyField()
    kind = IndexedField()
    code = UniqueField()
    rank = SortedField()
    part = SortedField(type=int, partition_by=("kind",))
    money = IndexedField(type=Decimal)
    real = FloatField()
    table = DictField()
    day = Field(type=date)
    moment = Field(type=datetime)


def tagged(tag: str, payload: str, *, swapped: bool = False) -> bytes:
    """A tagged map of 1.x; its increments in Lua wrote the two keys in either order."""
    mark = bytes([0xA0 + len(tag)]) + tag.encode() + b"\xc3"
    text = b"\xacas_encodable" + bytes([0xA0 + len(payload)]) + payload.encode()
    return b"\x82" + (text + mark if swapped else mark + text)


ROW = {
    "name": b"\xa1a",
    "kind": b"\xa1x",
    "code": b"\xa1c",
    "rank": b"\xcb" + bytes.fromhex("4012000000000000"),
    "part": b"\x09",
    "money": tagged("__Decimal__", "1.10"),
    "real": b"\x03",
    "table": b"\x81\xa1a\x01",
    "day": tagged("__date__", "20240102"),
    "moment": tagged("__datetime__", "20240102T03:04:05.000006"),
}


def write(plain: Any, key: str = "Old:a", **changed: bytes) -> None:
    """A row with the entries that 1.x gave it."""
    plain.hset(key, mapping=ROW | changed)
    for index in ("$Class:Old", "$IndexF:Old:kind:x", "$UniquF:Old:code:c", "$IndexF:Old:money:1.10"):
        plain.sadd(index, key)
    plain.sadd(f"$KeyF:Old:name:{key.partition(':')[2]}", key)
    plain.zadd("$SortF:Old:rank", {key: 4.5})
    plain.zadd("$SortF:Old:part:x", {key: 9})


def the_row() -> Old:
    found = Old.query.get(name="a")
    assert found is not None
    return found


def test_an_old_row_is_read(store: Any, plain: Any):
    write(plain)
    row = the_row()
    assert (row.kind, row.code, row.rank, row.part, row.money) == ("x", "c", 4.5, 9, Decimal("1.10"))
    assert (row.table, row.day, row.moment) == ({"a": 1}, date(2024, 1, 2), datetime(2024, 1, 2, 3, 4, 5, 6))
    assert (type(row.real), row.real) == (float, 3.0)


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"name": "a"},
        {"kind": "x"},
        {"code": "c"},
        {"rank__gte": 4.5},
        {"kind": "x", "part": 9},
        {"money": Decimal("1.10")},
        {"money__in": [Decimal("1.10"), Decimal("7")]},
        {"real": 3},
        {"day": date(2024, 1, 2)},
    ],
    ids=lambda one: "-".join(one) or "all",
)
def test_an_old_row_is_found(store: Any, plain: Any, keywords: dict[str, Any]):
    write(plain)
    assert [row.pk for row in Old.query.filter(**keywords)] == ["Old:a"]
    assert Old.query.count(**keywords) == 1


def test_an_old_row_is_deleted_with_all_its_entries(store: Any, plain: Any):
    write(plain)
    assert the_row().delete() is True
    assert keyspace(plain) == {}


def test_changing_an_old_row_moves_its_entries(store: Any, plain: Any):
    write(plain)
    row = the_row()
    row.kind, row.code, row.money = "y", "d", Decimal("2.5")
    row.save()
    assert stray_entries(plain, Old) == []
    assert {key for key in keyspace(plain) if b"1.10" in key or b":x" in key} == set()


def test_saving_an_old_row_unchanged_leaves_its_bytes(store: Any, plain: Any):
    write(plain)
    before = keyspace(plain)
    row = the_row()
    assert (row.money, row.real) == (Decimal("1.10"), 3.0)
    row.save()
    assert plain.hgetall("Old:a")[b"money"] == ROW["money"]
    assert plain.hgetall("Old:a")[b"table"] == ROW["table"]
    assert before.keys() >= {key for key in keyspace(plain) if b"money" not in key}
    assert Old.query.count(money=Decimal("1.10")) == 1


def test_an_equal_decimal_of_another_spelling_finds_an_old_row_once_it_was_written_anew(store: Any, plain: Any):
    # 1.x had a set for each spelling; which of them a row is in, only its own bytes tell.
    write(plain)
    row = the_row()
    row.money = Decimal("1.100")
    row.save()
    assert Old.query.count(money=Decimal("1.1")) == Old.query.count(money=Decimal("1.10")) == 1
    assert stray_entries(plain, Old) == []


def test_replacing_an_old_row_removes_its_old_spellings(store: Any, plain: Any):
    write(plain)
    Old.create(name="a", kind="y", code="c", rank=1, part=1, money=Decimal("1.1"))
    assert stray_entries(plain, Old) == []


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("text", ["1.10", "1.2345678901235E+16", "-0", "1E-7", "0.00"])
def test_decimals_of_either_order_are_read_and_moved(store: Any, plain: Any, swapped: bool, text: str):
    write(plain, money=tagged("__Decimal__", text, swapped=swapped))
    plain.srem("$IndexF:Old:money:1.10", "Old:a")
    part = str(Decimal(text)).replace("-", "/-")
    plain.sadd(f"$IndexF:Old:money:{part}", "Old:a")
    row = the_row()
    assert row.money == Decimal(text)
    assert Old.query.count(money=Decimal(text)) == 1
    row.money = None  # type: ignore[assignment]
    row.save()
    assert stray_entries(plain, Old) == []


@pytest.mark.parametrize("raw", [b"\x03", b"\xca@@\x00\x00", b"\xcb@\x08\x00\x00\x00\x00\x00\x00"])
def test_floats_written_by_increments_are_floats(store: Any, plain: Any, raw: bytes):
    write(plain, rank=raw, real=raw)
    plain.zadd("$SortF:Old:rank", {"Old:a": 3})
    row = Old.query.filter(rank=3.0)[0]
    assert (repr(row.rank), repr(row.real)) == ("3.0", "3.0")
    row.rank = 4.0
    row.save()
    assert [one for one in stray_entries(plain, Old) if "money" not in one] == []


def test_stale_entries_of_1x_find_nothing_and_harm_nothing(store: Any, plain: Any):
    write(plain)
    plain.sadd("$IndexF:Old:kind:old", "Old:a")
    plain.sadd("$UniquF:Old:code:old", "Old:a", "Old:gone")
    plain.zadd("$SortF:Old:part:old", {"Old:a": 9})
    plain.sadd("$Class:Old", "Old:gone")
    plain.sadd("$IndexF:Old:kind:x", "Old:gone")
    assert Old.query.filter(kind="old").all() == Old.query.filter(code="old").all() == []
    assert Old.query.count(kind="old") == Old.query.count(kind="old", part=9) == 0
    assert [row.pk for row in Old.query.all()] == ["Old:a"]
    assert Old.query.count(kind="x") == 1
    Old.create(name="b", code="old", rank=0, part=0)
    assert set(plain.smembers("$UniquF:Old:code:old")) == {b"Old:b"}


def test_keys_of_old_spelling_are_found_changed_and_deleted(store: Any, plain: Any):
    write(plain, "Old:a{&#58;}b", name=b"\xa9a{&#58;}b")
    plain.sadd("$KeyF:Old:name:a{&#58;}b", "Old:a{&#58;}b")
    found = Old.query.get(name="a{&#58;}b")
    assert found is not None and found.pk == "Old:a{&#58;}b"
    assert Old.query.get(name="a:b") is None
    assert [row.pk for row in Old.query.filter(name="a{&#58;}b")] == ["Old:a{&#58;}b"]
    found.kind = "y"
    found.save()
    assert plain.hget("Old:a{&#58;}b", "kind") == b"\xa1y"
    assert found.delete() is True
    assert keyspace(plain) == {}


def test_the_text_none_of_1x_is_not_none(store: Any, plain: Any):
    write(plain, "Old:None", name=b"\xa4None", kind=b"\xa4None")
    plain.sadd("$KeyF:Old:name:None", "Old:None")
    plain.srem("$IndexF:Old:kind:x", "Old:None")
    plain.sadd("$IndexF:Old:kind:None", "Old:None")
    plain.delete("$SortF:Old:part:x")
    plain.zadd("$SortF:Old:part:None", {"Old:None": 9})
    assert Old.query.get(name=None) is None
    assert [row.pk for row in Old.query.filter(kind="None")] == ["Old:None"]
    assert (Old.query.count(kind="None"), Old.query.count(kind=None)) == (1, 0)
    assert Old.query.count(kind="None", part=9) == 1
    assert Old.query.filter(kind=None).all() == []
    row = Old.query.get(name="None")
    assert row is not None
    row.kind = "y"
    row.save()
    assert plain.exists("$IndexF:Old:kind:None", "$SortF:Old:part:None") == 0
    assert row.delete() is True
    assert keyspace(plain) == {}


def test_a_row_that_lacks_fields_has_their_defaults(store: Any, plain: Any):
    class Later(Model):
        k = KeyField()
        kind = IndexedField(default="d")
        rank = SortedField(default=1.0)
        number = Field(type=int, default=5)

    plain.hset("Later:a", "k", b"\xa1a")
    plain.sadd("$Class:Later", "Later:a")
    row = Later.query.get(k="a")
    assert row is not None
    assert (row.kind, row.rank, row.number) == ("d", 1.0, 5)
    row.number = 6
    row.save()
    assert plain.hget("Later:a", "number") == b"\x06"
    assert (
        stray_entries(plain, Later) == ["missing (b'$KeyF:Later:k:a', b'Later:a', None)"]
        or stray_entries(plain, Later) == []
    )
    assert row.delete() is True


def test_years_before_1000_were_not_padded(store: Any, plain: Any):
    write(plain, day=tagged("__date__", "9991001"), moment=tagged("__datetime__", "9991001T00:00:00.000000"))
    row = the_row()
    assert (row.day, row.moment) == (date(999, 10, 1), datetime(999, 10, 1))


def test_unknown_fields_never_become_attributes(store: Any, plain: Any):
    write(plain)
    plain.hset("Old:a", mapping={"save": b"\x01", "_meta": b"\x01", "other": b"\x01", "__class__": b"\x01"})
    row = the_row()
    assert callable(row.save) and not hasattr(row, "other")
    row.kind = "y"
    row.save()
    assert plain.hget("Old:a", "other") == b"\x01"


def test_a_corrupt_indexed_value_can_be_replaced_and_deleted(store: Any, plain: Any):
    write(plain, money=b"\xc1garbage")
    row = the_row()
    with pytest.raises(ModelException, match=r"Old 'Old:a': the stored value of 'money' cannot be read"):
        _ = row.money
    row.money = Decimal(1)
    row.save()
    assert Old.query.count(money=1) == 1
    write(plain, money=b"\xc1garbage")
    assert the_row().delete() is True
    assert b"Old:a" not in keyspace(plain)


def spelled_row(plain: Any) -> None:
    write(plain, "Old:None", name=b"\xa4None", code=b"\xa1c")
    plain.sadd("$KeyF:Old:name:None", "Old:None")


@pytest.mark.parametrize("kind", ["x", "y"])
def test_a_create_replaces_the_row_of_an_old_spelling_under_its_new_key(store: Any, plain: Any, kind: str):
    spelled_row(plain)
    plain.hset("Old:None", "other", b"\x01")
    with round_trips() as trips:
        Old.create(name="None", kind=kind, code="c", rank=1, part=1)
    assert trips == 1
    assert [key for key in keyspace(plain) if key.startswith(b"Old:")] == [b"Old:/None"]
    assert plain.hexists("Old:/None", "other") == 0
    assert stray_entries(plain, Old) == []


def test_a_made_up_instance_deletes_the_row_of_an_old_spelling(store: Any, plain: Any):
    spelled_row(plain)
    assert Old(name="None").delete() is True
    assert keyspace(plain) == {}


def test_another_row_of_the_same_old_spelling_is_left_alone(store: Any, plain: Any):
    spelled_row(plain)
    plain.hset("Old:None", "name", b"\xc0")
    assert Old(name="None").delete() is False
    Old.create(name="None", code="d", rank=1, part=1)
    assert plain.hget("Old:None", "name") == b"\xc0"
    assert plain.hget("Old:/None", "name") == b"\xa4None"
    Old.create(name=None, kind="z", code="c", rank=1, part=1)
    assert plain.hget("Old:None", "kind") == b"\xa1z"
    assert stray_entries(plain, Old) == []


def test_a_row_is_not_renamed_onto_one_of_an_old_spelling(store: Any, plain: Any):
    spelled_row(plain)
    other = Old.create(name="b", code="d", rank=1, part=1)
    before = keyspace(plain)
    other.name = "None"
    with pytest.raises(ModelException, match="is stored already"):
        other.save(migrate_key=True)
    assert keyspace(plain) == before
    plain.hset("Old:None", "name", b"\xc0")
    other.save(migrate_key=True)
    assert {b"Old:None", b"Old:/None"} <= set(keyspace(plain))


@pytest.mark.parametrize("text", ["None", "{&#58;}"])
def test_a_unique_value_of_an_old_spelling_is_taken(store: Any, plain: Any, text: str):
    write(plain, code=bytes([0xA0 + len(text)]) + text.encode())
    plain.srem("$UniquF:Old:code:c", "Old:a")
    plain.sadd(f"$UniquF:Old:code:{text}", "Old:a", "Old:gone")
    before = keyspace(plain)
    with pytest.raises(ModelException, match="is taken by another row"):
        Old.create(name="b", code=text, rank=0, part=0)
    assert keyspace(plain) == before
    the_row().delete()
    Old.create(name="b", code=text, rank=0, part=0)
    assert Old.query.get(code=text).pk == "Old:b"
