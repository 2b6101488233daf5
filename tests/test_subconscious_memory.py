"""SubconsciousMemory: what is known comes into the messages, what is said is kept, outcomes are applied or refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from popoto import (
    AccessTrackerMixin,
    AutoKeyField,
    BM25Field,
    ConfidenceField,
    DecayingSortedField,
    FloatField,
    KeyField,
    Model,
    QueryException,
    StringField,
    WriteFilterMixin,
    round_trips,
)
from popoto.recipes import SubconsciousMemory
from popoto.recipes.subconscious_memory import sentences
from popoto.storage import Connection


class Thought(AccessTrackerMixin, WriteFilterMixin, Model):
    thought_id = AutoKeyField()
    agent_id = KeyField()
    content = StringField(max_length=10_000)
    importance = FloatField(default=0.5)
    words = BM25Field(source="content")
    seen = DecayingSortedField(partition_by="agent_id")
    sure = ConfidenceField()

    def compute_filter_score(self) -> float:
        return self.importance or 0.0


def memory(agent: str = "a", **more: Any) -> SubconsciousMemory:
    return SubconsciousMemory(Thought, agent, {"words": 3.0, "seen": 1.0}, **{"output_format": "natural", **more})


def test_sentences_are_split_behind_marks() -> None:
    """The golden value of 1.x."""
    text = "Hello there. The DB is Postgres 14.2! Use e.g. Redis? Ok."
    assert sentences(text, 10) == ["Hello there.", "The DB is Postgres 14.2!"]
    assert sentences("Twice said. Twice said.", 3) == ["Twice said."]
    assert sentences("  \n ", 0) == []


def test_what_was_said_is_found_again(store: Connection) -> None:
    ours = memory()
    with round_trips() as trips:
        saved = ours.extract_memories("The database is Postgres. The office has a red door. Ok.", importance=0.8)
    assert ([row.content for row in saved], trips.count) == (
        ["The database is Postgres.", "The office has a red door."],
        1,
    )
    assert {row.importance for row in Thought.query.filter(agent_id="a")} == {0.8}
    memory("b").extract_memories("The database of b is Oracle.")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which database do we use?"}]
    given = [dict(one) for one in messages]
    told, result = ours.inject_context(messages)
    assert messages == given
    assert told[0]["content"] == f"Be brief.\n\nRelevant context:\n{result.formatted}"
    assert told[1:] == messages[1:]
    assert result.records[0].content == "The database is Postgres."
    assert {row.agent_id for row in result.records} == {"a"}


def test_a_system_message_is_made_where_there_is_none(store: Connection) -> None:
    ours = memory()
    ours.extract_memories("The database is Postgres.")
    told, result = ours.inject_context([{"role": "user", "content": [{"type": "text", "text": "database?"}]}])
    assert told[0] == {
        "role": "system",
        "content": f"You are a helpful assistant.\n\nRelevant context:\n{result.formatted}",
    }
    parted, result = ours.inject_context(
        [{"role": "system", "content": [{"type": "text", "text": "Hi"}]}, {"role": "user", "content": "database?"}]
    )
    assert parted[0]["content"][1] == {"type": "text", "text": f"\n\nRelevant context:\n{result.formatted}"}


def test_messages_stay_where_nothing_is_remembered(store: Connection) -> None:
    messages = [{"role": "user", "content": "Which database?"}]
    told, result = memory().inject_context(messages)
    assert (told, told is messages, result.records) == (messages, False, [])
    assert memory().inject_context([])[0] == []


def test_the_filter_of_writes_decides(store: Connection) -> None:
    assert memory().extract_memories("The door is red today.", importance=0.01) == []
    assert Thought.query.count() == 0


def test_outcomes_are_applied_and_wrong_ones_refused(store: Connection) -> None:
    ours = memory()
    (row,) = ours.extract_memories("The database is Postgres.")
    _, result = ours.inject_context([{"role": "user", "content": "database?"}])
    ours.report_outcomes(result, "acted", outcome_id="turn-1")
    ours.report_outcomes(result, "acted", outcome_id="turn-1")
    assert (row.access_count, ConfidenceField.get_confidence(row, "sure")) == (1, pytest.approx(0.9))
    with pytest.raises(ValueError, match="loved"):
        ours.report_outcomes(result, "loved")


def test_asyncio_does_the_same(store: Connection) -> None:
    ours = memory()

    async def talk() -> tuple[list[Any], int]:
        (row,) = await ours.async_extract_memories("The database is Postgres.")
        told, result = await ours.async_inject_context([{"role": "user", "content": "database?"}])
        await ours.async_report_outcomes(result)
        return told, await row.async_access_count()

    told, count = asyncio.run(talk())
    assert ("Postgres" in told[0]["content"], count) == (True, 1)


def test_fields_that_are_missing_are_named(fake: Connection) -> None:
    with pytest.raises(QueryException, match="no field 'body'"):
        memory(content_field="body")
    with pytest.raises(QueryException, match="no signal 'sen'"):
        SubconsciousMemory(Thought, "a", {"sen": 1.0})
    assert memory(importance_field=None).extract_memories("The door is red.")[0].importance == 0.5
