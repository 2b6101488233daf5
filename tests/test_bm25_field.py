"""Keyword search: what is stored, golden scores, filters, ties, and what is refused."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from corpus import Note, found, golden, index, names
from stored import keyspace

from popoto import BM25Field, Field, KeyField, ListField, Model, ModelException, QueryException, round_trips
from popoto.storage import Connection


class English(Model):
    name = KeyField()
    text = Field(max_length=None)
    words = BM25Field(source="text", analyzer="english")


def test_a_row_is_indexed_in_1x_s_keys(store: Connection, plain: Any) -> None:
    with round_trips() as trips:
        Note.create(name="a", code="a", text="Redis redis and the cache")
    row = b"Note:a"
    expected = {
        b"inv:redis": {row: 2.0},
        b"inv:cache": {row: 1.0},
        b"tf:Note:a": {b"redis": 2.0, b"cache": 1.0},
        b"df": {b"redis": 1.0, b"cache": 1.0},
        b"dl": {row: 3.0},
        b"n": b"1",
        b"total": b"3",
        b"avgdl": b"3",
        b"analyzer": b"simple",
    }
    assert index(plain) == {b"$BM25:Note:words:" + key: value for key, value in expected.items()}
    assert trips == 1


def test_golden_scores(store: Connection) -> None:
    rows = golden()
    assert found("redis") == [
        ("Note:d2", pytest.approx(0.483274316260584, abs=1e-14)),
        ("Note:d1", pytest.approx(0.3813046715252945, abs=1e-14)),
        ("Note:d4", pytest.approx(0.3491572050735132, abs=1e-14)),
    ]
    assert found("redis search") == [
        ("Note:d4", pytest.approx(1.2883323152, abs=1e-9)),
        ("Note:d1", pytest.approx(1.1223162354, abs=1e-9)),
        ("Note:d2", pytest.approx(0.4832743163, abs=1e-9)),
    ]
    weights = BM25Field.get_idf(Note, "words", ["redis", "absent"])
    assert weights == {"redis": pytest.approx(0.3566749439), "absent": pytest.approx(2.3025850930)}
    assert BM25Field.filter_selective_tokens(Note, "words", ["redis", "absent"]) == ["absent"]
    rows["d2"].text = "cache memory"
    rows["d2"].save()
    assert found("redis") == [
        ("Note:d1", pytest.approx(0.6931471805599453, abs=1e-14)),
        ("Note:d4", pytest.approx(0.628834555559538, abs=1e-14)),
    ]


def test_nothing_is_found_where_nothing_can_be(store: Connection) -> None:
    assert (found("redis"), BM25Field.get_idf(Note, "words", "redis")) == ([], {"redis": 0.0})
    golden()
    assert (found("the"), found(""), found("redis", 0), found("redis", -1), found("absent")) == ([], [], [], [], [])
    assert BM25Field.get_idf(Note, "words", []) == {}


def test_a_question_that_makes_no_sense_is_refused(fake: Connection) -> None:
    with pytest.raises(QueryException, match="has the BM25Fields words"):
        BM25Field.search(Note, "text", "redis")
    with pytest.raises(QueryException, match="limit=None must be an int"):
        BM25Field.search(Note, "words", "redis", None)  # type: ignore[arg-type]
    with pytest.raises(QueryException, match="7 is no text"):
        Note.query.keyword_search(7)  # type: ignore[arg-type]


def test_a_declaration_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the name of a text field"):
        BM25Field()
    with pytest.raises(ModelException, match="k1=0 must be a number"):
        BM25Field(source="text", k1=0)
    with pytest.raises(ModelException, match=r"b=1\.5 must be a number"):
        BM25Field(source="text", b=1.5)
    with pytest.raises(ModelException, match="no other field of the model"):
        type("Bad", (Model,), {"words": BM25Field(source="body")})
    with pytest.raises(ModelException, match="or a capped list, whose pushes no index follows"):
        type("Bad", (Model,), {"log": ListField(max_length=3), "words": BM25Field(source="log")})
    with pytest.raises(ModelException, match="holds no value of its own"):
        Note(name="a", words="x")
    with pytest.raises(QueryException, match="words"):
        Note.query.filter(words="x")


def test_a_text_of_too_many_words_is_refused(fake: Connection, plain: Any) -> None:
    with pytest.raises(ModelException, match="has 5001 different words"):
        Note.create(name="a", code="a", text=" ".join(f"word{number}" for number in range(5_001)))
    assert keyspace(plain) == {}


def test_ties_are_broken_by_key(store: Connection) -> None:
    """D38."""
    for name in "decabé":
        Note.create(name=name, code=name, text="same words")
    assert [key for key, _ in found("same", 4)] == ["Note:a", "Note:b", "Note:c", "Note:d"]
    assert [key for key, _ in found("same words")][-1] == "Note:é"
    # Equal scores of different words.
    Note.create(name="x2", code="x2", text="alpha")
    Note.create(name="x1", code="x1", text="beta")
    assert [key for key, _ in found("alpha beta", 1)] == ["Note:x1"]


def test_filters_hold_and_the_limit_is_filled(store: Connection) -> None:
    """D01 and D05."""
    for number in range(30):
        Note.create(name=f"n{number:02}", agent="ab"[number % 2], code=str(number), text="redis " * (number + 1))
    with round_trips() as trips:
        rows = Note.query.filter(agent="a").keyword_search("redis", limit=3)
    assert (names(rows), trips) == (["n28", "n26", "n24"], 1)
    assert rows[0]._bm25_score > rows[1]._bm25_score > rows[2]._bm25_score
    # Only loaded rows can tell, and some of the best are refused.
    assert names(Note.query.exclude(agent="b").keyword_search("redis", limit=3)) == ["n28", "n26", "n24"]
    assert names(Note.query.filter(text="redis " * 2).keyword_search("redis", limit=3)) == ["n01"]
    assert names(Note.query.filter(agent="a", limit=2).keyword_search("redis")) == ["n28", "n26"]
    assert Note.query.filter(agent="nobody").keyword_search("redis") == []


def test_an_entry_of_an_index_that_its_row_denies_is_no_answer(store: Connection, plain: Any) -> None:
    golden()
    plain.sadd("$IndexF:Note:agent:a", "Note:d1")
    assert Note.query.filter(agent="a").keyword_search("redis") == []


def test_explained_parts_add_up(store: Connection) -> None:
    golden()
    hits = Note.query.keyword_search("redis search absent", explain=True)
    assert [hit.key for hit in hits] == ["Note:d4", "Note:d1", "Note:d2"]
    for hit in hits:
        assert sum(part.contribution for part in hit.parts) == pytest.approx(hit.score, abs=1e-12)
        assert hit.row._bm25_score == hit.score
    assert [part.signal for part in hits[0].parts] == ["redis", "search"]
    weights = BM25Field.get_idf(Note, "words", ["redis", "search"])
    assert {part.signal: part.weight for part in hits[0].parts} == pytest.approx(weights)


def test_parameters_are_the_field_s_or_the_analyser_s(fake: Connection) -> None:
    class Tuned(Model):
        name = KeyField()
        text = Field()
        words = BM25Field(source="text", k1=2.0, b=0.0)

    Tuned.create(name="a", text="redis redis with much else beside")
    Tuned.create(name="b", text="other")
    (_, score), *_ = BM25Field.search(Tuned, "words", "redis")
    assert score == pytest.approx(math.log((2 - 1 + 0.5) / 1.5 + 1) * 2 * 3 / (2 + 2), abs=1e-5)
    English.create(name="a", text="Where did Ann go? She went swimming")
    assert BM25Field.search(English, "words", "does she swim where") == [("English:a", pytest.approx(0.2877, abs=1e-3))]


def test_every_verb_has_its_twin(store: Connection) -> None:
    golden()

    async def work() -> list[Any]:
        return [
            await BM25Field.async_search(Note, "words", "redis"),
            await BM25Field.async_get_idf(Note, "words", "redis"),
            await BM25Field.async_filter_selective_tokens(Note, "words", ["absent"]),
            await BM25Field.async_recompute_stats(Note, "words"),
            [row.pk for row in await Note.query.async_keyword_search("redis")],
        ]

    assert asyncio.run(work()) == [
        found("redis"),
        BM25Field.get_idf(Note, "words", "redis"),
        ["absent"],
        {"n": 4, "avgdl": 4.75},
        ["Note:d2", "Note:d1", "Note:d4"],
    ]
