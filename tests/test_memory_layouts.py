"""What a memory learns lies in its store's namespace and in its model's slot, whatever is done to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from stored import keyspace

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    Field,
    KeyField,
    Model,
    ObservationProtocol,
    PredictionLedgerMixin,
    RecallProposal,
    WriteFilterMixin,
    using,
)
from popoto.storage import Connection


class Memory(AccessTrackerMixin, WriteFilterMixin, PredictionLedgerMixin, Model):
    name = KeyField()
    agent = Field()
    certainty = ConfidenceField(partition_by="agent")

    def compute_filter_score(self) -> float:
        return 0.8


@pytest.fixture(params=["namespace=space", "hash_tags=1", "namespace=space&hash_tags=1"])
def arranged(request: pytest.FixtureRequest, store: Connection) -> Iterator[tuple[str, Any]]:
    """A layout other than the plain one, in force: what its keys begin with, and a plain client."""
    url = store.url.raw
    made = Connection(f"{url}{'&' if '?' in url else '?'}{request.param}")
    with using(made):
        yield made.layout.prefix("Memory"), made.native
    made.close()


def test_every_effect_stays_inside_the_layout(arranged: tuple[str, Any]) -> None:
    prefix, plain = arranged
    assert prefix
    row = Memory.create(name="a", agent="x")
    Memory.create(name="b", agent="y")
    Memory.record_prediction(row, {"a": 1})
    RecallProposal.create_batch([row], partition="p")
    assert [key for key, _ in RecallProposal.get_pending(Memory, "p")] == ["Memory:a"]
    loaded = Memory.query.get(name="a")
    ObservationProtocol.on_context_used([loaded], {"Memory:a": "acted"}, outcome_id="1")
    assert (row.access_count, RecallProposal.get_pending(Memory, "p")) == (1, [])
    assert Memory.get_highest_errors(Memory) == [("Memory:a", 0.1)]
    summary = Memory.error_summary(Memory, group_by="hour")
    assert sum(one["count"] for one in summary.values()) == 1
    assert sorted(ConfidenceField.get_confidence_filtered(Memory, "certainty", "Memory:[ab]")) == [
        "Memory:a",
        "Memory:b",
    ]
    plain.hset(f"{prefix}$ConfidencF:Memory:certainty:data", f"{prefix}Memory:b", b"\x81\xaaconfidence\x01")
    report = ConfidenceField.migrate_to_partitioned(Memory, "certainty")
    assert (report["migrated"], report["partitions"], report["errors"]) == (1, {"y": 1}, [])
    assert {key[: len(prefix)].decode() for key in keyspace(plain)} == {prefix}
    row.name, row.agent = "c", "z"
    row.save(migrate_key=True)
    RecallProposal.create_batch([row], partition="p")
    assert RecallProposal.expire_stale(Memory, "p", ttl=-1) == ["Memory:c"]
    assert Memory.check_indexes()["total"] == 0
    for one in Memory.query.all():
        one.delete()
    assert keyspace(plain) == {}
