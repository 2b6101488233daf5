"""One ranking of several: reciprocal ranks, min-max scores, neighbours and groups, and the filters that hold."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from popoto import (
    AccessTrackerMixin,
    BM25Field,
    DecayingSortedField,
    EmbeddingField,
    Field,
    GeoField,
    IndexedField,
    KeyField,
    Model,
    QueryException,
    SortedField,
    round_trips,
)
from popoto.embeddings.hashing import HashingProvider
from popoto.queries.hits import Hit, Part
from popoto.storage import Connection


class Turn(Model):
    name = KeyField()
    session = IndexedField()
    number = SortedField(type=int, default=0, partition_by="session")
    place = SortedField(type=int, default=0)
    text = Field()
    words = BM25Field(source="text")


@pytest.fixture
def turns(store: Connection) -> dict[str, Turn]:
    """Five turns of two sessions."""
    rows = [
        Turn(name=name, session=session, number=number, place=place, text=text)
        for place, (name, session, number, text) in enumerate(
            [
                ("a", "s", 1, "red"),
                ("b", "s", 2, "red red"),
                ("c", "s", 3, "blue"),
                ("d", "t", 1, "blue"),
                ("e", "t", 9, ""),
            ]
        )
    ]
    Turn.bulk_create(rows)
    return {row.name: row for row in rows}


WORDS = [("Turn:b", 6.0), ("Turn:a", 4.0), ("Turn:c", 2.0)]
VECTORS = [("Turn:c", 0.9), ("Turn:b", 0.6), ("Turn:d", 0.3)]


def scores(rows: list[Any]) -> dict[str, float]:
    return {row.name: row._fused_score for row in rows}


def test_reciprocal_ranks_add_up(turns: dict[str, Turn]) -> None:
    rows = Turn.query.fuse(k=60, words=WORDS, vectors=VECTORS)
    expected = {"b": 1 / 61 + 1 / 62, "c": 1 / 63 + 1 / 61, "a": 1 / 62, "d": 1 / 63}
    assert list(scores(rows).items()) == [(name, pytest.approx(score)) for name, score in expected.items()]
    assert [row._rrf_score for row in rows] == [row._fused_score for row in rows]
    assert scores(Turn.query.fuse(method="rrf", words=WORDS, vectors=VECTORS)) == scores(rows)
    weighted = scores(Turn.query.fuse(k=0, weights={"words": 3}, words=WORDS, vectors=VECTORS))
    assert weighted == {
        "b": pytest.approx(3.5),
        "c": pytest.approx(2),
        "a": pytest.approx(1.5),
        "d": pytest.approx(1 / 3),
    }


def test_scores_of_each_list_are_brought_to_one_scale(turns: dict[str, Turn]) -> None:
    rows = Turn.query.fuse(words=WORDS, vectors=VECTORS)
    assert list(scores(rows).items()) == [("b", 0.75), ("c", 0.5), ("a", 0.25), ("d", 0.0)]
    assert not hasattr(rows[0], "_rrf_score")
    weighted = Turn.query.fuse(weights={"vectors": 3.0}, words=WORDS, vectors=VECTORS)
    assert list(scores(weighted)) == ["c", "b", "a", "d"]
    assert scores(weighted)["c"] == 0.75
    # One score alone, or the same for all, is the best there is.
    assert scores(Turn.query.fuse(words=[("Turn:a", 7.0)])) == {"a": 1.0}


def test_ties_are_broken_by_key(turns: dict[str, Turn]) -> None:
    assert list(scores(Turn.query.fuse(words=dict.fromkeys(("Turn:d", "Turn:a", "Turn:e", "Turn:b"), 1.0)))) == list(
        "abde"
    )


def test_every_part_of_a_hit_is_told(turns: dict[str, Turn]) -> None:
    best = Turn.query.fuse(words=WORDS, vectors=VECTORS, explain=True, limit=1)
    assert best == [
        Hit(turns["b"], "Turn:b", 0.75, (Part("words", 6.0, 0.5, 0.5), Part("vectors", 0.6, 0.5, pytest.approx(0.25))))
    ]
    (rank,) = Turn.query.fuse(k=1, words=WORDS, explain=True, limit=1)[0].parts
    assert rank == Part("words", 1.0, 1.0, 0.5)


def test_lists_may_be_rows_hits_keys_pairs_or_mappings(turns: dict[str, Turn]) -> None:
    query = Turn.query
    rows = query.keyword_search("red blue")
    noted = {row.pk: row._bm25_score for row in rows}
    expected = scores(query.fuse(words=noted))
    pairs = BM25Field.search(Turn, "words", "red blue")
    hits = query.keyword_search("red blue", explain=True)
    lists = [rows, [(row, row._bm25_score) for row in rows], pairs, hits]
    assert [scores(query.fuse(words=one)) for one in lists] == [expected] * 4
    # Without scores the places count.
    assert scores(query.fuse(keys=["Turn:a", b"Turn:b", "Turn:c"])) == {"a": 1.0, "b": pytest.approx(0.5), "c": 0.0}


def test_numbers_that_rank_nothing_are_left_out(turns: dict[str, Turn]) -> None:
    given = [("Turn:a", math.nan), ("Turn:b", math.inf), ("Turn:c", 1.0), ("Turn:c", 9.0), ("Turn:d", 0.0)]
    assert scores(Turn.query.fuse(words=given)) == {"c": 1.0, "d": 0.0}
    assert (Turn.query.fuse(words=[]), Turn.query.fuse(words=WORDS, limit=0)) == ([], [])


def test_filters_hold_and_the_limit_is_filled(turns: dict[str, Turn]) -> None:
    """D01 and D05."""
    turns["c"].delete()
    lists = {"words": [*WORDS, ("Turn:gone", 9.0), ("Other:b", 99.0)], "vectors": VECTORS}
    assert list(scores(Turn.query.fuse(limit=2, **lists))) == ["b", "a"]
    assert list(scores(Turn.query.filter(session="t").fuse(limit=1, **lists))) == ["d"]
    refused: list[tuple[str, float]] = []

    def accepted(key: str, score: float) -> bool:
        refused.append((key, score))
        return key != "Turn:b"

    assert list(scores(Turn.query.fuse(limit=1, post_filter=accepted, **lists))) == ["a"]
    assert {type(score) for _, score in refused} == {float}


def test_neighbours_and_groups_lend_part_of_their_scores(turns: dict[str, Turn]) -> None:
    lists = {"words": WORDS, "vectors": VECTORS}
    with round_trips() as trips:
        mixed = Turn.query.fuse(neighbours="number", explain=True, **lists)
    # b .75, c .5, a .25, d 0: a, b and c follow each other, d is of another session.
    assert [(hit.row.name, hit.score) for hit in mixed] == [("b", 0.9375), ("c", 0.6875), ("a", 0.4375), ("d", 0.0)]
    assert Part("neighbours", 0.75, 0.25, 0.1875) in mixed[0].parts
    assert trips == 2
    half = Turn.query.fuse(neighbours=("place", 0.5), **lists)
    assert scores(half) == {"b": 1.125, "c": 0.875, "a": 0.625, "d": 0.25}
    grouped = Turn.query.fuse(neighbours=("place", 0.5), group_by="session", explain=True, **lists)
    assert {hit.row.name: hit.score for hit in grouped} == {"b": 1.6875, "c": 1.4375, "a": 1.1875, "d": 0.0}
    assert Part("group", 1.125, 0.5, 0.5625) in grouped[0].parts
    assert scores(Turn.query.fuse(group_by=("session", 1.0), words=WORDS)) == {"b": 2.0, "a": 1.5, "c": 1.0}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "needs lists"),
        ({"words": 7}, "is no list"),
        ({"words": [7]}, "neither a row nor a key"),
        ({"words": [("Turn:a", "x")]}, "no number"),
        ({"words": WORDS, "method": "sum"}, "is unknown"),
        ({"words": WORDS, "k": -1}, "k=-1"),
        ({"words": WORDS, "k": 5, "method": "minmax"}, "belongs to 'rrf'"),
        ({"words": WORDS, "weights": {"other": 1}}, "which is no list"),
        ({"words": WORDS, "weights": {"words": -1}}, "the weight of words"),
        ({"words": WORDS, "weights": {"words": 0}}, "all weights are 0"),
        ({"words": WORDS, "limit": None}, "limit=None"),
        ({"words": WORDS, "neighbours": "text"}, "must be a SortedField"),
        ({"words": WORDS, "neighbours": 3}, "a field's name"),
        ({"words": WORDS, "group_by": "sesion"}, "did you mean 'session'"),
        ({"words": WORDS, "group_by": ("session", -0.5)}, "the share must be a number from 0"),
        ({"words": WORDS, "neighbours": ("place", float("nan"))}, "the share must be a number from 0"),
        ({"words": WORDS, "neighbours": ("place", True)}, "the share must be a number from 0"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], complaint: str, fake: Connection) -> None:
    Turn.create(name="a", session="s")
    with pytest.raises(QueryException, match=complaint):
        Turn.query.fuse(**options)


def test_the_verb_has_its_twin(turns: dict[str, Turn]) -> None:
    async def work() -> list[Any]:
        return await Turn.query.async_fuse(k=60, words=WORDS, vectors=VECTORS, limit=3)

    assert asyncio.run(work()) == Turn.query.fuse(k=60, words=WORDS, vectors=VECTORS, limit=3)


class Place(AccessTrackerMixin, Model):
    name = KeyField()
    where = GeoField()
    text = Field()
    words = BM25Field(source="text")
    meaning = EmbeddingField(source="text", provider=HashingProvider())
    fresh = DecayingSortedField()


RANKINGS: dict[str, Any] = {
    "top_by_decay": lambda query: query.top_by_decay(),
    "composite_score": lambda query: query.composite_score({"fresh": 1.0}),
    "keyword_search": lambda query: query.keyword_search("tea"),
    "semantic_search": lambda query: query.semantic_search("tea"),
    "fuse": lambda query: query.fuse(words=["Place:a"]),
}


@pytest.mark.parametrize("verb", RANKINGS)
def test_every_ranking_gives_the_values_that_are_asked_for_and_notes_no_read_then(
    store: Connection, plain: Any, verb: str
) -> None:
    Place.create(name="a", where=(40.0, -70.0), text="tea")
    values: Any = Place.query.values("name", "text")
    assert RANKINGS[verb](values) == [{"name": "a", "text": "tea"}]
    assert plain.exists("$AT:Place:staged:Place:a") == 0
    assert [row.name for row in RANKINGS[verb](Place.query)] == ["a"]
    assert plain.llen("$AT:Place:staged:Place:a") == 1


@pytest.mark.parametrize("verb", RANKINGS)
def test_every_ranking_notes_the_distances_that_are_asked_for(store: Connection, verb: str) -> None:
    Place.create(name="a", where=(40.0, -70.0), text="tea")
    near = Place.query.filter(where=(40.0, -70.0), where_radius=5, where_radius_unit="km", where_with_distances=True)
    assert [row._geo_distance for row in RANKINGS[verb](near)] == [pytest.approx(0.0, abs=1.0)]
