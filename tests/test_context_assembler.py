"""ContextAssembler: what is asked for comes first, and nothing leaks, is noted twice or believed less."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from memories import DAY, NOW, TEXTS, Aged, Memory, create_aged, create_memories, names

from popoto import (
    AccessTrackerMixin,
    BM25Field,
    ConfidenceField,
    ContextAssembler,
    CyclicDecayField,
    Defaults,
    Field,
    KeyField,
    Model,
    ObservationProtocol,
    QueryException,
    RecallProposal,
    clock,
    round_trips,
)
from popoto.storage import Connection


@pytest.fixture(autouse=True)
def still() -> Any:
    """The clock stands still."""
    with clock.frozen(lambda: NOW):
        yield


class Rhythm(AccessTrackerMixin, Model):
    name = KeyField()
    agent_id = KeyField()
    text = Field()
    words = BM25Field(source="text")
    beat = CyclicDecayField(decay_rate=0.5, cycles=[(DAY, 3.0)], partition_by="agent_id")


def staged(plain: Any, row: Any) -> int:
    return int(plain.llen(f"$AT:{type(row).__name__}:staged:{row.pk}"))


def sure(rows: list[Aged]) -> list[float]:
    return [ConfidenceField.get_confidence(row, "sure") for row in rows]


# The golden values of 1.x


def test_signals_rank_where_nothing_ranks_by_the_question(store: Connection, plain: Any) -> None:
    rows = create_aged()
    result = ContextAssembler(Aged, {"seen": 1.0}, max_items=3).assemble({"topic": "coffee"})
    assert names(result) == ["m0", "m1", "m2"]
    assert {name: result.metadata[name] for name in ("pull_count", "push_count", "total_candidates")} == {
        "pull_count": 3,
        "push_count": 0,
        "total_candidates": 6,
    }
    assert [staged(plain, row) for row in rows] == [1, 1, 1, 0, 0, 0, 0, 0]  # D25


def test_a_retrieval_lowers_no_belief_unless_asked(store: Connection) -> None:
    """D47."""
    rows = create_aged()
    ContextAssembler(Aged, {"seen": 1.0}, max_items=3).assemble({"topic": "coffee"})
    assert sure(rows) == [0.5] * 8
    suppressing = ContextAssembler(Aged, {"seen": 1.0}, max_items=3, suppress=True)
    suppressing.assemble({"topic": "coffee"})
    assert sure(rows) == [0.5, 0.5, 0.5, *[pytest.approx(0.3)] * 3, 0.5, 0.5]


def test_suppression_raises_no_belief(store: Connection) -> None:
    rows = create_aged(2)
    ConfidenceField.update_confidence(rows[1], "sure", 0.05)
    ContextAssembler(Aged, {"seen": 1.0}, max_items=1, suppress=True).assemble({"topic": "coffee"})
    assert sure(rows) == [0.5, pytest.approx(0.05)]


def test_a_signal_of_suppression_is_the_default_of_the_moment(
    store: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D21."""
    rows = create_aged(2)
    assembler = ContextAssembler(Aged, {"seen": 1.0}, max_items=1, suppress=True)
    monkeypatch.setattr(Defaults, "COMPETITIVE_SUPPRESSION_SIGNAL", 0.2)
    assembler.assemble({"topic": "coffee"})
    assert sure(rows) == [0.5, pytest.approx(0.2)]


# Whose it is


@pytest.mark.parametrize("how", ["agent_id", "partition_filters"])
def test_nothing_of_another_agent_comes_in(store: Connection, how: str) -> None:
    """D01, D20."""
    mine, others = create_memories("a"), create_memories("b")
    for row in mine.values():
        for other in others.values():
            Memory._meta.fields["linked"].link(Memory, row.pk, other.pk, 1.0)
    given: dict[str, Any] = {"agent_id": "a"} if how == "agent_id" else {"partition_filters": {"agent_id": "a"}}
    result = ContextAssembler(Memory, {"seen": 1.0, "sure": 1.0}, neighbours="place").assemble({"t": "coffee"}, **given)
    assert {row.agent_id for row in result.records} == {"a"}
    assert len(result.records) == 5


def test_a_partition_that_is_not_named_is_an_error(store: Connection) -> None:
    create_memories()
    with pytest.raises(QueryException, match="partition"):
        ContextAssembler(Memory, {"seen": 1.0}).assemble({"topic": "coffee"})
    with pytest.raises(QueryException, match="agent"):
        ContextAssembler(Aged, {"seen": 1.0}).assemble({"topic": "coffee"}, agent_id="a")


def test_nothing_is_pulled_where_nothing_is_known(store: Connection) -> None:
    create_aged()
    with round_trips() as trips:
        result = ContextAssembler(Aged, {"seen": 1.0}).assemble({"topic": "xylophone"})
    assert (result.records, result.formatted, trips.count) == ([], "[]", 1)


@pytest.mark.parametrize("cues", [None, {}, {"topic": None}, {"topic": "  "}])
def test_nothing_is_pulled_without_cues(store: Connection, cues: Any) -> None:
    create_aged()
    with round_trips() as trips:
        result = ContextAssembler(Aged, {"seen": 1.0}).assemble(cues)
    assert (result.records, result.proactive, result.why, result.formatted, trips.count) == ([], [], [], "[]", 0)
    assert {name: count for name, count in result.metadata.items() if name != "timing_ms"} == {
        "pull_count": 0,
        "push_count": 0,
        "token_count": 0,
        "total_candidates": 0,
    }


# The push path


def create_rhythms() -> dict[str, Rhythm]:
    rows = {name: Rhythm.create(name=name, agent_id="a", text=text) for name, text in TEXTS.items()}
    Rhythm.create(name="x", agent_id="b", text="coffee")
    return rows


def test_what_resonates_surfaces_by_itself(store: Connection, plain: Any) -> None:
    rows = create_rhythms()
    result = ContextAssembler(Rhythm, {"words": 1.0}, max_items=4).assemble(agent_id="a")
    assert (len(result.records), result.proactive == result.records) == (4, True)
    assert (result.metadata["pull_count"], result.metadata["push_count"]) == (0, 4)
    assert {key for key, _ in RecallProposal.get_pending(Rhythm, "a")} == {row.pk for row in result.records}
    assert [staged(plain, row) for row in rows.values()] == [0] * 5
    ObservationProtocol.on_context_used(result.records, {row.pk: "acted" for row in result.records})
    assert RecallProposal.get_pending(Rhythm, "a") == []


def test_what_was_asked_for_comes_before_what_surfaces(store: Connection) -> None:
    create_rhythms()
    result = ContextAssembler(Rhythm, {"words": 1.0}, max_items=3).assemble({"topic": "coffee"}, agent_id="a")
    assert names(result)[:2] == ["shop", "order"] or names(result)[:2] == ["order", "shop"]
    assert len(result.proactive) == 1 and result.proactive[0] is result.records[2]


def test_nothing_below_the_threshold_surfaces(store: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    create_rhythms()
    assembler = ContextAssembler(Rhythm, {"words": 1.0})
    monkeypatch.setattr(Defaults, "DEFAULT_SURFACING_THRESHOLD", 1e6)
    assert assembler.assemble(agent_id="a").records == []
    assert ContextAssembler(Rhythm, {"words": 1.0}, surfacing_threshold=1e6).assemble(agent_id="a").records == []


# Asked for


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"score_weights": {"sen": 1.0}}, "did you mean .seen."),
        ({"score_weights": {"seen": -1.0}}, "from 0"),
        ({"score_weights": {"seen": float("nan")}}, "from 0"),
        ({"score_weights": {"seen": 0.0}}, "nothing ranks"),
        ({"score_weights": {}}, "nothing ranks"),
        ({"max_items": 0}, "max_items=0"),
        ({"max_tokens": -1}, "max_tokens=-1"),
        ({"output_format": "yaml"}, "structured, xml, natural"),
        ({"method": "sum"}, "minmax, rrf"),
        ({"token_counter": len, "text_counter": len}, "exclude"),
        ({"token_counter": 4}, "token_counter=4 must be a function"),
        ({"surfacing_threshold": "high"}, "surfacing_threshold='high' must be a finite number"),
        ({"neighbours": "sen"}, "no field 'sen', named by neighbours; did you mean .seen."),
        ({"neighbours": "name"}, "neighbours='name' must be a SortedField"),
        ({"group_by": ("name", float("nan"))}, "the share must be a number from 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(fake: Connection, wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(QueryException, match=told):
        ContextAssembler(**{"model_class": Aged, "score_weights": {"seen": 1.0}, **wrong})


def test_suppression_needs_a_confidence(fake: Connection) -> None:
    with pytest.raises(QueryException, match="Rhythm has no ConfidenceField"):
        ContextAssembler(Rhythm, {"words": 1.0}, suppress=True)


def test_cues_are_a_mapping(fake: Connection) -> None:
    with pytest.raises(QueryException, match="query_cues"):
        ContextAssembler(Aged, {"seen": 1.0}).assemble("coffee")  # type: ignore[arg-type]


def test_asyncio_gets_the_same(store: Connection) -> None:
    create_memories()
    assembler = ContextAssembler(Memory, {"seen": 1.0, "sure": 1.0})
    blocking = assembler.assemble({"topic": "coffee"}, agent_id="a", assess_quality=True)
    native = asyncio.run(assembler.async_assemble({"topic": "coffee"}, agent_id="a", assess_quality=True))
    assert (names(native), native.formatted) == (names(blocking), blocking.formatted)
    assert native.metadata["quality"] == blocking.metadata["quality"]
    quality = asyncio.run(assembler.async_assess({"topic": "coffee"}, agent_id="a"))
    assert quality == assembler.assess({"topic": "coffee"}, agent_id="a")


@pytest.mark.parametrize(
    ("model", "weights", "more", "trips"),
    [
        # What the model lacks costs no round trip: rankings; rows and numbers; reads.
        ("Aged", {"seen": 1.0}, {}, 3),
        ("Aged", {"seen": 1.0, "sure": 1.0}, {}, 4),
        ("Memory", {"words": 1.0, "linked": 0.0}, {}, 3),
        ("Memory", {"seen": 1.0, "sure": 1.0}, {}, 4),
        ("Memory", {"seen": 1.0, "sure": 1.0}, {"neighbours": "place"}, 6),
    ],
)
def test_an_assembly_takes_few_round_trips(
    store: Connection, model: str, weights: dict[str, float], more: dict[str, Any], trips: int
) -> None:
    create_aged()
    create_memories()
    whose = {"agent_id": "a"} if model == "Memory" else {}
    assembler = ContextAssembler({"Aged": Aged, "Memory": Memory}[model], weights, **more)
    assembler.assemble({"topic": "coffee"}, **whose)
    with round_trips() as counted:
        assembler.assemble({"topic": "coffee"}, **whose)
    assert counted.count == trips
