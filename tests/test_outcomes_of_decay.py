"""Outcomes reach fields that decay: clocks, cycles and pressure change in the step that changes everything else."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    CyclicDecayField,
    DecayingSortedField,
    Field,
    FloatField,
    KeyField,
    Model,
    ObservationProtocol,
    PredictionLedgerMixin,
    clock,
    round_trips,
)
from popoto.storage import Connection

BORN, NOW = 1_700_000_000.0, 1_700_864_000.0
OUTCOMES = ("acted", "used", "dismissed", "deferred", "contradicted")


class Note(AccessTrackerMixin, PredictionLedgerMixin, Model):
    name = KeyField()
    agent = Field(default="a")
    worth = FloatField(default=2.0)
    fresh = DecayingSortedField(base_score_field="worth", partition_by="agent")
    rhythm = CyclicDecayField(cycles=[(86_400, 2.0)], pressure_rate=0.1)
    certainty = ConfidenceField()


def noted(predicts: bool = True) -> Any:
    """A note that is ten days old, was read twice, and has an open prediction."""
    with clock.frozen(lambda: BORN):
        note = Note.create(name="n")
        note.on_read()
        note.on_read()
        if predicts:
            Note.record_prediction(note, {"a": 1})
    return note


def stored(plain: Any, note: Any) -> dict[str, Any]:
    """What is stored of it, read with a plain client."""
    key, raw = note.pk, Note._meta.fields
    cycles = plain.hget("$CyclicDecayF:Note:rhythm:cycles", key)
    pressure = plain.hget("$CyclicDecayF:Note:rhythm:pressure", key)
    return {
        "fresh": (plain.zscore("$DecayingSortF:Note:fresh:a", key), raw["fresh"].decode(plain.hget(key, "fresh"))),
        "rhythm": (plain.zscore("$CyclicDecayF:Note:rhythm", key), raw["rhythm"].decode(plain.hget(key, "rhythm"))),
        "amplitude": msgpack_of(cycles)[0][1],
        "resolved": msgpack_of(pressure)["last_resolved"],
        "reads": Note.load(key).access_count,
        "confidence": ConfidenceField.get_confidence(note, "certainty"),
    }


def msgpack_of(raw: bytes) -> Any:
    return msgpack.unpackb(raw, strict_map_key=False)


# Golden values of 1.x, but that a contradiction never raises a confidence, so that it also discharges the pressure.
GOLDEN: dict[str, dict[str, Any]] = {
    "acted": {"moment": NOW, "amplitude": 2.4, "resolved": NOW, "reads": 2, "confidence": 0.9, "error": 0.1},
    "used": {"moment": BORN, "amplitude": 2.0, "resolved": BORN, "reads": 2, "confidence": 0.5, "error": 0.3},
    "dismissed": {"moment": BORN, "amplitude": 1.6, "resolved": BORN, "reads": 0, "confidence": 0.5, "error": 0.5},
    "deferred": {"moment": BORN, "amplitude": 2.0, "resolved": BORN, "reads": 0, "confidence": 0.5, "error": None},
    "contradicted": {"moment": BORN, "amplitude": 1.0, "resolved": NOW, "reads": 0, "confidence": 0.1, "error": 0.9},
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_outcome_does_what_it_says(store: Connection, plain: Any, outcome: str) -> None:
    note, golden = noted(), GOLDEN[outcome]
    with clock.frozen(lambda: NOW), round_trips() as trips:
        ObservationProtocol.on_context_used([note], {note.pk: outcome})
    found = stored(plain, note)
    assert (found["fresh"], found["rhythm"]) == ((golden["moment"],) * 2, (golden["moment"],) * 2)
    assert (found["amplitude"], found["resolved"]) == (pytest.approx(golden["amplitude"]), golden["resolved"])
    assert (found["reads"], found["confidence"]) == (golden["reads"], pytest.approx(golden["confidence"]))
    assert Note.get_prediction_data(note)["prediction_error"] == golden["error"]
    assert (note.fresh, note.rhythm, trips) == (golden["moment"], golden["moment"], 1)
    assert Note.check_indexes()["total"] == 0


def test_the_same_under_asyncio_and_in_a_pipeline(store: Connection, plain: Any) -> None:
    note = noted(predicts=False)
    pipeline = store.pipeline()
    with clock.frozen(lambda: NOW):
        ObservationProtocol.on_context_used([note], {note.pk: "acted"}, pipeline=pipeline)
        assert stored(plain, note)["amplitude"] == 2.0
        pipeline.execute()
        assert stored(plain, note)["amplitude"] == pytest.approx(2.4)
        asyncio.run(ObservationProtocol.async_on_context_used([note], {note.pk: "acted"}))
    assert stored(plain, note)["amplitude"] == pytest.approx(2.88)


def test_a_touched_row_saves_its_own_fields_and_moves_its_clock_with_its_partition(
    store: Connection, plain: Any
) -> None:
    note = noted(predicts=False)
    with clock.frozen(lambda: NOW):
        ObservationProtocol.on_context_used([note], {note.pk: "acted"})
    note.agent = "b"
    note.save(update_fields=["agent"])
    assert plain.zscore("$DecayingSortF:Note:fresh:b", note.pk) == NOW
    assert plain.exists("$DecayingSortF:Note:fresh:a") == 0
    note.delete()
    assert [key for key in plain.keys("*") if b"Decay" in key or b"Cyclic" in key] == []
