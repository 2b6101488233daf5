"""Recipes over memories: assembling, extracting, and learning policies."""

from __future__ import annotations

from typing import Any

from popoto import (
    AccessTrackerMixin,
    AutoKeyField,
    BM25Field,
    ConfidenceField,
    ExistenceFilter,
    Field,
    KeyField,
    Model,
    RetrievalQuality,
)
from popoto.recipes import SubconsciousMemory
from popoto.recipes.policy_cache import (
    PolicyEntry,
    async_crystallize,
    async_get_q_value,
    async_update_q_value,
    crystallize,
    get_q_value,
    update_q_value,
)
from popoto.storage import Connection
from trips.verb import Verb


class Thought(AccessTrackerMixin, Model):
    thought_id = AutoKeyField()
    agent_id = KeyField()
    content = Field()
    words = BM25Field(source="content")
    known = ExistenceFilter(fingerprint_fn=lambda thought: thought.content)
    sure = ConfidenceField()


TOLD = {"agent_id": "a", "state_fingerprint": "f", "action_type": "x", "success": "1"}


def recalled(store: Connection) -> Any:
    """What recipes need, after each has sent its scripts."""
    rows = [Thought.create(agent_id="a", content=f"The door is red {number}") for number in range(3)]
    it = SubconsciousMemory(Thought, "a", {"sure": 1.0}, importance_field=None)
    it.assembler.assemble({"topic": "door"}, agent_id="a", assess_quality=True)
    it.extract_memories("Another door is red.")
    crystallize([(f"{number}-0", TOLD) for number in range(6)])
    entry = PolicyEntry.query.get(agent_id="a")
    update_q_value(entry, 1.0)
    get_q_value(entry)
    return it, rows, entry


TABLE: dict[str, Verb] = {
    # The filter of what exists, the rankings, reads.
    "assemble": Verb(
        recalled,
        lambda it: it[0].assembler.assemble({"topic": "door"}, agent_id="a"),
        lambda it: it[0].assembler.async_assemble({"topic": "door"}, agent_id="a"),
        3,
    ),
    # The same without reads, and the numbers that quality needs.
    "assess": Verb(
        recalled,
        lambda it: it[0].assembler.assess({"topic": "door"}, agent_id="a"),
        lambda it: it[0].assembler.async_assess({"topic": "door"}, agent_id="a"),
        3,
    ),
    "quality of records": Verb(
        recalled,
        lambda it: RetrievalQuality.from_records(it[1], {"topic": "door"}, {"sure": 1.0}),
        lambda it: RetrievalQuality.async_from_records(it[1], {"topic": "door"}, {"sure": 1.0}),
        2,
    ),
    "extract memories": Verb(
        recalled,
        lambda it: it[0].extract_memories("The roof is green. The floor is blue."),
        lambda it: it[0].async_extract_memories("The roof is green. The floor is blue."),
        1,
    ),
    # Evidence; then the policy and its value, each only where there is enough.
    "evidence of a policy": Verb(
        recalled,
        lambda it: crystallize([("1-0", {**TOLD, "action_type": "y"}), ("2-0", {**TOLD, "agent_id": "b"})]),
        lambda it: async_crystallize([("1-0", {**TOLD, "action_type": "y"}), ("2-0", {**TOLD, "agent_id": "b"})]),
        1,
    ),
    "crystallize": Verb(
        recalled,
        lambda it: crystallize([(f"{number}-0", {**TOLD, "action_type": "y"}) for number in range(6)]),
        lambda it: async_crystallize([(f"{number}-0", {**TOLD, "action_type": "y"}) for number in range(6)]),
        3,
    ),
    "learning a value": Verb(
        recalled,
        lambda it: update_q_value(it[2], 1.0),
        lambda it: async_update_q_value(it[2], 1.0),
        1,
    ),
    "a value": Verb(recalled, lambda it: get_q_value(it[2]), lambda it: async_get_q_value(it[2]), 1),
}
