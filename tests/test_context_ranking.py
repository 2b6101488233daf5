"""What ranks in an assembly: words, meaning, signals, associations, neighbours and groups, each by its weight."""

from __future__ import annotations

import json
from typing import Any

import pytest
from memories import DAY, NOW, TEXTS, Memory, create_memories, names

from popoto import (
    BM25Field,
    ConfidenceField,
    ContextAssembler,
    EmbeddingField,
    ExistenceFilter,
    Field,
    KeyField,
    Model,
    SortedField,
    clock,
)
from popoto.embeddings.hashing import HashingProvider
from popoto.exceptions import EmbeddingError
from popoto.storage import Connection


@pytest.fixture(autouse=True)
def still() -> Any:
    """The clock stands still."""
    with clock.frozen(lambda: NOW):
        yield


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
