"""WriteFilterMixin: what scores too little is not saved, and what scores much is ranked, in the step of the save."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from stored import keyspace

from popoto import Defaults, Field, FloatField, KeyField, Model, ModelException, WriteFilterMixin, clock, round_trips
from popoto import connection as current
from popoto.exceptions import SkipSaveException
from popoto.storage import Connection


class Memory(WriteFilterMixin, Model):
    name = KeyField()
    worth = Field(type=list)
    note = Field()

    def compute_filter_score(self) -> Any:
        return self.worth[0] if self.worth else 0.5


class Strict(WriteFilterMixin, Model):
    _wf_min_threshold = 0.5
    _wf_priority_threshold = 0.6
    name = KeyField()
    worth = FloatField(default=0.0)

    def compute_filter_score(self) -> float:
        return self.worth


class Unfinished(WriteFilterMixin, Model):
    name = KeyField()


PRIORITY = b"$WF:Memory:priority"


def priority(plain: Any, key: bytes = PRIORITY) -> dict[bytes, float]:
    return dict(plain.zrange(key, 0, -1, withscores=True))


@pytest.mark.parametrize(
    ("score", "stored", "rank"),
    [
        (0.05, False, None),
        (0.0999, False, None),
        (0.1, True, None),
        (0.3, True, None),
        (0.69, True, None),
        (0.7, True, 0.7),
        (0.95, True, 0.95),
        (1.5, True, 1.5),
        ("0.8", True, 0.8),
        (math.inf, True, math.inf),
        (None, False, None),
        (-1, False, None),
        ("much", False, None),
        ([], False, None),
    ],
)
def test_scores_decide_as_the_golden_values_say(
    store: Connection, plain: Any, score: Any, stored: bool, rank: float | None
) -> None:
    memory = Memory(name="a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "compute_filter_score", lambda self: score)
        found = memory.save()
    assert (found is not False, bool(plain.exists("Memory:a"))) == (stored, stored)
    assert priority(plain) == ({} if rank is None else {b"Memory:a": rank})


def test_a_class_has_thresholds_of_its_own(store: Connection, plain: Any) -> None:
    assert Strict(name="a", worth=0.4).save() is False
    assert Strict(name="b", worth=0.55).save() > 0
    assert Strict(name="c", worth=0.6).save() > 0
    assert priority(plain, b"$WF:Strict:priority") == {b"Strict:c": 0.6}


def test_overrides_of_the_defaults_hold_for_the_next_save(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory.create(name="a")
    monkeypatch.setattr(Defaults, "WF_MIN_THRESHOLD", 0.6)
    assert memory.save() is False
    monkeypatch.setattr(Defaults, "WF_MIN_THRESHOLD", 0.2)
    monkeypatch.setattr(Defaults, "WF_PRIORITY_THRESHOLD", 0.3)
    memory.save()
    assert priority(current().native) == {b"Memory:a": 0.5}


def test_a_row_that_falls_loses_its_priority_in_the_step_of_the_save(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a", worth=[0.9])
    assert priority(plain) == {b"Memory:a": 0.9}
    memory.worth = [0.2]
    with round_trips() as trips:
        memory.save()
    assert (priority(plain), trips) == ({}, 1)  # D26: 0.9 stayed
    memory.worth = [0.8]
    memory.save(update_fields=["worth"])
    memory.name = "b"
    memory.save(migrate_key=True)
    assert priority(plain) == {b"Memory:b": 0.8}  # D26
    memory.worth = [0.01]
    assert memory.save() is False
    assert priority(plain) == {b"Memory:b": 0.8}
    memory.delete()
    assert keyspace(plain) == {}


def test_a_score_that_is_not_a_number_is_refused_before_anything_is_written(
    store: Connection, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Memory, "compute_filter_score", lambda self: math.nan)
    for work in (
        Memory(name="a").save,
        lambda: Memory.create(name="a"),
        lambda: Memory.bulk_create([Memory(name="a")]),
    ):
        with pytest.raises(ModelException, match="return a number"):
            work()
    assert keyspace(plain) == {}  # D26: the hash was stored


def test_a_score_may_ask_to_skip_the_save(store: Connection, plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def skip(self: Any) -> float:
        raise SkipSaveException("not now")

    monkeypatch.setattr(Memory, "compute_filter_score", skip)
    assert Memory(name="a").save() is False
    assert keyspace(plain) == {}


def test_what_was_not_saved_can_be_told(store: Connection, plain: Any) -> None:
    skipped = Memory.create(name="a", worth=[0.0])
    assert (skipped._redis_key, plain.exists("Memory:a")) == (None, 0)  # D26: it looked saved
    found = Memory.bulk_create([Memory(name="b"), Memory(name="c", worth=[0.0]), Memory(name="d", worth=[0.9])])
    assert [one.name for one in found if one._redis_key is not None] == ["b", "d"]
    assert sorted(row.name for row in Memory.query.all()) == ["b", "d"]
    assert priority(plain) == {b"Memory:d": 0.9}


def test_get_or_create_of_a_row_that_scores_too_little(store: Connection, plain: Any) -> None:
    row, created = Memory.get_or_create(name="a", defaults={"worth": [0.0]})
    assert (row._redis_key, created, plain.exists("Memory:a")) == (None, False, 0)
    Memory.create(name="a", note="kept")
    row, created = Memory.get_or_create(name="a", defaults={"worth": [0.0]})
    assert (row.note, created) == ("kept", False)
    row, created = Memory.get_or_create(name="b", defaults={"worth": [0.9]})
    assert (row._redis_key, created, priority(plain)) == ("Memory:b", True, {b"Memory:b": 0.9})


def test_a_skipped_save_leaves_a_pipeline_as_it_was(store: Connection, plain: Any) -> None:
    pipe = plain.pipeline()
    assert Memory(name="a", worth=[0.0]).save(pipeline=pipe) is pipe
    assert len(pipe.command_stack) == 0
    Memory(name="b", worth=[0.8]).save(pipeline=pipe)
    assert keyspace(plain) == {}
    pipe.execute()
    assert priority(plain) == {b"Memory:b": 0.8}


def test_the_asyncio_twin_filters_too(store: Connection, plain: Any) -> None:
    async def work() -> None:
        assert await Memory(name="a", worth=[0.0]).async_save() is False
        await Memory.async_create(name="b", worth=[0.8])
        await current().aclose()

    asyncio.run(work())
    assert (priority(plain), plain.exists("Memory:a")) == ({b"Memory:b": 0.8}, 0)


def test_a_rebuild_scores_rows_anew_and_care_finds_strays(store: Connection, plain: Any) -> None:
    Memory.create(name="a", worth=[0.9])
    Memory.create(name="b", worth=[0.3])
    plain.delete(PRIORITY)
    plain.zadd(PRIORITY, {"Memory:b": 0.8, "Memory:gone": 0.9})
    assert Memory.check_indexes()["companions"]["WriteFilterMixin"] == 1
    Memory.rebuild_indexes()
    assert priority(plain) == {b"Memory:a": 0.9}


def test_priority_leaves_with_a_row_that_expires(store: Connection, plain: Any) -> None:
    Memory.create(name="a", worth=[0.9], _ttl=100)
    plain.delete("Memory:a")
    with clock.frozen(lambda: 4e9):
        Memory.create(name="b", worth=[0.8], _ttl=100)
    assert priority(plain) == {b"Memory:b": 0.8}


def test_a_class_without_a_score_says_what_is_missing(fake: Connection) -> None:
    with pytest.raises(NotImplementedError, match="compute_filter_score"):
        Unfinished.create(name="a")
