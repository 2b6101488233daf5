"""startswith, endswith and contains: a list of distinct values, its completeness, and what is sent for an answer."""

from __future__ import annotations

import asyncio
import threading
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from stored import keyspace, stray_entries

from popoto import (
    AutoKeyField,
    Field,
    IndexedField,
    KeyField,
    Model,
    Q,
    SortedField,
    UniqueField,
    clock,
    round_trips,
)
from popoto.queries import fetch

TEXTS = [
    "plain", "a:b", "a*b", "a?b", "[ab]", "{a}", "{&#58;}", "{/&#58;}", "a\\b", "a/b", "a'b", "a-b", "//", "a b",
    "a\nb", "a\x00b", "éß", "日本", "🦊 fox", "", "None", "/None", "None:", "x" * 10_000, "^$", "%a.", "\x7f",
]  # fmt: skip
PIECES = [
    *TEXTS, ":", "*", "?", "[", "]", "{", "}", "\\", "/", "'", "-", " ", "\n", "\x00", "é", "本", "🦊", "None", "&#58;",
    "b", "x" * 9_999, "zz", "{&", "%", "[^a]", ".",
]  # fmt: skip
HOLDS: dict[str, Any] = {"startswith": str.startswith, "endswith": str.endswith, "contains": str.__contains__}


class Note(Model):
    day = KeyField(type=date, null=True)
    title = KeyField(max_length=None)
    mood = IndexedField(max_length=None)
    code = UniqueField(max_length=None)
    price = IndexedField(type=Decimal)
    rank = SortedField(type=int, default=0)
    text = Field()


class Word(Model):
    """A model whose only key tells the text: it has no list."""

    text = KeyField(max_length=None)
    length = SortedField(type=int, default=0)


class Number(Model):
    value = KeyField(type=Decimal)


class Generated(Model):
    key = AutoKeyField()
    kind = IndexedField()


def notes(texts: list[str] = TEXTS) -> None:
    Note.bulk_create(
        [Note(day=date(2024, 1, 2), title=text, mood=text, code=text, rank=n) for n, text in enumerate(texts)]
    )


@pytest.mark.parametrize("lookup", HOLDS)
def test_each_text_is_found_literally_and_counted(store: Any, lookup: str):
    notes()
    Note.create(title="nothing", mood=None, code="nothing", day=None)
    Word.bulk_create([Word(text=text) for text in TEXTS])
    for piece in PIECES:
        wanted = sorted(text for text in TEXTS if HOLDS[lookup](text, piece))
        found = sorted(row.mood for row in Note.query.filter(**{f"mood__{lookup}": piece}))
        assert found == wanted, piece
        assert Note.query.count(**{f"mood__{lookup}": piece}) == len(wanted), piece
        assert sorted(row.text for row in Word.query.filter(**{f"text__{lookup}": piece})) == wanted, piece
        assert Word.query.count(**{f"text__{lookup}": piece}) == len(wanted), piece
    assert stray_entries(store.native, Note) == []


@pytest.mark.parametrize("name", ["title", "code"])
def test_keys_and_unique_values_are_found_in_the_same_way(store: Any, name: str):
    notes()
    for piece in PIECES:
        wanted = sorted(text for text in TEXTS if piece in text)
        assert sorted(getattr(row, name) for row in Note.query.filter(**{f"{name}__contains": piece})) == wanted
        assert Note.query.count(**{f"{name}__contains": piece}) == len(wanted)


def test_other_types_are_found_by_their_canonical_text(store: Any):
    Note.create(title="a", day=date(2024, 1, 2), code="a", price=Decimal("1.50"))
    Note.create(title="b", day=date(2025, 1, 2), code="b", price=Decimal("-0"))
    Note.create(title="c", day=None, code="c", price=None)
    assert [row.title for row in Note.query.filter(day__startswith="2024-")] == ["a"]
    assert Note.query.count(day__contains="-01-") == 2
    assert [row.title for row in Note.query.filter(price__endswith=".5")] == ["a"]
    assert [row.title for row in Note.query.filter(price__startswith="0")] == ["b"]
    assert Note.query.count(price__contains="") == 2
    Number.bulk_create([Number(value=Decimal(text)) for text in ("1.10", "11", "2")])
    assert sorted(row.value for row in Number.query.filter(value__startswith="1")) == [Decimal("1.1"), Decimal(11)]
    assert Number.query.count(value__endswith="1") == 2


def test_half_a_character_is_in_no_text(store: Any):
    notes()
    assert Note.query.count(mood__contains="\ud83e") == 0
    assert list(Note.query.filter(mood__startswith="\ud83e")) == []


@pytest.mark.parametrize("lookup", ["startswith", "contains"])
def test_one_trip_brings_the_rows_that_match_and_a_count_brings_none(store: Any, sent: list[int], lookup: str):
    Note.bulk_create([Note(day=None, title=f"t{n}", mood=f"m{n % 50}", code=f"c{n}", rank=n) for n in range(300)])
    with round_trips() as trips:
        assert len(Note.query.filter(**{f"mood__{lookup}": "m1"}).all()) == 66
    assert (int(trips), sent) == (1, [66])
    with round_trips() as trips:
        assert Note.query.count(**{f"mood__{lookup}": "m1"}) == 66
        assert Note.query.count(**{f"mood__{lookup}": "m1", "rank__lt": 12}) == 3
    assert (int(trips), sent) == (2, [66])
    assert len(Note.query.filter(**{f"mood__{lookup}": "m1"}, order_by="-rank", limit=3).all()) == 3
    assert sent == [66, 3]


def test_the_only_key_keeps_no_list_and_sends_only_what_matches(store: Any, plain: Any, sent: list[int]):
    Word.bulk_create([Word(text=f"w{n}") for n in range(300)])
    assert [key for key in keyspace(plain) if key.startswith(b"$Vals")] == []
    with round_trips() as trips:
        assert {row.text for row in Word.query.filter(text__endswith="99")} == {"w99", "w199", "w299"}
        assert Word.query.count(text__startswith="w1") == 111
    assert (int(trips), sent) == (2, [3])


def test_a_list_has_each_value_that_a_row_holds_and_no_other(store: Any, plain: Any):
    for number in range(4):
        Note.create(day=None, title=f"t{number}", mood="same", code=f"c{number}")
    assert plain.zrange("$Vals:Note:mood", 0, -1) == [b"same"]
    one, other, third, fourth = sorted(Note.query.all(), key=lambda row: row.title)
    one.mood = "moved"
    one.save()
    assert plain.zrange("$Vals:Note:mood", 0, -1) == [b"moved", b"same"]
    for row in (other, third):
        row.delete()
    fourth.mood = None
    fourth.save(update_fields=["mood"])
    assert plain.zrange("$Vals:Note:mood", 0, -1) == [b"moved"]
    fourth.title = "renamed"
    fourth.save(migrate_key=True)
    assert plain.zrange("$Vals:Note:title", 0, -1) == [b"renamed", b"t0"]
    assert stray_entries(plain, Note) == []
    Note.delete_all()
    assert keyspace(plain) == {}


def test_renaming_the_only_row_keeps_its_values(store: Any, plain: Any):
    row = Note.create(day=None, title="a", mood="m", code="c")
    row.title = "b"
    row.save(migrate_key=True)
    assert stray_entries(plain, Note) == []
    assert Note.query.count(mood__startswith="m", title__startswith="b") == 1


def test_expired_rows_take_their_values_with_them(store: Any, plain: Any):
    lasting = Note.create(day=None, title="a", mood="m:n", code="c")
    brief = Note(day=None, title="b", mood="x:y", code="d")
    brief._ttl = 500
    brief.save()
    plain.delete("Note:None:b")
    later = clock.now() + 1000
    with clock.frozen(lambda: later):
        assert Note.query.count(mood__contains=":") == 1
        Note.clean_indexes()
    assert plain.zrange("$Vals:Note:mood", 0, -1) == [b"m:n"]
    assert stray_entries(plain, Note) == []
    lasting.delete()
    assert keyspace(plain) == {}


# -- data of 1.x


def old_rows(plain: Any, *titles: str) -> None:
    for title in titles:
        key, text = f"Note:None:{title}", bytes([0xA0 + len(title)]) + title.encode()
        plain.hset(key, mapping={"day": b"\xc0", "title": text, "mood": text, "code": text, "rank": b"\x00"})
        for index in ("$Class:Note", f"$KeyF:Note:title:{title}", "$KeyF:Note:day:None", f"$IndexF:Note:mood:{title}"):
            plain.sadd(index, key)
        plain.sadd(f"$UniquF:Note:code:{title}", key)


def moods(**keywords: Any) -> list[str]:
    return sorted(row.mood for row in Note.query.filter(**keywords))


def test_a_database_of_1x_answers_fully_before_and_after_it_is_rebuilt(store: Any, plain: Any, sent: list[int]):
    old_rows(plain, "abc", "abd", "x")
    assert moods(mood__startswith="ab") == ["abc", "abd"]
    assert sent == [2]
    Note.create(day=None, title="abe", mood="abe", code="abe")
    assert moods(mood__startswith="ab") == ["abc", "abd", "abe"]
    assert Note.query.count(mood__contains="b") == 3
    assert plain.zrange("$Vals:Note:mood", 0, -1) == [b"abe"]
    Note.rebuild_indexes()
    assert plain.zrange("$Vals:Note:mood", 0, -1) == [b"abc", b"abd", b"abe", b"x"]
    assert plain.hgetall("$Vals:Note") == {b"day,title,mood,code,price": b"4"}
    # Now the list alone is believed.
    plain.zrem("$Vals:Note:mood", "abc")
    assert moods(mood__startswith="ab") == ["abd", "abe"]


def test_a_value_that_no_script_can_read_hides_no_other_row(store: Any, plain: Any):
    notes(["abc", "abd"])
    plain.hset("Note:2024/-01/-02:abc", "mood", b"\xff\xff")
    plain.hdel("Note:2024/-01/-02:abd", "code")
    plain.delete("$Vals:Note")
    assert moods(mood__startswith="ab") == ["abd"]
    assert [row.title for row in Note.query.filter(title__startswith="ab", code__contains="")] == ["abc"]
    assert Note.query.count(code__contains="") == 1


def test_rows_that_1x_adds_or_removes_beside_ours_are_noticed(store: Any, plain: Any):
    Note.create(day=None, title="abe", mood="abe", code="abe")
    old_rows(plain, "abc")
    assert moods(mood__startswith="ab") == ["abc", "abe"]
    Note.create(day=None, title="abf", mood="abf", code="abf")
    assert moods(mood__startswith="ab") == ["abc", "abe", "abf"]
    plain.delete("Note:None:abe")
    plain.srem("$Class:Note", "Note:None:abe")
    plain.srem("$IndexF:Note:mood:abe", "Note:None:abe")
    old_rows(plain, "abx")
    assert moods(mood__startswith="ab") == ["abc", "abf", "abx"]


def test_other_fields_have_a_roster_of_their_own(store: Any, plain: Any):
    Generated.create(kind="abc")

    class Wider(Model):
        key = AutoKeyField()
        kind = IndexedField()
        other = IndexedField()

    for key in list(plain.scan_iter()):
        plain.rename(key, key.replace(b"Generated", b"Wider"))
    plain.delete("$Class:Wider")
    (key,) = plain.scan_iter(match="Wider:*")
    plain.sadd("$Class:Wider", key)
    # Rows of before the field was declared are in no list of it.
    plain.hset(key, "other", b"\xa3abd")
    assert [row.other for row in Wider.query.filter(other__startswith="ab")] == ["abd"]


# -- beside other conditions, in pages, under asyncio


def test_a_text_lookup_beside_others_is_tested_row_by_row(store: Any):
    notes([f"t{n}" for n in range(120)])
    assert moods(mood__startswith="t1", rank__between=(5, 13)) == ["t10", "t11", "t12", "t13"]
    assert sorted(row.mood for row in Note.query.filter(Q(mood__endswith="7") | Q(rank=3), rank__lt=20)) == [
        "t17",
        "t3",
        "t7",
    ]
    assert len(Note.query.exclude(mood__startswith="t1")) == 120 - 31
    assert moods(mood__contains="1", code__contains="2", title__endswith="2") == ["t102", "t112", "t12"]
    assert [row.mood for row in Note.query.filter(mood__startswith="t1", order_by="-rank", limit=2)] == ["t119", "t118"]


def test_many_values_and_large_sets_come_in_pages(store: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetch, "MOST_MEMBERS", 120)
    Note.bulk_create(
        [Note(day=None, title=f"t{n}", mood="big one" if n % 2 else f"v{n}", code=f"c{n}") for n in range(400)]
    )
    assert Note.query.count(mood__contains="one") == 200
    assert Note.query.count(code__contains="7") == sum("7" in str(n) for n in range(400))
    assert len({row.title for row in Note.query.filter(mood__startswith="big")}) == 200
    assert len(Note.query.filter(code__endswith="77")) == 4
    assert sum(1 for _ in Note.query.filter(mood__contains="o").iterator(40)) == 200
    assert len(Note.query.filter(mood__startswith="v", limit=30)) == 30


def test_a_small_set_in_order_is_read_whole_whatever_its_rows_cost(store: Any):
    Note.bulk_create([Note(day=None, title=f"t{n}", mood="m", code=f"c{n}", rank=-n) for n in range(450)])
    store.native.delete("$Vals:Note")
    found = Note.query.filter(mood="m", code__contains="c", title__startswith="t", order_by="rank", limit=2)
    assert [row.title for row in found] == ["t449", "t448"]
    assert Note.query.count(mood="m", code__contains="c4") == 61


def test_lists_stay_right_under_many_writers(server: Any, plain: Any):
    Note.create(day=None, title="stays", mood="always here", code="stays")
    wrong: list[list[str]] = []

    def write(writer: int) -> None:
        for turn in range(60):
            row = Note.create(day=None, title=f"t{writer}", mood=f"m{turn % 3}", code=f"c{writer}")
            row.mood = f"n{(turn + writer) % 3}"
            row.save()
            found = moods(mood__contains="way", title__startswith="s")
            if found != ["always here"]:
                wrong.append(found)
            if turn % 5:
                row.delete()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert stray_entries(plain, Note) == []
    assert int(plain.hget("$Vals:Note", "day,title,mood,code,price")) == plain.scard("$Class:Note")
    assert wrong == []


def test_the_asyncio_forms_answer_alike(store: Any):
    notes()

    async def answers() -> tuple[Any, ...]:
        query = Note.query.filter(mood__contains="a")
        return (
            sorted(row.mood for row in await query),
            await Note.query.async_count(mood__contains="a"),
            await Note.query.async_exists(mood__startswith="zzz"),
        )

    wanted = sorted(text for text in TEXTS if "a" in text)
    assert asyncio.run(answers()) == (wanted, len(wanted), False)
