"""The Bloom filter: never a false "missing", an error rate that is kept, and what it does when it cannot tell."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from stored import keyspace

from popoto import ExistenceFilter, Field, KeyField, ListField, Model, ModelException, QueryException, round_trips
from popoto.analysis import bloom_positions
from popoto.fields.existence_filter.index import Bloom
from popoto.storage import Connection


class Memory(Model):
    name = KeyField()
    text = Field(max_length=None)
    bloom = ExistenceFilter(capacity=1000, fingerprint_fn=lambda memory: memory.text)


class Named(Model):
    name = KeyField()
    bloom = ExistenceFilter(capacity=1000)


class Large(Model):
    name = KeyField()
    bloom = ExistenceFilter(capacity=10_000_000)


def might(text: str, model: Any = Memory) -> bool:
    return bool(model.bloom.might_exist(model, text))


def bits(plain: Any, pattern: str) -> set[tuple[str, int]]:
    """The bits that are set, by the key's last part."""
    found = set()
    for key in plain.scan_iter(pattern):
        for place, byte in enumerate(plain.get(key)):
            found |= {(key.decode().rpartition(":")[2], 8 * place + bit) for bit in range(8) if byte & (128 >> bit)}
    return found


def test_a_save_sets_the_bits_of_its_words(store: Connection, plain: Any) -> None:
    with round_trips() as trips:
        Memory.create(name="a", text="AI research")
    expected = {("0", place) for word in ("ai", "research") for place in bloom_positions(word, 9585, 6)}
    assert bits(plain, "$EF:Memory:bloom:1:*") == expected
    assert plain.hgetall("$EF:Memory:bloom:meta") == {b"shape": b"blake2b simple 9585 6 1000 0.01", b"current": b"1"}
    assert trips == 1
    before = keyspace(plain)
    Memory.create(name="a", text="AI research")
    assert keyspace(plain) == before


def test_golden_sizes() -> None:
    sizes = [
        Bloom("", Memory.bloom.analyzer, *one).size for one in [(1000, 0.01), (100_000, 0.01), (1000, 0.001), (10, 0.5)]
    ]
    assert sizes == [(9585, 6), (958_505, 6), (14_377, 9), (14, 1)]


def test_short_words_stop_words_and_other_forms_are_not_missing(store: Connection) -> None:
    """D32."""
    Memory.create(name="a", text="AI research in Go at the café, ﬁn")
    asked = ["AI", "Go", "in", "the", "café", "cafe\u0301", "CAFÉ", "fin", "ai nothing"]
    assert Memory.bloom.might_exist_batch(Memory, asked) == dict.fromkeys(asked, True)
    assert (might("nothing"), Memory.bloom.definitely_missing(Memory, "nothing")) == (False, True)


def test_a_text_without_words_is_known_as_a_whole(store: Connection) -> None:
    Memory.create(name="a", text=":-)")
    assert (might(":-)"), might(":-("), might("")) == (True, False, False)


def test_many_are_asked_in_one_round_trip(store: Connection) -> None:
    Memory.create(name="a", text="redis cache")
    asked = ["redis", "cache", "redis", *(f"word{number}" for number in range(3000))]
    with round_trips() as trips:
        answers = Memory.bloom.might_exist_batch(Memory, asked)
    assert (len(answers), trips) == (3002, 1)
    assert [word for word, known in answers.items() if known] == ["redis", "cache"]
    assert (Memory.bloom.might_exist_count(Memory, asked), Memory.bloom.might_exist_batch(Memory, [])) == (2, {})
    with pytest.raises(QueryException, match="7 is no text"):
        Memory.bloom.might_exist(Memory, 7)


def test_a_key_is_the_fingerprint_unless_another_is_given(store: Connection) -> None:
    Named.create(name="transaction_1")
    row = Named.create(name="other")
    assert [
        might(text, Named) for text in ("Named:other", "other", "transaction_1", "Named:transaction_2", "Named")
    ] == [
        True,
        True,
        True,
        False,
        True,
    ]
    row.name = "new"
    row.save(migrate_key=True)
    assert might("new", Named)


@pytest.mark.parametrize("kind", ["sequential", "random"])
def test_the_error_rate_is_kept_and_nothing_is_falsely_missing(kind: str, fake: Connection) -> None:
    """D33: 1.x said "might exist" of every other id. `benchmarks/text.py` has the full size."""
    chance = random.Random(3)
    ids = [
        f"transaction_{number:08}" if kind == "sequential" else f"{chance.getrandbits(128):032x}"
        for number in range(3000)
    ]
    Memory.create(name="a", text=" ".join(ids[:1000]))
    answers = list(Memory.bloom.might_exist_batch(Memory, ids).values())
    assert (all(answers[:1000]), sum(answers[1000:]) / 2000 < 0.015) == (True, True)
    # m/n ln 2 hashes fill half of the bits; six of 6.6 a little less.
    assert 0.44 < Memory.bloom.fill_ratio(Memory) < 0.5


def test_a_large_filter_takes_little_memory_at_first(store: Connection, plain: Any) -> None:
    """D34."""
    Large.create(name="a")
    stored = [plain.strlen(key) for key in plain.scan_iter("$EF:*") if not key.endswith(b":meta")]
    assert (sum(stored) < 60_000, max(stored) <= 4096) == (True, True)
    assert (might("a", Large), might("b", Large)) == (True, False)
    assert Large.bloom.fill_ratio(Large) == pytest.approx(12 / 95_850_583)


def test_options_that_make_no_sense_are_refused() -> None:
    """D34."""
    for options in (
        {"error_rate": 0.0},
        {"error_rate": 1.0},
        {"capacity": 0},
        {"fingerprint_fn": 7},
        {"analyzer": "x"},
    ):
        with pytest.raises(ModelException):
            ExistenceFilter(**options)  # type: ignore[arg-type]
    with pytest.raises(ModelException, match="no option 'indexed'"):
        ExistenceFilter(indexed=True)


def test_a_fingerprint_that_is_no_text_is_refused_before_anything_is_written(fake: Connection, plain: Any) -> None:
    with pytest.raises(ValueError, match="fingerprint_fn gave None"):
        Memory.create(name="a")
    with pytest.raises(ModelException, match="5001 different words"):
        Memory.create(name="a", text=" ".join(map(str, range(5001))))
    assert keyspace(plain) == {}


def test_a_filter_that_has_not_known_every_row_cannot_tell(store: Connection, plain: Any) -> None:
    assert not might("anything")
    Memory.create(name="a", text="old")
    plain.delete(*plain.keys("$EF:*"))
    Memory.create(name="b", text="new")
    with pytest.raises(QueryException, match=r"does not know every row.*Memory\.rebuild_indexes\(\)"):
        might("old")
    assert Memory.rebuild_indexes() == 2
    assert (might("old"), might("new"), might("other")) == (True, True, False)


def test_a_bitmap_of_1x_is_replaced_by_a_rebuild(store: Connection, plain: Any) -> None:
    plain.setbit("$EF:Memory:bloom", 1423, 1)
    Memory.create(name="a", text="old")
    with pytest.raises(QueryException, match=r"was made by popoto 1\.x"):
        might("old")
    Memory.rebuild_indexes()
    assert (might("old"), plain.exists("$EF:Memory:bloom")) == (True, 0)


def test_another_shape_is_an_error_until_it_is_rebuilt(store: Connection, plain: Any) -> None:
    row = Memory.create(name="a", text="swimming")

    other = type("Memory", (Model,), {"name": KeyField(), "text": Field(max_length=None), "bloom": english()})
    with pytest.raises(QueryException, match=r"'blake2b simple 9585 6 1000 0\.01'.*rebuild_indexes"):
        might("swims", other)
    other.create(name="b", text="quiet")  # type: ignore[attr-defined]
    # The old declaration would call "quiet" missing.
    with pytest.raises(QueryException, match="misses rows"):
        might("quiet")
    other.rebuild_indexes()  # type: ignore[attr-defined]
    assert [might(text, other) for text in ("swims", "quiet", "loud")] == [True, True, False]
    assert {key.split(b":")[3] for key in plain.keys("$EF:*") if not key.endswith(b"meta")} == {b"2"}
    row.text = "late"
    row.save()
    with pytest.raises(QueryException, match="misses rows"):
        might("late", other)


def english() -> ExistenceFilter:
    return ExistenceFilter(capacity=500, fingerprint_fn=lambda memory: memory.text, analyzer="english")


def test_a_rebuild_forgets_words_that_no_row_has(store: Connection, plain: Any) -> None:
    row = Memory.create(name="a", text="old")
    row.text = "new"
    row.save()
    assert (might("old"), might("new")) == (True, True)
    Memory.rebuild_indexes()
    assert (might("old"), might("new")) == (False, True)


class Diary(Model):
    name = KeyField()
    seen = ListField(max_length=3)
    bloom = ExistenceFilter(capacity=1000, fingerprint_fn=lambda diary: " ".join([diary.name, *diary.seen]))


def test_a_list_beside_the_row_is_a_part_of_its_fingerprint(store: Connection, plain: Any) -> None:
    row = Diary.create(name="a", seen=["heron"])
    assert [might(text, Diary) for text in ("a", "heron", "owl")] == [True, True, False]
    row.seen = ["owl"]
    row.save()
    assert (plain.lrange("Diary:a::seen", 0, -1), might("owl", Diary)) == ([b"\xa3owl"], True)
    assert Diary.rebuild_indexes() == 1
    assert [might(text, Diary) for text in ("a", "heron", "owl")] == [True, False, True]


def test_rows_that_are_saved_during_a_rebuild_are_known_afterwards(store: Connection, plain: Any) -> None:
    Memory.create(name="a", text="old")
    bloom = Memory.bloom._bloom("Memory")
    store.run(bloom._begin(""))
    Memory.create(name="b", text="new")
    assert might("new")
    # A rebuild that did not end leaves nothing behind once another does.
    store.run(bloom._begin(""))
    Memory.create(name="c", text="newer")
    assert {key.split(b":")[3] for key in plain.keys("$EF:*") if not key.endswith(b"meta")} == {b"1", b"3"}
    store.run(bloom._end(""))
    assert might("newer")


def test_every_verb_has_its_twin(store: Connection) -> None:
    Memory.create(name="a", text="redis")
    bloom = Memory.bloom

    async def work() -> list[Any]:
        return [
            await bloom.async_might_exist(Memory, "redis"),
            await bloom.async_definitely_missing(Memory, "redis"),
            await bloom.async_might_exist_batch(Memory, ["redis", "x"]),
            await bloom.async_might_exist_count(Memory, ["redis", "x"]),
            await bloom.async_fill_ratio(Memory),
        ]

    assert asyncio.run(work()) == [True, False, {"redis": True, "x": False}, 1, 6 / 9585]
