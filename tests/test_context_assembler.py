"""ContextAssembler: what is asked for comes first, nothing leaks or is noted twice, the budget counts what is said."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from xml.etree import ElementTree

import pytest

from popoto import (
    AccessTrackerMixin,
    AssemblyResult,
    BM25Field,
    ConfidenceField,
    ContextAssembler,
    CoOccurrenceField,
    CyclicDecayField,
    DecayingSortedField,
    Defaults,
    EmbeddingField,
    ExistenceFilter,
    Field,
    KeyField,
    Model,
    ObservationProtocol,
    QueryException,
    RecallProposal,
    SortedField,
    clock,
    round_trips,
)
from popoto.embeddings.hashing import HashingProvider
from popoto.exceptions import EmbeddingError
from popoto.storage import Connection

DAY = 86_400.0
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def still() -> Any:
    """The clock stands still."""
    with clock.frozen(lambda: NOW):
        yield


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


class Rhythm(AccessTrackerMixin, Model):
    name = KeyField()
    agent_id = KeyField()
    text = Field()
    words = BM25Field(source="text")
    beat = CyclicDecayField(decay_rate=0.5, cycles=[(DAY, 3.0)], partition_by="agent_id")


TEXTS = {
    "oats": "Anna drinks oat milk",
    "order": "her coffee order is a flat white",
    "shop": "the coffee shop closes at six",
    "graz": "her sister lives in Graz",
    "tea": "tea is for evenings",
}


def create_aged(count: int = 8) -> list[Aged]:
    rows = [Aged(name=f"m{number}", text="coffee", seen=NOW - (number + 1) * DAY) for number in range(count)]
    for row in rows:
        row.save(skip_auto_now=True)
    return rows


def create_memories(agent: str = "a") -> dict[str, Memory]:
    rows = [
        Memory(name=name, agent_id=agent, text=text, place=place) for place, (name, text) in enumerate(TEXTS.items())
    ]
    Memory.bulk_create(rows)
    return {row.name: row for row in rows}


def names(result: AssemblyResult) -> list[str]:
    return [row.name for row in result.records]


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


@pytest.mark.parametrize(
    ("most", "kept", "tokens"), [(20, 3, 18), (18, 3, 18), (17, 2, 12), (1, 1, 6), (None, 5, 30), (0, 1, 6)]
)
def test_records_beyond_the_budget_are_left_out(store: Connection, most: int | None, kept: int, tokens: int) -> None:
    create_aged(5)
    result = ContextAssembler(Aged, {"seen": 1.0}, max_tokens=most, token_counter=lambda row: 6).assemble(
        {"a": "coffee"}
    )
    assert (len(result.records), result.metadata["token_count"]) == (kept, tokens)


# What ranks


def test_words_of_the_cues_rank(store: Connection) -> None:
    create_memories()
    result = ContextAssembler(Memory, {"seen": 1.0}, max_items=2).assemble({"topic": "coffee order"}, agent_id="a")
    assert names(result) == ["order", "shop"]
    assert [part.signal for part in result.why[0].parts] == ["seen", "words"]
    assert result.why[0].score == pytest.approx(1.0)
    assert result.why[0].row is result.records[0]


def test_weights_name_what_ranks_by_the_question_too(store: Connection) -> None:
    rows = create_memories()
    for row in rows.values():
        row.seen = NOW - 10 * DAY
        row.save(skip_auto_now=True)
    rows["tea"].touch("seen")
    cue = {"topic": "coffee"}
    by_words = ContextAssembler(Memory, {"words": 9.0, "seen": 1.0}, max_items=1).assemble(cue, agent_id="a")
    by_age = ContextAssembler(Memory, {"words": 1.0, "seen": 9.0}, max_items=1).assemble(cue, agent_id="a")
    silent = ContextAssembler(Memory, {"words": 0.0, "seen": 1.0}, max_items=1).assemble(cue, agent_id="a")
    assert (names(by_words)[0] in ("order", "shop"), names(by_age), names(silent)) == (True, ["tea"], ["tea"])


def test_no_signal_drowns_another(store: Connection) -> None:
    """D07: a timestamp is not larger than a confidence."""

    class Stamped(Model):
        name = KeyField()
        at = SortedField(type=float)
        sure = ConfidenceField()

    Stamped.bulk_create([Stamped(name=str(place), at=NOW + place, sure=1.0 - place / 4) for place in range(4)])
    result = ContextAssembler(Stamped, {"at": 0.01, "sure": 0.99}).assemble({"topic": "anything"})
    assert names(result) == ["0", "1", "2", "3"]
    # The first of each order are candidates, and of all of these twice as many as are wanted.
    few = ContextAssembler(Stamped, {"at": 1.0, "sure": 1.0}, max_items=1).assemble({"topic": "anything"})
    assert few.metadata["total_candidates"] == 2


def test_associations_lead_on(store: Connection) -> None:
    rows = create_memories()
    Memory._meta.fields["linked"].link(Memory, rows["order"].pk, rows["oats"].pk, 1.0)
    plain = ContextAssembler(Memory, {"words": 1.0, "linked": 0.0}, max_items=3)
    assert "oats" not in names(plain.assemble({"topic": "order"}, agent_id="a"))
    following = ContextAssembler(Memory, {"words": 1.0}, max_items=3).assemble({"topic": "order"}, agent_id="a")
    assert names(following) == ["order", "oats"]
    assert ("linked", 0.5) in [(part.signal, part.raw) for part in following.why[1].parts]
    still = ContextAssembler(Memory, {"words": 1.0}, propagation_depth=0).assemble({"topic": "order"}, agent_id="a")
    assert names(still) == ["order"]


def test_neighbours_and_groups_gain(store: Connection) -> None:
    rows = create_memories()
    for name, row in rows.items():
        row.session = "one" if name in ("order", "tea") else "two"
        row.save()
    near = ContextAssembler(Memory, {"words": 1.0}, neighbours="place")
    kin = ContextAssembler(Memory, {"words": 1.0, "seen": 0.001}, group_by=("session", 0.5))
    found = near.assemble({"topic": "coffee"}, agent_id="a")
    assert {"neighbours"} <= {part.signal for hit in found.why for part in hit.parts}
    assert names(kin.assemble({"topic": "order"}, agent_id="a"))[:2] == ["order", "tea"]


class Said(Model):
    name = KeyField()
    agent_id = KeyField()
    session = Field()
    place = SortedField(type=int)
    text = Field()
    words = BM25Field(source="text")


@pytest.mark.parametrize("weights", [{}, {"place": 0.0, "words": 1.0}])
def test_what_lies_beside_the_best_comes_in_though_no_ranking_has_it(
    store: Connection, weights: dict[str, float]
) -> None:
    said = {
        "a": "which cafe",
        "b": "the one at the corner",
        "c": "fine",
        "d": "farewell friends",
        "x": "not yours",
        "y": "later",
    }
    Said.bulk_create(
        Said(
            name=name,
            agent_id="b" if name in "xy" else "a",
            session="one" if name < "c" else "two",
            place=place,
            text=text,
        )
        for place, (name, text) in enumerate(said.items())
    )
    near = ContextAssembler(Said, weights, neighbours="place")
    found = near.assemble({"topic": "cafe"}, agent_id="a")
    assert names(found) == ["a", "b"]
    assert [(one.signal, one.raw, one.weight) for one in found.why[1].parts] == [("neighbours", 1.0, 0.25)]
    # What lies beside in another group, or is another agent's, stays out.
    assert names(near.assemble({"topic": "farewell"}, agent_id="a")) == ["d", "c"]
    both = ContextAssembler(Said, weights, neighbours="place", group_by="session")
    assert names(both.assemble({"topic": "corner"}, agent_id="a")) == ["b", "a"]


def test_ranks_may_be_fused_instead_of_scores(store: Connection) -> None:
    create_memories()
    result = ContextAssembler(Memory, {"words": 1.0}, method="rrf").assemble({"topic": "coffee order"}, agent_id="a")
    assert [hit.score for hit in result.why] == [pytest.approx(1 / 61), pytest.approx(1 / 62)]


class Meant(Model):
    name = KeyField()
    agent_id = KeyField()
    text = Field()
    words = BM25Field(source="text")
    meaning = EmbeddingField(source="text", provider=HashingProvider())


def create_meant() -> None:
    Meant.bulk_create([Meant(name=name, agent_id="a", text=text) for name, text in TEXTS.items()])


def test_meaning_ranks_beside_words(store: Connection) -> None:
    create_meant()
    Meant.create(name="x", agent_id="b", text="coffee order")
    result = ContextAssembler(Meant, {}, max_items=2).assemble({"topic": "coffee order"}, agent_id="a")
    assert names(result) == ["order", "shop"]
    assert {part.signal: part.weight for part in result.why[0].parts} == {"words": 0.5, "meaning": 0.5}
    assert "meaning" not in json.loads(result.formatted)[0]
    weighed = ContextAssembler(Meant, {"words": 1.0, "meaning": 3.0}).assemble({"topic": "coffee"}, agent_id="a")
    assert {part.signal: part.weight for part in weighed.why[0].parts} == {"words": 0.25, "meaning": 0.75}


def test_a_provider_that_fails_is_no_empty_memory(store: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    create_meant()

    def fail(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no route")

    monkeypatch.setattr(HashingProvider, "embed", fail)
    with pytest.raises(EmbeddingError, match="no route"):
        ContextAssembler(Meant, {}).assemble({"topic": "coffee"}, agent_id="a")
    words = ContextAssembler(Meant, {"meaning": 0.0}, max_items=2).assemble({"topic": "coffee"}, agent_id="a")
    assert len(words.records) == 2


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


class Synonyms(HashingProvider):
    """Knows one pair of words that mean the same."""

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        return super().embed([text.replace("kitten", "cat") for text in texts], input_type)


class Stemmed(Model):
    name = KeyField()
    text = Field()
    words = BM25Field(source="text", analyzer="english")
    known = ExistenceFilter(fingerprint_fn=lambda row: row.text)


class Alike(Model):
    name = KeyField()
    text = Field()
    meaning = EmbeddingField(source="text", provider=Synonyms())
    known = ExistenceFilter(fingerprint_fn=lambda row: row.text)


@pytest.mark.parametrize(("model", "cue"), [(Stemmed, "sleeps"), (Alike, "kitten")])
def test_a_filter_of_words_hides_nothing_that_ranks_without_them(
    store: Connection, model: type[Model], cue: str
) -> None:
    model.create(name="a", text="the cat slept")
    known: Any = model._meta.fields["known"]
    assert known.definitely_missing(model, cue)
    assembler = ContextAssembler(model, {})
    found = assembler.assemble({"topic": cue}, assess_quality=True)
    assert [row.pk for row in found.records] == [f"{model.__name__}:a"]
    assert found.metadata["quality"].per_cue_fok[cue]["cue_familiarity"] == 0.0
    assert assembler.assess({"topic": cue}).per_cue_fok[cue]["partial_retrieval_count"] == 0.1


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


# What is said


def test_tokens_are_those_of_what_is_rendered(store: Connection) -> None:
    """D46."""
    Memory.bulk_create([Memory(name=str(place), agent_id="a", text=f"coffee {'x' * 400}") for place in range(5)])
    assembler = ContextAssembler(Memory, {"words": 1.0}, max_tokens=400)
    result = assembler.assemble({"topic": "coffee"}, agent_id="a")
    assert (len(result.records), result.metadata["token_count"]) == (3, len(result.formatted) // 4)
    by_characters = ContextAssembler(Memory, {"words": 1.0}, max_tokens=2000, text_counter=len)
    result = by_characters.assemble({"topic": "coffee"}, agent_id="a")
    assert len(result.formatted) == result.metadata["token_count"] <= 2000


def test_a_failing_counter_fails_the_call(store: Connection) -> None:
    create_aged(1)
    with pytest.raises(ZeroDivisionError):
        ContextAssembler(Aged, {"seen": 1.0}, token_counter=lambda row: 1 // 0).assemble({"topic": "coffee"})


NASTY = 'a <b> & "c"\r\nd\x00\x0b \ufffe ]]> é'


def test_every_format_holds_whatever_is_stored(store: Connection) -> None:
    class Odd(Model):
        name = KeyField()
        ärger = Field()
        facts = Field(type=dict, default=dict)
        ratio = Field(type=float)
        nothing = Field()
        words = BM25Field(source="ärger")

    Odd.create(name=NASTY, ärger="coffee", facts={"a": [1, {"b": 2.5}]}, ratio=0.5)

    def said(form: str) -> str:
        return ContextAssembler(Odd, {}, output_format=form).assemble({"topic": "coffee"}).formatted

    assert json.loads(said("structured")) == [
        {"name": NASTY, "ärger": "coffee", "facts": {"a": [1, {"b": 2.5}]}, "ratio": 0.5}
    ]
    (record,) = ElementTree.fromstring(said("xml"))
    assert [(one.tag, one.get("name")) for one in record] == [
        ("name", None),
        ("field", "ärger"),
        ("facts", None),
        ("ratio", None),
    ]
    assert record[0].text == NASTY.replace("\x00\x0b", "\ufffd\ufffd").replace("\ufffe", "\ufffd")
    assert said("natural").splitlines()[0].startswith('1. name: a <b> & "c" d')
    assert len(said("natural").splitlines()) == 1


@pytest.mark.parametrize(("form", "empty"), [("structured", "[]"), ("xml", "<records>\n</records>"), ("natural", "")])
def test_nothing_is_said_in_every_format(store: Connection, form: str, empty: str) -> None:
    assert ContextAssembler(Aged, {"seen": 1.0}, output_format=form).assemble().formatted == empty


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
