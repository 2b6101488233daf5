"""PredictionLedgerMixin: predictions are kept as they are, resolved once, and ranked by their errors."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta, timezone
from typing import Any

import msgpack
import pytest
from stored import keyspace

from popoto import ConfidenceField, Defaults, KeyField, Model, ModelException, PredictionLedgerMixin, clock, round_trips
from popoto import connection as current
from popoto.encoding import encode
from popoto.storage import Connection

record, resolve = PredictionLedgerMixin.record_prediction, PredictionLedgerMixin.resolve_prediction
auto, data = PredictionLedgerMixin.auto_resolve, PredictionLedgerMixin.get_prediction_data
highest, summary = PredictionLedgerMixin.get_highest_errors, PredictionLedgerMixin.error_summary
compute = PredictionLedgerMixin.compute_prediction_error


class Memory(PredictionLedgerMixin, Model):
    name = KeyField()
    certainty = ConfidenceField()
    other = ConfidenceField(initial_confidence=0.1)


class Own(PredictionLedgerMixin, Model):
    _pl_partition = "own"
    _pl_confidence_error_threshold = 0.3
    _pl_confidence_low_signal = 0.05
    _pl_auto_resolve_errors = {"acted": 0.35, "ignored": 3.0}  # noqa: RUF012
    name = KeyField()
    certainty = ConfidenceField()

    @staticmethod
    def compute_prediction_error(predicted: dict[Any, Any], actual: dict[Any, Any]) -> float:
        return 0.42


class Plain(Model):
    name = KeyField()


META, ERRORS = b"$PL:Memory:meta:Memory:a", b"$PL:Memory:errors:default"
NAMES = ["predicted", "resolved", "resolution_mode", "prediction_error", "resolved_at", "recorded_at"]


@pytest.mark.parametrize(
    ("predicted", "actual", "error"),
    [
        ({"a": 0.9}, {"a": 0.3}, 0.6),
        ({"a": 10}, {"a": 5}, 0.5),
        ({"a": 5}, {"a": -5}, 1.0),  # D28: 2.0
        ({"a": "x"}, {"a": "y"}, 1.0),
        ({"a": "x"}, {"a": "x"}, 0.0),
        ({"a": 1, "b": 1}, {"a": 1}, 0.5),
        ({"r": 0.2, "s": "a", "t": 1}, {"r": 0.6, "s": "a"}, 0.4666667),
        ({}, {}, 0.0),
        ({"a": True}, {"a": 0}, 1.0),
        ({"a": math.nan}, {"a": 1}, 1.0),  # D28: nan
        ({"a": math.inf}, {"a": 1}, 1.0),
        ({"a": math.inf}, {"a": math.inf}, 0.0),
        ({"a": 10**400}, {"a": 0.5}, 1.0),
        ({"a": None}, {"a": None}, 0.0),
        ({"a": None}, {}, 1.0),
    ],
)
def test_errors_lie_between_0_and_1(predicted: dict[Any, Any], actual: dict[Any, Any], error: float) -> None:
    assert compute(predicted, actual) == pytest.approx(error, abs=1e-7)


def test_a_prediction_is_stored_in_the_form_of_1x(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a")
    with clock.frozen(lambda: 1700000000.5), round_trips() as trips:
        assert record(memory, {"helpful": 0.9}) is None
    assert trips == 1
    assert list(plain.hgetall(META)) == [b"Memory:a"]
    stored = msgpack.unpackb(plain.hget(META, "Memory:a"))
    assert list(stored) == NAMES
    assert stored == dict(zip(NAMES, ({"helpful": 0.9}, False, None, None, None, 1700000000.5), strict=True))


def test_a_resolved_prediction_keeps_its_bytes(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a")
    predicted = {"none": None, "empty": {}, "f": 1.0, "big": 2**60 + 1, "more": {str(n): n for n in range(40)}}
    with clock.frozen(lambda: 1700000000.5):
        record(memory, predicted)
        assert resolve(memory, predicted) == 0.0
    found = data(memory)
    assert found == dict(zip(NAMES, (predicted, True, "explicit", 0.0, 1700000000.5, 1700000000.5), strict=True))
    raw = plain.hget(META, "Memory:a")
    assert encode(predicted, dict) in raw  # D27: empty became a list, big was rounded, none was lost
    assert raw == msgpack.packb(
        dict(zip(NAMES, (predicted, True, "explicit", 0.0, 1700000000.5, 1700000000.5), strict=True))
    )
    assert plain.zscore(ERRORS, "Memory:a") == 0.0


def test_a_prediction_is_resolved_once(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a")
    assert (resolve(memory, {"a": 1}), auto(memory, "acted"), data(memory)) == (None, None, None)
    record(memory, {"a": 10})
    assert resolve(memory, {"a": 5}) == 0.5
    assert (resolve(memory, {"a": 0}), auto(memory, "contradicted")) == (None, None)
    assert plain.zscore(ERRORS, "Memory:a") == 0.5
    record(memory, {"a": 10})
    assert (data(memory) or {})["resolved"] is False
    assert auto(memory, "used") == 0.3
    assert plain.zscore(ERRORS, "Memory:a") == 0.3


def test_a_prediction_that_is_recorded_anew_meanwhile_is_the_one_that_counts(store: Connection) -> None:
    class Late(Memory):
        @staticmethod
        def compute_prediction_error(predicted: dict[Any, Any], actual: dict[Any, Any]) -> float:
            if predicted == {"a": 1}:
                record(memory, {"a": 3})
            return compute(predicted, actual)

    memory = Late.create(name="a")
    record(memory, {"a": 1})
    assert resolve(memory, {"a": 4}) == 0.25


@pytest.mark.parametrize(
    ("outcome", "error"), [("acted", 0.1), ("used", 0.3), ("dismissed", 0.5), ("contradicted", 0.9)]
)
def test_an_outcome_resolves_a_prediction_in_one_step(store: Connection, outcome: str, error: float) -> None:
    memory = Memory.create(name="a")
    record(memory, {"a": 1})
    with round_trips() as trips:
        assert auto(memory, outcome) == error
    assert trips == 1
    found = data(memory) or {}
    assert (found["resolution_mode"], found["prediction_error"]) == ("observed", error)


def test_a_great_error_lowers_every_confidence_in_the_same_step(store: Connection) -> None:
    memory = Memory.create(name="a")
    record(memory, {"a": 0.7})
    assert resolve(memory, {"a": 0.0}) == 0.7
    assert memory.certainty == 0.5  # exactly at the threshold
    record(memory, {"a": 0.75})
    assert resolve(memory, {"a": 0.0}) == 0.75
    assert memory.certainty == ConfidenceField.get_confidence(memory, "certainty") == pytest.approx(0.2)
    # D19: a signal of 0.2 would have raised it.
    assert ConfidenceField.get_confidence_data(memory, "other") == {
        "confidence": 0.1,
        "evidence_count": 0,
        "corroborations": 0,
        "contradictions": 0,
    }


def test_a_class_has_figures_of_its_own_whichever_class_is_called(store: Connection, plain: Any) -> None:
    own = Own.create(name="a")
    record(own, {"a": 1})
    assert resolve(own, {"a": 1}) == 0.42  # D28: the mixin's own measure gave 0
    assert own.certainty == pytest.approx(0.05)
    assert highest(Own, "own") == [("Own:a", 0.42)]
    record(own, {"a": 1})
    assert auto(own, "acted") == 0.35
    record(own, {"a": 1})
    assert auto(own, "ignored") == 1.0
    record(own, {"a": 1})
    assert auto(own, "used") == 0.3
    assert plain.exists("$PL:Own:errors:default") == 0


def test_overrides_of_the_defaults_take_effect_at_once(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory.create(name="a")
    monkeypatch.setattr(Defaults, "PL_AUTO_RESOLVE_ACTED", 0.6)
    monkeypatch.setattr(Defaults, "PL_CONFIDENCE_ERROR_THRESHOLD", 0.5)
    monkeypatch.setattr(Defaults, "PL_CONFIDENCE_LOW_SIGNAL", 0.4)
    record(memory, {"a": 1})
    assert (auto(memory, "acted"), memory.certainty) == (0.6, pytest.approx(0.4))


def test_bad_use_is_refused_before_anything_is_written(store: Connection, plain: Any) -> None:
    memory = Memory(name="a")
    for work in (lambda: record(memory, {"a": 1}), lambda: resolve(memory, {"a": 1})):
        with pytest.raises(TypeError, match="is not saved"):
            work()
    assert (auto(memory, "acted"), data(memory)) == (None, None)
    for bad in (None, [1], "x", {"a": object()}):
        with pytest.raises(ValueError, match=r"predicted|stored"):
            record(memory, bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="actual=None"):
        resolve(memory, None)  # type: ignore[arg-type]
    for outcome in ("deferred", "gone", None):
        with pytest.raises(ValueError, match="has no error"):
            auto(memory, outcome)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="add PredictionLedgerMixin"):
        record(Plain(name="a"), {"a": 1})
    with pytest.raises(ModelException, match="_pl_partition"):
        type("Wrong", (PredictionLedgerMixin, Model), {"_pl_partition": None, "name": KeyField()})
    assert keyspace(plain) == {}


def test_predictions_follow_renames_and_leave_with_their_row(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a")
    record(memory, {"a": 10})
    resolve(memory, {"a": 5})
    memory.name = "b"
    memory.save(migrate_key=True)
    assert (data(memory) or {})["prediction_error"] == 0.5
    assert plain.hkeys("$PL:Memory:meta:Memory:b") == [b"Memory:b"]
    assert highest(Memory) == [("Memory:b", 0.5)]
    Memory.create(name="b")
    assert highest(Memory) == [("Memory:b", 0.5)]
    assert Memory.check_indexes()["total"] == 0
    memory.delete()
    assert keyspace(plain) == {}  # D28: rows survived


def test_predictions_leave_with_a_row_that_expires_and_care_finds_strays(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a", _ttl=100)
    record(memory, {"a": 10})
    resolve(memory, {"a": 5})
    plain.delete("Memory:a")
    with clock.frozen(lambda: 4e9):
        Memory.create(name="b", _ttl=100)
    assert [key for key in keyspace(plain) if key.startswith(b"$PL")] == []
    plain.zadd(ERRORS, {"Memory:gone": 0.5})
    plain.hset("$PL:Memory:meta:Memory:gone", "Memory:gone", b"\x80")
    assert Memory.check_indexes()["companions"]["PredictionLedgerMixin"] == 1
    assert Memory.clean_indexes() == 1
    assert [key for key in keyspace(plain) if key.startswith(b"$PL")] == []


def test_what_1x_wrote_is_read_and_resolved(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a")
    # Resolved by 1.x: nils were dropped, the moment is a text, the keys are in any order.
    old = {"resolved_at": "1700000000.5", "predicted": {"a": 1}, "prediction_error": 1, "resolved": True, "extra": 1}
    plain.hset(META, "Memory:a", msgpack.packb(old))
    assert (data(memory) or {})["resolved_at"] == 1700000000.5
    assert resolve(memory, {"a": 1}) is None
    open_one = {"recorded_at": 5, "predicted": {"a": 10}, "resolved": False, "extra": [1]}
    plain.hset(META, "Memory:a", msgpack.packb(open_one))
    assert resolve(memory, {"a": 5}) == 0.5
    stored = msgpack.unpackb(plain.hget(META, "Memory:a"))
    assert (stored["predicted"], stored["extra"], stored["recorded_at"]) == ({"a": 10}, [1], 5)
    for junk in (b"", b"junk", b"\x86\xa1", msgpack.packb([1]), msgpack.packb({1: 2})):
        plain.hset(META, "Memory:a", junk)
        assert (data(memory), resolve(memory, {"a": 1}), auto(memory, "acted")) == (None, None, None)


def ranked(plain: Any, errors: list[float]) -> None:
    plain.zadd(ERRORS, {f"Memory:{number:03}": error for number, error in enumerate(errors)})


def test_the_highest_errors_come_first_and_ties_by_key(store: Connection, plain: Any) -> None:
    ranked(plain, [0.5, 0.9, 0.5, 0.5, 0.1])
    assert highest(Memory) == [
        ("Memory:001", 0.9),
        ("Memory:000", 0.5),
        ("Memory:002", 0.5),
        ("Memory:003", 0.5),
        ("Memory:004", 0.1),
    ]
    assert highest(Memory, limit=2) == [("Memory:001", 0.9), ("Memory:000", 0.5)]
    assert (highest(Memory, limit=0), highest(Memory, limit=-1), highest(Memory, "none")) == ([], [], [])  # D28


def test_the_summary_of_all_errors_gives_the_golden_values(store: Connection, plain: Any) -> None:
    ranked(plain, [number * 0.05 for number in range(10)])
    found = summary(Memory)["__all__"]
    assert found == pytest.approx(
        {"count": 10, "mean": 0.225, "stddev": 0.1436140661634507, "p50": 0.2, "p90": 0.4, "p99": 0.45, "max": 0.45}
    )
    plain.delete(ERRORS)
    ranked(plain, [0.25, 0.5, 0.75, 1.0])
    found = summary(Memory)["__all__"]
    assert (found["mean"], found["stddev"]) == pytest.approx((0.625, 0.2795084971874737))
    assert (found["p50"], found["p90"], found["p99"]) == (0.75, 1.0, 1.0)
    plain.delete(ERRORS)
    ranked(plain, [0.2, 0.4, 0.6, 0.8, 1.0])
    assert summary(Memory)["__all__"]["p50"] == 0.6


def test_a_summary_of_a_sample_is_fair(store: Connection, plain: Any) -> None:
    ranked(plain, [number / 1000 for number in range(1000)])
    assert summary(Memory, limit=100)["__all__"]["mean"] == pytest.approx(0.4995, abs=0.005)  # D29: .95
    three = summary(Memory, limit=3)["__all__"]
    assert (three["count"], three["p50"], three["max"]) == (3, 0.5, 0.999)
    assert summary(Memory, limit=1)["__all__"]["mean"] == 0.5
    with round_trips() as trips:
        assert summary(Memory, limit=5000)["__all__"]["count"] == 1000
    assert trips == 2


EMPTY = {"count": 0, "mean": 0.0, "stddev": 0.0, "p50": 0.0, "p90": 0.0, "p99": 0.0, "max": 0.0}


def test_errors_are_grouped_by_the_time_of_their_resolution_in_utc(store: Connection) -> None:
    for name, at, error in (("a", 1700000000.0, 5), ("b", 1700000000.0 + 7200, 0), ("c", 1700006400.0 + 86400, 10)):
        memory = Memory.create(name=name)
        record(memory, {"a": 10})
        with clock.frozen(lambda at=at: at):  # type: ignore[misc]
            resolve(memory, {"a": error})
    counts = lambda found: {label: one["count"] for label, one in found.items()}  # noqa: E731
    # 2023-11-14 22:13:20 UTC, a Tuesday
    assert counts(summary(Memory, group_by="hour")) == {22: 1, 0: 2}  # D29: local time
    assert counts(summary(Memory, group_by="weekday")) == {1: 1, 2: 2 - 1, 3: 1}
    assert counts(summary(Memory, group_by="day")) == {"2023-11-14": 1, "2023-11-15": 1, "2023-11-16": 1}
    tokyo = timezone(timedelta(hours=9))
    assert counts(summary(Memory, group_by="hour", tz=tokyo)) == {7: 1, 9: 2}
    assert counts(summary(Memory, group_by=lambda key, error: key[-1:] if error else 1 // 0)) == {"a": 1, "b": 1}
    with pytest.raises(TypeError):
        summary(Memory, group_by=lambda key, error: [key])
    with pytest.raises(ValueError, match="group_by='year'"):
        summary(Memory, group_by="year")
    for group_by in (None, "hour", len):
        assert summary(Memory, "none", group_by) == summary(Memory, limit=0) == {"__all__": EMPTY}  # type: ignore[arg-type]


def test_effects_wait_in_a_pipeline(store: Connection, plain: Any) -> None:
    memory = Memory.create(name="a")
    for pipe in (store.pipeline(), plain.pipeline()):
        assert record(memory, {"a": 0.0}, pipeline=pipe) is pipe
        assert (data(memory) or {"resolved": True})["resolved"] is True
        pipe.execute()
        evidence = ConfidenceField.get_confidence_data(memory, "certainty")["evidence_count"]
        resolve(memory, {"a": 1.0}, pipeline=pipe)
        assert (data(memory) or {})["resolved"] is False
        assert pipe.execute() == [1.0]
        assert ConfidenceField.get_confidence_data(memory, "certainty")["evidence_count"] == evidence + (evidence == 0)
        record(memory, {"a": 1})
        auto(memory, "used", pipeline=pipe)
        assert pipe.execute() == [0.3]


def test_the_asyncio_twins_do_the_same(store: Connection) -> None:
    async def work() -> None:
        memory = await Memory.async_create(name="a")
        await Memory.async_record_prediction(memory, {"a": 10})
        assert await Memory.async_resolve_prediction(memory, {"a": 5}) == 0.5
        await Memory.async_record_prediction(memory, {"a": 10})
        assert await Memory.async_auto_resolve(memory, "acted") == 0.1
        assert (await Memory.async_get_prediction_data(memory) or {})["resolution_mode"] == "observed"
        assert await Memory.async_get_highest_errors(Memory) == [("Memory:a", 0.1)]
        assert (await Memory.async_error_summary(Memory))["__all__"]["count"] == 1
        await current().aclose()

    asyncio.run(work())
