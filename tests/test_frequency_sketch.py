"""The Count-Min sketch: a row counts once, what it loses is counted down, and its own rows are independent."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from stored import keyspace

from popoto import Field, FrequencySketch, KeyField, Model, ModelException, QueryException, clock, round_trips
from popoto.analysis import sketch_columns
from popoto.storage import Connection


class Memory(Model):
    name = KeyField()
    text = Field(max_length=None)
    seen = FrequencySketch(fingerprint_fn=lambda memory: memory.text or "")


class Narrow(Model):
    name = KeyField()
    text = Field(max_length=None)
    seen = FrequencySketch(width=200, depth=3, fingerprint_fn=lambda memory: memory.text)


def seen(text: str, model: Any = Memory) -> int:
    return int(model.seen.get_frequency(model, text))


def counters(plain: Any) -> dict[bytes, Any]:
    return {key: value for key, value in keyspace(plain).items() if key.startswith(b"$FS")}


def test_a_save_counts_its_words(store: Connection, plain: Any) -> None:
    with round_trips() as trips:
        Memory.create(name="a", text="AI research")
    cells = {
        f"{row}:{column}".encode(): b"1"
        for word in ("ai", "research")
        for row, column in enumerate(sketch_columns(word, 2000, 7))
    }
    assert plain.hgetall("$FS:Memory:seen") == cells
    assert plain.hgetall("$FS:Memory:seen:meta") == {b"shape": b"blake2b simple 2000 7"}
    kept = b"".join(
        column.to_bytes(2, "big") for word in ("ai", "research") for column in sketch_columns(word, 2000, 7)
    )
    assert plain.hgetall("$FS:Memory:seen:cells") == {b"Memory:a": kept}
    assert trips == 1


def test_a_row_is_counted_once_however_often_it_is_saved(store: Connection, plain: Any) -> None:
    """D35."""
    row = Memory.create(name="a", text="one two two")
    before = counters(plain)
    row.save()
    Memory.create(name="a", text="one two two")
    assert (counters(plain), seen("one"), seen("two"), seen("three")) == (before, 1, 1, 0)
    Memory.create(name="b", text="TWO three")
    with round_trips() as trips:
        assert [seen("two"), seen("one two"), seen("nothing two"), seen("")] == [2, 1, 0, 0]
    assert trips == 4


def test_what_a_row_loses_is_counted_down(store: Connection, plain: Any) -> None:
    Memory.create(name="b", text="two three")
    before = counters(plain)
    row = Memory.create(name="a", text="one two")
    # Another instance, which knows nothing of the first.
    stale = Memory.load(name="a")
    assert stale is not None
    row.text = "two four"
    row.save()
    stale.text = "two five"
    stale.save()
    assert [seen(word) for word in ("one", "two", "four", "five")] == [0, 2, 0, 1]
    row.delete()
    assert counters(plain) == before
    row = Memory.create(name="c", text="one", _ttl=1000)
    plain.delete("Memory:c")
    with clock.frozen(lambda: 4e9):
        Memory.create(name="d", text="")
    assert seen("one") == 0


def test_a_renamed_row_is_counted_once(store: Connection, plain: Any) -> None:
    row = Memory.create(name="a", text="one")
    row.name = "b"
    row.save(migrate_key=True)
    assert (seen("one"), plain.hkeys("$FS:Memory:seen:cells")) == (1, [b"Memory:b"])
    row.delete()
    assert seen("one") == 0


def test_unseen_words_are_hardly_ever_counted(fake: Connection) -> None:
    """D35: 1.x counted 34 % of them at this size."""
    Memory.create(name="a", text=" ".join(f"word{number}" for number in range(1000)))
    unseen = sum(seen(f"other{number}") > 0 for number in range(400))
    assert unseen <= 4


def test_a_sketch_that_cannot_tell_says_so(store: Connection, plain: Any) -> None:
    assert seen("anything") == 0
    plain.hset("$FS:Memory:seen", "0:864", 1)
    Memory.create(name="a", text="one")
    with pytest.raises(QueryException, match=r"made by popoto 1\.x: run Memory\.rebuild_indexes\(\)"):
        seen("one")
    assert Memory.rebuild_indexes() == 1
    assert (seen("one"), plain.hget("$FS:Memory:seen", "0:864")) == (1, None)
    Memory.create(name="b", text="one")
    assert seen("one") == 2
    other = type(
        "Memory", (Model,), {"name": KeyField(), "text": Field(max_length=None), "seen": FrequencySketch(width=50)}
    )
    with pytest.raises(QueryException, match="was made as 'blake2b simple 2000 7'"):
        seen("one", other)
    other.create(name="c")  # type: ignore[attr-defined]
    with pytest.raises(QueryException, match="misses rows"):
        seen("one")
    other.rebuild_indexes()  # type: ignore[attr-defined]
    assert (seen("c", other), seen("Memory:c", other)) == (1, 1)
    assert not [key for key in counters(plain) if b":next" in key]


def test_a_rebuild_counts_anew_and_loses_no_save(store: Connection, plain: Any) -> None:
    row = Narrow.create(name="a", text="one")
    Narrow.create(name="b", text="one two")
    good = counters(plain)
    plain.hincrby("$FS:Narrow:seen", "0:7", 5)
    assert Narrow.rebuild_indexes() == 2
    assert counters(plain) == good
    sketch = Narrow.seen._sketch("Narrow")
    store.run(sketch._begin(""))
    row.text = "three"
    row.save()
    row.name = "c"
    row.save(migrate_key=True)
    assert (seen("one", Narrow), seen("three", Narrow)) == (1, 1)
    other = Narrow.load(name="b")
    assert other is not None
    other.text = "one four"
    other.save()
    other.delete()
    store.run(sketch._end(""))
    assert [seen(word, Narrow) for word in ("one", "two", "three", "four")] == [0, 0, 1, 0]


def test_care_finds_what_no_row_has(store: Connection, plain: Any) -> None:
    Memory.create(name="a", text="one")
    Memory.create(name="b", text="one")
    plain.delete("Memory:b")
    assert Memory.check_indexes()["companions"]["seen"] == 1
    Memory.clean_indexes()
    assert (seen("one"), Memory.check_indexes()["total"]) == (1, 0)


def test_options_that_make_no_sense_are_refused() -> None:
    for options in ({"width": 1}, {"width": 2.5}, {"depth": 0}, {"depth": 33}, {"fingerprint_fn": 7}):
        with pytest.raises(ModelException, match="must be"):
            FrequencySketch(**options)  # type: ignore[arg-type]


def test_the_verb_has_its_twin(store: Connection) -> None:
    Memory.create(name="a", text="one")
    assert asyncio.run(Memory.seen.async_get_frequency(Memory, "one")) == 1


def test_a_rebuild_beside_writers_loses_nothing(server: Connection, plain: Any) -> None:
    for number in range(30):
        Memory.create(name=str(number), text="common start")
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            row = Memory.load(name=str(number % 30))
            assert row is not None
            row.text = f"common w{number % 7} w{number % 11}"
            row.save()
            row.name = f"{row.name}x"
            row.save(migrate_key=True)
            row.name = row.name[:-1]
            row.save(migrate_key=True)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            Memory.rebuild_indexes()
    finally:
        stop.set()
        writer.join()
    after = counters(plain)
    assert seen("common") == 30
    Memory.rebuild_indexes()
    assert counters(plain) == after
