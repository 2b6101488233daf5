"""Models of memories, with and without an index of words, and rows of theirs at a moment that stands still."""

from __future__ import annotations

from popoto import (
    AccessTrackerMixin,
    AssemblyResult,
    BM25Field,
    ConfidenceField,
    CoOccurrenceField,
    DecayingSortedField,
    ExistenceFilter,
    Field,
    KeyField,
    Model,
    SortedField,
)

DAY = 86_400.0
NOW = 1_800_000_000.0


class Aged(AccessTrackerMixin, Model):
    """A memory without an index of words: its signals rank alone, as in 1.x."""

    name = KeyField()
    text = Field()
    seen = DecayingSortedField(decay_rate=0.5)
    sure = ConfidenceField()
    known = ExistenceFilter(fingerprint_fn=lambda row: row.text)


class Memory(AccessTrackerMixin, Model):
    name = KeyField()
    agent_id = KeyField()
    session = Field()
    place = SortedField(type=int, default=0, partition_by="agent_id")
    text = Field()
    words = BM25Field(source="text")
    seen = DecayingSortedField(decay_rate=0.5, partition_by="agent_id")
    sure = ConfidenceField(partition_by="agent_id")
    linked = CoOccurrenceField()


TEXTS = {
    "oats": "Anna drinks oat milk",
    "order": "her coffee order is a flat white",
    "shop": "the coffee shop closes at six",
    "graz": "her sister lives in Graz",
    "tea": "tea is for evenings",
}


def create_aged(count: int = 8) -> list[Aged]:
    """Save rows that were seen one, two, three ... days ago."""
    rows = [Aged(name=f"m{number}", text="coffee", seen=NOW - (number + 1) * DAY) for number in range(count)]
    for row in rows:
        row.save(skip_auto_now=True)
    return rows


def create_memories(agent: str = "a") -> dict[str, Memory]:
    """Save a row of an agent's for each of the texts."""
    rows = [
        Memory(name=name, agent_id=agent, text=text, place=place) for place, (name, text) in enumerate(TEXTS.items())
    ]
    Memory.bulk_create(rows)
    return {row.name: row for row in rows}


def names(result: AssemblyResult) -> list[str]:
    """The names of an assembly's records, in their order."""
    return [row.name for row in result.records]
