"""Query.semantic_search: the nearest rows, and every argument honoured in every mode."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from stored import keyspace

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    EmbeddingField,
    Field,
    IndexedField,
    KeyField,
    Model,
    QueryException,
    SortedField,
    round_trips,
    using,
)
from popoto.configuration import configuration
from popoto.embeddings import AbstractEmbeddingProvider
from popoto.exceptions import EmbeddingError
from popoto.fields.embedding_field.matrix import Changes, Matrix, Wish
from popoto.models import semantic
from popoto.storage import Connection


class Spelled(AbstractEmbeddingProvider):
    """Texts are the vectors themselves, as "2 1 0 0"."""

    model = "spelled"
    failing = False

    @property
    def dimensions(self) -> int:
        return 4

    @property
    def max_batch_size(self) -> int:
        return 1000

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        if self.failing:
            raise TimeoutError("too slow")
        return [list(map(float, text.split())) for text in texts]


class Fact(Model):
    name = KeyField()
    text = Field()
    topic = IndexedField()
    weight = SortedField(type=float, default=0.0)
    open_ = Field(default="yes")
    vector = EmbeddingField(source="text")


class Bare(Model):
    name = KeyField()


@pytest.fixture(autouse=True)
def provider() -> Iterator[Spelled]:
    before = configuration.embedding_provider
    configuration.embedding_provider = made = Spelled()
    yield made
    configuration.embedding_provider = before


@pytest.fixture
def facts(store: Connection) -> Any:
    texts = {"a": ("2 1 0 0", "x"), "b": ("0 3 0 0", "y"), "c": ("0 0 2 0", "x")}
    Fact.bulk_create([Fact(name=name, text=text, topic=topic) for name, (text, topic) in texts.items()])
    return Fact.query


def found(query: Any, text: str, **options: Any) -> dict[str, float]:
    return {hit.row.name: round(hit.score, 6) for hit in query.semantic_search(text, explain=True, **options)}


def test_golden_values_of_1x(facts: Any) -> None:
    assert found(facts, "1 0 0 0") == {"a": 0.894427}
    assert found(facts, "1 1 0 0") == {"a": 0.948683, "b": 0.707107}
    assert found(facts, "1 1 0 0", temperature=0.5) == {"a": 1.897367, "b": 1.414214}
    assert list(found(facts, "1 1 0 0")) == ["a", "b"]
    assert [row.name for row in facts.semantic_search("1 1 0 0")] == ["a", "b"]


def test_the_parts_of_a_hit_are_told(facts: Any) -> None:
    (hit,) = facts.semantic_search("1 1 0 0", limit=1, co_occurrence_boost={"Fact:a": 1.0}, explain=True)
    told = [(part.signal, round(part.raw, 6), part.weight) for part in hit.parts]
    assert (hit.key, told) == ("Fact:a", [("similarity", 0.948683, 1.0), ("co_occurrence", 1.0, 1.0)])


def test_nothing_is_found_for_nothing(facts: Any) -> None:
    for text, options in (("", {}), ("  ", {}), ("0 0 0 0", {}), ("1 1 0 0", {"limit": 0}), ("1 1 0 0", {"limit": -1})):
        assert facts.semantic_search(text, **options) == []
    Fact.query.delete()
    assert (facts.semantic_search("1 1 0 0"), facts.filter(topic="x").semantic_search("1 1 0 0")) == ([], [])
    assert facts.semantic_search("1 1 0 0", co_occurrence_boost={"Fact:gone": 1.0}) == []


def test_the_limit_of_the_query_holds_too(facts: Any) -> None:
    assert facts.filter(limit=1).semantic_search("1 1 0 0") == facts.semantic_search("1 1 0 0", limit=1)


def test_filters_hold(facts: Any) -> None:
    assert found(facts.filter(topic="x"), "1 1 1 0") == {"a": 0.774597, "c": 0.57735}
    assert found(facts.filter(topic="x"), "1 1 1 0", limit=1) == {"a": 0.774597}
    assert found(facts.exclude(topic="x"), "1 1 1 0") == {"b": 0.57735}
    assert found(facts.filter(open_="no"), "1 1 1 0") == {}
    assert found(facts.filter(topic="x"), "1 1 1 0", co_occurrence_boost={"Fact:b": 9.0}) == found(
        facts.filter(topic="x"), "1 1 1 0"
    )


def test_a_row_that_left_its_index_behind_is_not_found(facts: Any, store: Connection) -> None:
    store.native.sadd("$IndexF:Fact:topic:x", "Fact:b")
    assert found(facts.filter(topic="x"), "0 1 0 0") == {"a": 0.447214}


def test_scores_below_the_least_are_left_out_in_every_mode(facts: Any) -> None:
    assert found(facts, "1 1 0 0", min_score=0.8) == {"a": 0.948683}
    assert found(facts, "1 1 0 0", min_score=0.8, temperature=0.1) == {"a": 9.486833}
    boost = {"Fact:c": 0.5, "Fact:b": 0.5}
    assert found(facts, "1 1 0 0", min_score=0.8, co_occurrence_boost=boost) == {"b": 1.207107, "a": 0.948683}


def test_boosts_are_added_as_the_aggregate_says(facts: Any) -> None:
    boost = {"Fact:b": 0.9, b"Fact:c": 0.2, "Fact:gone": 5.0}
    wanted = {
        "SUM": {"b": 1.607107, "a": 0.948683, "c": 0.2},
        "min": {"a": 0.948683, "b": 0.707107, "c": 0.2},
        "MAX": {"a": 0.948683, "b": 0.9, "c": 0.2},
    }
    for aggregate, scores in wanted.items():
        assert found(facts, "1 1 0 0", aggregate=aggregate, co_occurrence_boost=boost) == scores


def test_what_the_caller_rejects_is_replaced(facts: Any) -> None:
    told: list[tuple[str, float]] = []

    def keep(key: str, score: float) -> bool:
        told.append((key, round(score, 6)))
        return key != "Fact:a"

    assert found(facts, "1 1 0 0", limit=1, temperature=0.5, post_filter=keep) == {"b": 1.414214}
    assert told == [("Fact:a", 1.897367), ("Fact:b", 1.414214)]


def test_dead_rows_take_nobodys_place(facts: Any, store: Connection) -> None:
    store.native.delete("Fact:a")
    assert found(facts, "1 1 0 0", limit=1) == {"b": 0.707107}


def test_equal_scores_are_ordered_by_key(store: Connection) -> None:
    Fact.bulk_create([Fact(name=f"{number:02}", text="1 0 0 0") for number in (7, 3, 12, 1, 9, 5)])
    names = [row.name for row in Fact.query.semantic_search("1 0 0 0", limit=3)]
    assert names == ["01", "03", "05"]


def test_a_search_is_two_round_trips_and_the_same_under_asyncio(facts: Any) -> None:
    facts.semantic_search("1 1 0 0")
    with round_trips() as trips:
        rows = facts.semantic_search("1 1 0 0")
    assert (trips, asyncio.run(facts.async_semantic_search("1 1 0 0"))) == (2, rows)


def test_a_failing_provider_fails_the_search(facts: Any, provider: Spelled) -> None:
    """D44."""
    provider.failing = True
    with pytest.raises(EmbeddingError, match="too slow") as caught:
        facts.semantic_search("1 1 0 0")
    assert isinstance(caught.value.__cause__, TimeoutError)
    configuration.embedding_provider = None
    with pytest.raises(EmbeddingError, match=r"has no embedding provider: call popoto\.configure"):
        facts.semantic_search("1 1 0 0")


def test_bad_arguments_are_refused(facts: Any) -> None:
    for options, message in (
        ({"temperature": 0}, "temperature=0 must be above 0"),
        ({"aggregate": "AVG"}, "must be SUM, MIN or MAX"),
        ({"limit": "3"}, "must be an int"),
        ({"min_score": float("nan")}, "must be a finite number"),
        ({"co_occurrence_boost": {"Fact:a": "x"}}, "must be a finite number"),
    ):
        with pytest.raises(QueryException, match=message):
            facts.semantic_search("1 1 0 0", **options)
    with pytest.raises(QueryException, match="query_text=None must be a text"):
        facts.semantic_search(None)
    with pytest.raises(QueryException, match="Bare has no EmbeddingField"):
        Bare.query.semantic_search("x")


def test_the_matrix_agrees_with_a_plain_reckoning() -> None:
    dice = np.random.default_rng(1)
    matrix, truth, version = Matrix(), {}, 0
    for turn in range(30):
        keys = [f"K:{number}".encode() for number in dice.choice(300, 40, replace=False)]
        gone = [key for key in (f"K:{number}".encode() for number in dice.choice(300, 10)) if key not in keys]
        rows = dice.integers(-3, 4, (40, 8)).astype("<f4")
        version += 50
        page = Changes(
            b"e",
            version - 50,
            version,
            version,
            "p",
            "m",
            8,
            0,
            keys,
            [b" " * 16 + row.tobytes() for row in rows],
            gone,
        )
        if turn == 0:
            page = page._replace(since=0)
        assert matrix.take(matrix.state, page)
        truth |= dict(zip(keys, rows, strict=True))
        for key in gone:
            truth.pop(key, None)
        query = dice.integers(-3, 4, 8).astype("<f4")
        scores = sorted((-float(row @ query), key) for key, row in truth.items() if row @ query > 0)[:7]
        assert [(-one.score, one.key) for one in matrix.best(Wish(query), 7)] == scores
        assert not matrix.take((b"e", version - 50), page)


@pytest.mark.parametrize(("few", "looked"), [(0, 10_000), (0, 1), (2_000, 10_000)])
def test_filters_hold_however_the_rows_are_found(
    store: Connection, monkeypatch: pytest.MonkeyPatch, few: int, looked: int
) -> None:
    monkeypatch.setattr(semantic, "FEW", few)
    monkeypatch.setattr(semantic, "MOST_LOOKED", looked)
    for number in range(40):
        Fact.create(name=f"{number:02}", text=f"{40 - number} 5 0 0", topic="x" if number % 8 == 7 else "y", open_="no")
    for query in (Fact.query.filter(topic="x"), Fact.query.filter(topic="x", open_="no")):
        assert [row.name for row in query.semantic_search("1 0 0 0", limit=4)] == ["07", "15", "23", "31"]
        assert len(query.semantic_search("1 0 0 0", limit=40)) == 5


class Tracked(AccessTrackerMixin, Model):
    name = KeyField()
    text = Field()
    vector = EmbeddingField(source="text")


def test_reads_are_staged_only_for_what_was_found(store: Connection) -> None:
    Tracked.bulk_create([Tracked(name="a", text="1 0 0 0"), Tracked(name="b", text="1 1 0 0")])
    Tracked.query.semantic_search("1 0 0 0", limit=1)
    Tracked.query.no_track().semantic_search("1 1 0 0", limit=1)
    rows = [Tracked.query.no_track().get(name=name) for name in "ab"]
    assert [row.confirm_access() for row in rows] == [1, 0]


@pytest.mark.parametrize("options", ["namespace=space", "hash_tags=1", "namespace=space&hash_tags=1"])
def test_vectors_lie_in_their_layout(store: Connection, options: str) -> None:
    url = store.url.raw
    connection = Connection(f"{url}{'&' if '?' in url else '?'}{options}")
    with using(connection):
        Fact.create(name="a", text="2 1 0 0", topic="x")
        Fact.create(name="b", text="0 1 0 0", topic="y").delete()
        assert found(Fact.query, "1 0 0 0") == found(Fact.query.filter(topic="x"), "1 0 0 0") == {"a": 0.894427}
        assert found(Fact.query, "1 0 0 0", co_occurrence_boost={"Fact:a": 1}) == {"a": 1.894427}
        assert EmbeddingField.load_embeddings(Fact)[1] == ["Fact:a"]
        assert (Fact.rebuild_indexes(), EmbeddingField.reembed(Fact), Fact.check_indexes()["total"]) == (1, 1, 0)
        prefix = connection.layout.prefix("Fact").encode()
        assert {key[: len(prefix)] for key in keyspace(connection.native)} == {prefix}
    connection.close()


class Belief(Model):
    name = KeyField()
    text = Field()
    topic = IndexedField(default="x")
    conf = ConfidenceField(initial_confidence=0.5)
    vector = EmbeddingField(source="text")


@pytest.fixture
def beliefs(store: Connection) -> Any:
    for name, text in (("a", "2 1 0 0"), ("b", "0 3 0 0"), ("c", "0 0 2 0"), ("d", "0 0 0 1")):
        row = Belief.create(name=name, text=text, topic="y" if name == "b" else "x")
        if name == "b":
            ConfidenceField.update_confidence(row, "conf", signal=0.9)
    return Belief.query


def test_golden_values_of_1x_with_another_signal(beliefs: Any) -> None:
    confidence = {row.name: ConfidenceField.get_confidence(row, "conf") for row in beliefs}
    similar = {"a": 0.948683, "b": 0.707107, "c": 0.0, "d": 0.0}
    wanted = {name: round(similar[name] + 0.5 * confidence[name], 6) for name in "abcd"}
    got = found(beliefs, "1 1 0 0", indexes={"conf": 0.5})
    assert (got["a"], got["c"], got) == (1.198683, 0.25, pytest.approx(wanted, abs=2e-6))
    assert list(got)[2:] == ["c", "d"]


def test_with_other_signals_every_argument_is_honoured_too(beliefs: Any) -> None:
    near = {"indexes": {"conf": 0.5}}
    assert list(found(beliefs.filter(topic="x"), "1 1 0 0", limit=2, **near)) == ["a", "c"]
    assert list(found(beliefs, "1 1 0 0", min_score=0.3, **near)) == ["a", "b"]
    assert found(beliefs, "1 1 0 0", limit=1, temperature=0.5, **near) == {"a": 2.397367}
    assert list(found(beliefs, "1 1 0 0", limit=1, post_filter=lambda key, score: key != "Belief:a", **near)) == ["b"]
    assert found(beliefs, "1 1 0 0", co_occurrence_boost={"Belief:d": 5.0}, limit=1, **near) == {"d": 5.25}
    (hit,) = beliefs.semantic_search("1 1 0 0", limit=1, explain=True, **near)
    assert {part.signal for part in hit.parts} >= {"conf", "similarity"}
    assert beliefs.semantic_search("1 1 0 0", limit=0, **near) == []
    with pytest.raises(QueryException, match="no signal 'nothing'"):
        beliefs.semantic_search("1 1 0 0", indexes={"nothing": 1.0})
