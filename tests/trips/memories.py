"""Rows that have what memories have, among them that their reads are tracked."""

from __future__ import annotations

from typing import Any

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    CyclicDecayField,
    DecayingSortedField,
    FloatField,
    IndexedField,
    KeyField,
    Model,
    ObservationProtocol,
    PredictionLedgerMixin,
    RecallProposal,
    WriteFilterMixin,
    connection,
)
from trips.verb import Verb


class Memory(AccessTrackerMixin, WriteFilterMixin, PredictionLedgerMixin, Model):
    name = KeyField()
    kind = IndexedField(default="k")
    weight = FloatField(default=1.0)
    certainty = ConfidenceField(partition_by="kind")
    fresh = DecayingSortedField(base_score_field="weight")
    urgent = CyclicDecayField(cycles=[(60, 0.5)], pressure_rate=0.1)

    def compute_filter_score(self) -> float:
        return 0.8


def stock() -> None:
    """Twenty memories."""
    pipe = connection().pipeline()
    for number in range(20):
        Memory.create(pipeline=pipe, name=str(number))
    pipe.execute()


def memory() -> Any:
    """A memory that has something of everything."""
    found = Memory.query.no_track().get(name="1")
    assert found is not None
    found.on_read()
    Memory.record_prediction(found, {"a": 1})
    RecallProposal.create_batch([found], partition="p")
    return found


def memories() -> Any:
    return Memory.query.no_track().all()


def renamed(found: Any) -> Any:
    found.name = "moved"
    return found


def assert_twenty(rows: list[Any]) -> None:
    assert len(rows) == 20


async def twenty(waiting: Any) -> None:
    assert_twenty(await waiting)


TABLE: dict[str, Verb] = {
    "save a memory": Verb(
        lambda store: memory(),
        lambda it: it.save(),
        lambda it: it.async_save(),
        1,
    ),
    "rename a memory": Verb(
        lambda store: renamed(memory()),
        lambda it: it.save(migrate_key=True),
        lambda it: it.async_save(migrate_key=True),
        1,
    ),
    "delete a memory": Verb(
        lambda store: memory(),
        lambda it: it.delete(),
        lambda it: it.async_delete(),
        1,
    ),
    # Of a model that tracks reads: the answer, and the note that it was read.
    "get a tracked row": Verb(
        lambda store: None,
        lambda it: Memory.query.get(name="1"),
        lambda it: Memory.query.async_get(name="1"),
        2,
    ),
    "get_many of 20 tracked rows": Verb(
        lambda store: [f"Memory:{number}" for number in range(20)],
        lambda it: Memory.query.get_many(it),
        lambda it: Memory.query.async_get_many(it),
        2,
    ),
    "filter 20 tracked rows": Verb(
        lambda store: None,
        lambda it: assert_twenty(Memory.query.filter(kind="k").all()),
        lambda it: twenty(Memory.query.async_filter(kind="k")),
        2,
    ),
    "filter tracked rows, none found": Verb(
        lambda store: None,
        lambda it: Memory.query.filter(kind="none").all(),
        lambda it: Memory.query.async_filter(kind="none"),
        1,
    ),
    "filter tracked rows without tracking": Verb(
        lambda store: None,
        lambda it: assert_twenty(Memory.query.no_track().filter(kind="k").all()),
        lambda it: twenty(Memory.query.no_track().async_filter(kind="k")),
        1,
    ),
    "count tracked rows": Verb(
        lambda store: None,
        lambda it: Memory.query.count(kind="k"),
        lambda it: Memory.query.async_count(kind="k"),
        1,
    ),
    "on_read": Verb(
        lambda store: memory(),
        lambda it: it.on_read(),
        lambda it: it.async_on_read(),
        1,
    ),
    "confirm_access": Verb(
        lambda store: memory(),
        lambda it: it.confirm_access(),
        lambda it: it.async_confirm_access(),
        1,
    ),
    "discard_staged_access": Verb(
        lambda store: memory(),
        lambda it: it.discard_staged_access(),
        lambda it: it.async_discard_staged_access(),
        1,
    ),
    "access_count": Verb(lambda store: memory(), lambda it: it.access_count, lambda it: it.async_access_count(), 1),
    "last_accessed": Verb(lambda store: memory(), lambda it: it.last_accessed, lambda it: it.async_last_accessed(), 1),
    "update_confidence": Verb(
        lambda store: memory(),
        lambda it: ConfidenceField.update_confidence(it, "certainty", 0.9),
        lambda it: ConfidenceField.async_update_confidence(it, "certainty", 0.9),
        1,
    ),
    "get_confidence": Verb(
        lambda store: memory(),
        lambda it: ConfidenceField.get_confidence(it, "certainty"),
        lambda it: ConfidenceField.async_get_confidence(it, "certainty"),
        1,
    ),
    "record_prediction": Verb(
        lambda store: memory(),
        lambda it: Memory.record_prediction(it, {"a": 2}),
        lambda it: Memory.async_record_prediction(it, {"a": 2}),
        1,
    ),
    # The measure is the model's own, in Python: the prediction is read first.
    "resolve_prediction": Verb(
        lambda store: memory(),
        lambda it: Memory.resolve_prediction(it, {"a": 2}),
        lambda it: Memory.async_resolve_prediction(it, {"a": 2}),
        2,
    ),
    "auto_resolve": Verb(
        lambda store: memory(),
        lambda it: Memory.auto_resolve(it, "acted"),
        lambda it: Memory.async_auto_resolve(it, "acted"),
        1,
    ),
    "propose 20 rows": Verb(
        lambda store: memories(),
        lambda it: RecallProposal.create_batch(it, partition="p"),
        lambda it: RecallProposal.async_create_batch(it, partition="p"),
        1,
    ),
    "resolve a proposal": Verb(
        lambda store: memory(),
        lambda it: RecallProposal.resolve(it, "acted"),
        lambda it: RecallProposal.async_resolve(it, "acted"),
        1,
    ),
    "expire_stale": Verb(
        lambda store: memory(),
        lambda it: RecallProposal.expire_stale(Memory, "p", ttl=-1),
        lambda it: RecallProposal.async_expire_stale(Memory, "p", ttl=-1),
        1,
    ),
    "touch": Verb(lambda store: memory(), lambda it: it.touch("fresh"), lambda it: it.async_touch("fresh"), 1),
    "resolve_pressure": Verb(
        lambda store: memory(),
        lambda it: it.resolve_pressure("urgent"),
        lambda it: it.async_resolve_pressure("urgent"),
        1,
    ),
    "strengthen_cycle": Verb(
        lambda store: memory(),
        lambda it: it.strengthen_cycle("urgent"),
        lambda it: it.async_strengthen_cycle("urgent"),
        1,
    ),
    "weaken_cycle": Verb(
        lambda store: memory(),
        lambda it: it.weaken_cycle("urgent"),
        lambda it: it.async_weaken_cycle("urgent"),
        1,
    ),
    "top_by_decay": Verb(
        lambda store: Memory.query.filter(kind="k").no_track(),
        lambda it: assert_twenty(it.top_by_decay("fresh", n=100)),
        lambda it: twenty(it.async_top_by_decay("fresh", n=100)),
        1,
    ),
    "composite_score": Verb(
        lambda store: Memory.query.filter(kind="k").no_track(),
        lambda it: assert_twenty(it.composite_score({"urgent": 1.0, "certainty": 0.5, "priority": 2}, limit=100)),
        lambda it: twenty(it.async_composite_score({"urgent": 1.0, "certainty": 0.5, "priority": 2}, limit=100)),
        1,
    ),
    "one outcome on 20 rows": Verb(
        lambda store: memories(),
        lambda it: ObservationProtocol.on_context_used(it, {row.pk: "acted" for row in it}, outcome_id="1"),
        lambda it: ObservationProtocol.async_on_context_used(it, {row.pk: "acted" for row in it}, outcome_id="1"),
        1,
    ),
}
