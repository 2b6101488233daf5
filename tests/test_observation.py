"""ObservationProtocol: what an outcome does to a row is one step, and nothing of it is lost or done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import servers as stores
from reporters import PROCESSES, REPORTS, Reported, at_once
from stored import keyspace

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    Defaults,
    Field,
    KeyField,
    Model,
    ObservationProtocol,
    PredictionLedgerMixin,
    RecallProposal,
    round_trips,
    using,
)
from popoto import connection as current
from popoto.fields.companions import Action, Companion, Fragment, Store
from popoto.fields.outcomes import contradiction_convinced
from popoto.storage import Connection

used = ObservationProtocol.on_context_used
GAUGE = Fragment("gauge", "rooms", "gauge.lua")


class Gauge(Field[str]):
    """A field on which outcomes act, as those with cycles and pressure do."""

    def companions(self, model_name: str) -> Sequence[Companion]:
        return [Companion(GAUGE, self.name, (Store("H", f"$Gauge:{model_name}:{self.name}"),))]

    def outcome_actions(self, outcome: str) -> Sequence[Action]:
        if outcome == "acted":
            return [Action(self.name, "multiply", (2,))]
        if outcome == "contradicted":
            resolving = Action(self.name, "resolve", when=contradiction_convinced())
            return [resolving, Action(self.name, "multiply", (0.5,))]
        return ()

    def acted(self, instance: Any, verb: str, reply: Any) -> None:
        instance.__dict__[self.name] = str(reply)


class Memory(AccessTrackerMixin, PredictionLedgerMixin, Model):
    name = KeyField()
    gauge = Gauge()
    certainty = ConfidenceField()


class Doubted(PredictionLedgerMixin, Model):
    _pl_auto_resolve_errors = {"dismissed": 0.9}  # noqa: RUF012
    name = KeyField()
    certainty = ConfidenceField()


class Note(Model):
    name = KeyField()


def memory(name: str = "a") -> Memory:
    """A row with two staged reads, an open prediction and a proposal in a partition."""
    made = Memory.create(name=name)
    made.on_read()
    made.on_read()
    Memory.record_prediction(made, {"a": 1})
    RecallProposal.create_batch([made], partition="agent")
    return made


def state(row: Memory) -> tuple[Any, ...]:
    """Confidence and evidence, gauge, confirmed and staged reads, prediction error, pending proposals."""
    found = ConfidenceField.get_confidence_data(row, "certainty")
    plain = current().native
    gauge = plain.hget("$Gauge:Memory:gauge", row.pk)
    error = (Memory.get_prediction_data(row) or {})["prediction_error"]
    staged = plain.llen(f"$AT:Memory:staged:{row.pk}")
    pending = len(RecallProposal.get_pending(Memory, "agent"))
    return (
        round(found["confidence"], 12),
        found["evidence_count"],
        None if gauge is None else float(gauge),
        row.access_count,
        staged,
        error,
        pending,
    )


@pytest.mark.parametrize(
    ("outcome", "after"),
    [
        ("acted", (0.9, 1, 2.0, 2, 0, 0.1, 0)),
        ("used", (0.5, 0, None, 2, 0, 0.3, 0)),
        ("dismissed", (0.5, 0, None, 0, 0, 0.5, 0)),
        ("deferred", (0.5, 0, None, 0, 0, None, 0)),
        (None, (0.5, 0, None, 0, 0, None, 0)),
        # D19: confidence was 0.1707107, of evidence 2; D18: what resolves the gauge is not decided by rounding.
        ("contradicted", (0.1, 1, None, 0, 0, 0.9, 0)),
    ],
)
def test_an_outcome_has_all_its_effects_in_one_step(store: Connection, outcome: str | None, after: Any) -> None:
    row = memory()
    with round_trips() as trips:
        assert used([row], {} if outcome is None else {row.pk: outcome}) is None
    assert (state(row), trips) == (after, 1)
    assert round(row.certainty, 12) == after[0]


def test_every_contradiction_discharges(store: Connection, plain: Any) -> None:
    row = Memory.create(name="a")
    for _ in range(5):
        plain.hset("$Gauge:Memory:gauge", row.pk, 8)
        used([row], {row.pk: "contradicted"})
        assert plain.hget("$Gauge:Memory:gauge", row.pk) is None  # D18: from the third on it stayed
        assert row.gauge == "b'resolved'"


def test_a_contradiction_that_leaves_confidence_does_not_discharge(
    store: Connection, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Memory.create(name="a")
    monkeypatch.setattr(Defaults, "CONTRADICTED_CONFIDENCE_SIGNAL", 0.11)
    plain.hset("$Gauge:Memory:gauge", row.pk, 8)
    used([row], {row.pk: "contradicted"})
    assert plain.hget("$Gauge:Memory:gauge", row.pk) == b"4"
    monkeypatch.setattr(Defaults, "AUTO_DISCHARGE_CONFIDENCE_THRESHOLD", 0.2)
    used([row], {row.pk: "contradicted"})
    assert plain.hget("$Gauge:Memory:gauge", row.pk) is None  # D21


def test_a_wrong_prediction_lowers_confidence_with_the_outcome(store: Connection) -> None:
    row = Doubted.create(name="a")
    Doubted.record_prediction(row, {"a": 1})
    used([row], {row.pk: "dismissed"})
    assert ConfidenceField.get_confidence(row, "certainty") == pytest.approx(0.2)
    used([row], {row.pk: "dismissed"})
    assert ConfidenceField.get_confidence_data(row, "certainty")["evidence_count"] == 1


def test_many_rows_of_several_models_travel_together(store: Connection) -> None:
    rows: list[Any] = [memory(str(number)) for number in range(60)] + [Note.create(name="n")]
    RecallProposal.create_batch(rows[-1:])
    outcomes = {row.pk.encode() if place % 2 else row.pk: "acted" for place, row in enumerate(rows)}
    with round_trips() as trips:
        used(rows, outcomes)
    assert trips == 1
    assert {state(row) for row in rows[:-1]} == {(0.9, 1, 2.0, 2, 0, 0.1, 0)}
    assert RecallProposal.get_pending(Note) == []


def test_a_pipeline_holds_every_effect_until_it_is_executed(store: Connection, plain: Any) -> None:
    for name, pipe in (("a", store.pipeline()), ("b", plain.pipeline())):
        row = memory(name)
        before = keyspace(plain)
        assert used([row], {row.pk: "acted"}, pipeline=pipe) is pipe
        used([row], {row.pk: "acted"}, pipeline=pipe)
        assert keyspace(plain) == before  # D17: half of the effects were there
        pipe.execute()
        assert state(row)[:4] == (0.9, 2, 4.0, 2)  # D17: the second act was lost
    dropped = store.pipeline()
    used([row], {row.pk: "acted"}, pipeline=dropped)
    dropped.reset()
    assert state(row)[1] == 2


def test_bad_outcomes_are_refused_before_any_effect(store: Connection, plain: Any) -> None:
    row = memory()
    before = keyspace(plain)
    for outcomes in ({row.pk: "ignored"}, {row.pk: "acted", "Memory:other": "x"}, {row.pk: None}):
        with pytest.raises(ValueError, match="give one of acted, used"):
            used([row], outcomes)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="is not saved"):
        used([row, Memory(name="new")], {row.pk: "acted", "Memory:new": "acted"})
    assert keyspace(plain) == before
    used([], {"x": "ignored"})
    used([Memory(name="new")], {})
    assert keyspace(plain) == before


def test_a_row_that_is_gone_is_left_alone(store: Connection, plain: Any) -> None:
    row, other = memory("a"), memory("b")
    stale = Memory.query.no_track().get(name="a")
    assert stale is not None
    row.delete()
    used([stale, other], {stale.pk: "acted", other.pk: "acted"})
    assert [key for key in keyspace(plain) if key.endswith(b":a")] == []
    assert state(other)[1] == 1


def test_an_outcome_that_is_reported_again_has_no_second_effect(store: Connection) -> None:
    row = memory()
    for _ in range(3):
        used([row], {row.pk: "acted"}, outcome_id="call 1")
    assert state(row) == (0.9, 1, 2.0, 2, 0, 0.1, 0)
    row.name = "b"
    row.save(migrate_key=True)
    used([row], {row.pk: "acted"}, outcome_id="call 1")
    assert state(row)[1] == 1
    for number in range(2, 40):
        used([row], {row.pk: "acted"}, outcome_id=f"call {number}")
    assert state(row)[1] == 39
    assert current().native.llen("$RP:Memory:outcomes:Memory:b") == 16


def test_reading_and_surfacing_go_where_they_belong(store: Connection, plain: Any) -> None:
    row, note = Memory.create(name="a"), Note.create(name="n")
    before = keyspace(plain)
    ObservationProtocol.on_read(note)
    ObservationProtocol.on_surfaced([])
    assert keyspace(plain) == before
    ObservationProtocol.on_read(row)
    assert plain.llen("$AT:Memory:staged:Memory:a") == 1
    ObservationProtocol.on_surfaced([row, note], reason="hunch", partition="x")
    assert [len(RecallProposal.get_pending(model, "x")) for model in (Memory, Note)] == [1, 1]
    assert plain.hgetall("Memory:a") == before[b"Memory:a"]
    used([note], {note.pk: "used"})
    assert RecallProposal.get_pending(Note, "x") == []  # D20
    assert [key for key in keyspace(plain) if key.startswith(b"$RP:Note")] == []


def test_the_asyncio_twins_do_the_same(store: Connection) -> None:
    row = memory()

    async def work() -> None:
        with round_trips() as trips:
            await ObservationProtocol.async_on_context_used([row], {row.pk: "acted"}, outcome_id="1")
        assert trips == 1
        await ObservationProtocol.async_on_read(row)
        await ObservationProtocol.async_on_surfaced([row], partition="agent")
        await current().aclose()

    asyncio.run(work())
    assert state(row) == (0.9, 1, 2.0, 2, 1, 0.1, 1)


@pytest.fixture
def rows(servers: stores.Servers) -> Iterator[list[tuple[Connection, Reported]]]:
    """A row on each real server that can be had."""
    names = [name for name in stores.KINDS if name not in stores.missing()]
    if not names:
        pytest.skip("no real server can be had here")
    connections = [Connection(servers.url(name)) for name in names]
    made = []
    for one in connections:
        one.native.flushall()
        with using(one):
            made.append((one, Reported.create(name="a")))
    yield made
    for one in connections:
        one.close()


@pytest.mark.server
def test_concurrent_outcomes_of_8_processes_on_one_row_lose_nothing(rows: list[tuple[Connection, Reported]]) -> None:
    assert at_once([one.url.raw for one, _ in rows]) == [True] * PROCESSES
    for connection, row in rows:
        with using(connection):
            assert_nothing_was_lost(row, connection.native)


def assert_nothing_was_lost(row: Reported, plain: Any) -> None:
    total = REPORTS * PROCESSES
    found = ConfidenceField.get_confidence_data(row, "certainty")
    assert (found["corroborations"], found["contradictions"], found["evidence_count"]) == (total, total, 2 * total)
    loaded = Reported.query.no_track().get(name="a")
    assert loaded is not None
    assert loaded.certainty == found["confidence"] == plain.zscore("$ConfidencF:Reported:certainty:rank", row.pk)
    assert row.access_count == total == plain.zscore("$AT:Reported:count", row.pk)
    assert plain.llen("$AT:Reported:access_log:Reported:a") == min(total, 100)
    assert (Reported.get_prediction_data(row) or {})["prediction_error"] == 0.1
    assert Reported.check_indexes()["total"] == 0
