"""Keyword search: what is stored, exact ranks against a plain oracle, filters, and the traps of 1.x, each by name."""

from __future__ import annotations

import asyncio
import math
import random
import threading
from collections import Counter
from typing import Any

import pytest
from stored import keyspace, let_expire

from popoto import (
    BM25Field,
    Field,
    IndexedField,
    KeyField,
    ListField,
    Model,
    ModelException,
    QueryException,
    UniqueField,
    clock,
    round_trips,
)
from popoto.fields.bm25_field import index as bm25_index
from popoto.queries import keywords
from popoto.storage import Connection, ask

GOLDEN = {
    "d1": "redis vector search engine",
    "d2": "redis redis cache cache cache",
    "d3": "postgres relational database engine with storage",
    "d4": "search engine optimisation for redis search",
}


class Note(Model):
    name = KeyField()
    agent = IndexedField()
    code = UniqueField()
    text = Field(max_length=None)
    words = BM25Field(source="text")


class English(Model):
    name = KeyField()
    text = Field(max_length=None)
    words = BM25Field(source="text", analyzer="english")


def golden() -> dict[str, Note]:
    return {name: Note.create(name=name, code=name, text=text) for name, text in GOLDEN.items()}


def found(text: str, limit: int = 10) -> list[tuple[str, float]]:
    return BM25Field.search(Note, "words", text, limit)


def names(rows: list[Any]) -> list[str]:
    return [row.name for row in rows]


def index(plain: Any) -> dict[bytes, Any]:
    return {key: value for key, value in keyspace(plain).items() if key.startswith(b"$BM25")}


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


def test_an_update_rewrites_what_changed_alone(store: Connection, plain: Any) -> None:
    note = golden()["d1"]
    before = keyspace(plain)
    note.agent = "z"
    note.save()
    assert index(plain) == {key: value for key, value in before.items() if key.startswith(b"$BM25")}
    note.text = None
    note.save()
    assert sorted(key for key, _ in found("redis engine")) == ["Note:d2", "Note:d3", "Note:d4"]
    assert (plain.get("$BM25:Note:words:n"), plain.get("$BM25:Note:words:total")) == (b"3", b"15")


def test_a_partial_save_reindexes(store: Connection) -> None:
    """D36."""
    note = golden()["d1"]
    note.text = "unheard"
    note.save(update_fields=["text"])
    assert [key for key, _ in found("unheard")] == ["Note:d1"]


def test_a_renamed_row_is_found_once_under_its_new_key(store: Connection, plain: Any) -> None:
    """D36."""
    note = golden()["d2"]
    note.name = "e"
    note.save(migrate_key=True)
    assert [key for key, _ in found("cache")] == ["Note:e"]
    assert plain.get("$BM25:Note:words:n") == b"4"
    assert "d2" not in repr(index(plain))


def test_what_is_not_saved_is_not_found(store: Connection) -> None:
    """D36 and D44."""
    golden()
    pipe = store.pipeline()
    Note.create(pipeline=pipe, name="e", code="e", text="unheard")
    pipe.reset()
    with pytest.raises(ModelException, match="is taken"):
        Note.create(name="f", code="d1", text="unheard")
    assert found("unheard") == []


def test_deleted_rows_leave_nothing(store: Connection, plain: Any) -> None:
    for note in golden().values():
        note.delete()
    assert keyspace(plain) == {}


def test_expired_rows_are_not_found_and_leave_nothing(store: Connection, plain: Any) -> None:
    """D51 and D05: a dead row does not fill the limit either."""
    golden()
    Note.create(name="e", code="e", text="redis", _ttl=1000)
    plain.delete("Note:e")
    assert [key for key, _ in found("redis", 1)] == ["Note:d2"]
    with clock.frozen(lambda: 4e9):
        Note.create(name="f", code="f", text="other")
    assert plain.zscore("$BM25:Note:words:dl", "Note:e") is None
    assert plain.get("$BM25:Note:words:n") == b"5"


def test_the_words_of_a_row_that_really_expires_leave_with_it(store: Connection, plain: Any) -> None:
    Note.create(name="e", code="e", text="ephemeral redis", _ttl=1000)
    let_expire(plain)
    assert found("ephemeral") == []
    with clock.frozen(lambda: 4e9):
        Note.create(name="f", code="f", text="other")
    assert b"$BM25:Note:words:inv:ephemeral" not in keyspace(plain)
    assert keyspace(plain)[b"$BM25:Note:words:df"] == {b"other": 1.0}
    # A save without new words leaves it so.
    row = Note.query.get(name="f")
    assert row is not None
    row._ttl, row.agent = 1000, "a"
    row.save()
    let_expire(plain)
    with clock.frozen(lambda: 4e9):
        Note.clean_indexes()
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


def test_a_tie_of_many_rows_is_not_walked_to_its_end(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    Note.bulk_create([Note(name=f"{number:03}", code=str(number), text="same words") for number in range(270)])
    monkeypatch.setattr(keywords, "MOST_POSTINGS", 60)
    with round_trips() as trips:
        keys = [key for key, _ in found("same words", 3)]
    assert (keys, trips) == (["Note:000", "Note:001", "Note:002"], 1)


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


# -- exactness, at a size at which words have an impact order

AGENTS = 7


class Corpus:
    """Random texts with a word that all have, and the formula by hand."""

    def __init__(self, size: int) -> None:
        chance = random.Random(11)
        self.vocabulary = [f"w{number:02}" for number in range(40)]
        weights = [1 / (number + 1) for number in range(40)]
        self.texts = {}
        for number in range(size):
            length = chance.choice([3, 5, 5, 8, 20])
            words = chance.choices(self.vocabulary, weights, k=length) + ["common"] * chance.choice([1, 1, 2, 3])
            self.texts[f"Note:n{number:04}"] = Counter(words)

    def rows(self) -> list[Note]:
        return [
            Note(name=key[5:], code=key, agent=str(int(key[6:]) % AGENTS), text=" ".join(words.elements()))
            for key, words in self.texts.items()
        ]

    def ranked(self, words: list[str], agent: int | None = None) -> list[tuple[str, float]]:
        size, mean = len(self.texts), sum(map(Counter.total, self.texts.values())) / len(self.texts)
        frequencies = {word: sum(word in text for text in self.texts.values()) for word in words}
        scores = {}
        for key, text in self.texts.items():
            if agent is None or int(key[6:]) % AGENTS == agent:
                scores[key] = sum(
                    math.log((size - frequencies[word] + 0.5) / (frequencies[word] + 0.5) + 1)
                    * (text[word] * 2.2 / (text[word] + 1.2 * (1 - 0.75 + 0.75 * text.total() / mean)))
                    for word in words
                    if word in text
                )
        return sorted(((key, score) for key, score in scores.items() if score), key=lambda pair: (-pair[1], pair[0]))

    def check(self, seed: int, times: int) -> None:
        chance = random.Random(seed)
        for turn in range(times):
            words = chance.sample([*self.vocabulary, "common"], chance.choice([1, 1, 2, 3, 5]))
            words = list(dict.fromkeys((["common"] if turn % 4 == 0 else []) + words))
            limit = chance.choice([1, 3, 10, 60])
            agent = chance.randrange(AGENTS) if turn % 3 == 0 else None
            query = Note.query.filter(agent=str(agent)) if agent is not None else Note.query
            hits = [(row.pk, row._bm25_score) for row in query.keyword_search(" ".join(words), limit=limit)]
            expected = self.ranked(words, agent)[:limit]
            assert hits == [(key, pytest.approx(score, abs=1e-9)) for key, score in expected], (words, limit, agent)


def orders(plain: Any) -> dict[bytes, int]:
    """The words that have an impact order, and how many of its entries are wrong or missing."""
    wrong = {}
    lengths = dict(plain.zrange("$BM25:Note:words:dl", 0, -1, withscores=True))
    for key in plain.scan_iter("$BM25:Note:words:imp:*", count=1000):
        counts = plain.zrange(key.replace(b":imp:", b":inv:"), 0, -1, withscores=True)
        expected = {(member, lengths[member] - count * 2**32) for member, count in counts}
        wrong[key] = len(expected ^ set(plain.zrange(key, 0, -1, withscores=True)))
    return wrong


def test_ranks_are_exact_and_stay_so_through_changes(store: Connection, plain: Any) -> None:
    corpus = Corpus(360)
    rows = corpus.rows()
    Note.bulk_create(rows)
    lags = orders(plain)
    assert (set(lags.values()), b"$BM25:Note:words:imp:common" in lags) == ({0}, True)
    corpus.check(1, 16)
    # Other texts, other lengths, other names, and rows that go.
    for row in rows[80:100]:
        row.text += " w39"
        corpus.texts[row.pk].update(["w39"])
        row.save()
    for row in rows[:40]:
        row.text += " common w00 w39 w39"
        corpus.texts[row.pk].update(["common", "w00", "w39", "w39"])
        row.save()
    for row in rows[40:60]:
        words = corpus.texts.pop(row.pk)
        # A name of the same agent.
        row.name = f"n{int(row.name[1:]) + 1001}"
        row.save(migrate_key=True)
        corpus.texts[row.pk] = words
    for row in rows[60:80]:
        del corpus.texts[row.pk]
        row.delete()
    assert set(orders(plain).values()) == {0}
    corpus.check(2, 16)
    statistics = [plain.get(f"$BM25:Note:words:{name}") for name in ("n", "total")]
    assert statistics == [str(len(corpus.texts)).encode(), str(sum(map(Counter.total, corpus.texts.values()))).encode()]


def test_a_search_that_is_not_certain_goes_on(store: Connection, plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = Corpus(265)
    Note.bulk_create(corpus.rows())
    monkeypatch.setattr(keywords, "MOST_POSTINGS", 1)
    with round_trips() as trips:
        hits = BM25Field.search(Note, "words", "w00 w01 common", 20)
    expected = corpus.ranked(["w00", "w01", "common"])[:20]
    assert hits == [(key, pytest.approx(score, abs=1e-9)) for key, score in expected]
    assert trips.count > 1
    monkeypatch.setattr(keywords, "MOST_ROWS", 7)
    assert BM25Field.search(Note, "words", "w00 w01 common", 20) == hits
    # Without its impact order a word is read whole.
    plain.delete("$BM25:Note:words:imp:common")
    assert BM25Field.search(Note, "words", "w00 w01 common", 20) == hits


def test_a_word_that_becomes_rare_loses_its_impact_order(fake: Connection, plain: Any) -> None:
    rows = [Note(name=f"{number:03}", code=str(number), text="common") for number in range(260)]
    Note.bulk_create(rows)
    assert orders(plain) == {b"$BM25:Note:words:imp:common": 0}
    Note.bulk_delete(rows[:140])
    assert orders(plain) == {}
    assert found("common", 1) == [("Note:140", pytest.approx(math.log(0.5 / 120.5 + 1)))]


def test_of_a_long_question_the_rarest_words_count(fake: Connection) -> None:
    words = [f"word{number:03}" for number in range(70)]
    Note.create(name="all", code="1", text=" ".join(words))
    Note.create(name="few", code="2", text=" ".join(words[:20]))
    Note.create(name="one", code="3", text="word000")
    hits = Note.query.keyword_search(" ".join(words), explain=True, limit=1)
    assert (hits[0].row.name, len(hits[0].parts)) == ("all", 64)
    assert "word000" not in {part.signal for part in hits[0].parts}


def test_a_text_of_too_many_words_is_refused(fake: Connection, plain: Any) -> None:
    with pytest.raises(ModelException, match="has 5001 different words"):
        Note.create(name="a", code="a", text=" ".join(f"word{number}" for number in range(5_001)))
    assert keyspace(plain) == {}


# -- an index of 1.x, and of another analyser


def as_1x(plain: Any, prefix: str = "$BM25:Note:words:") -> None:
    """Leave what 1.x would have left."""
    golden()
    plain.delete(f"{prefix}total", f"{prefix}analyzer")


def test_an_index_of_1x_is_read_and_taken_over(store: Connection, plain: Any) -> None:
    as_1x(plain)
    assert found("redis")[0] == ("Note:d2", pytest.approx(0.483274316260584))
    Note.create(name="e", code="e", text="redis")
    assert (plain.get("$BM25:Note:words:total"), plain.get("$BM25:Note:words:analyzer")) == (b"20", b"simple")


def test_an_index_of_another_analyser_is_refused_until_it_is_rebuilt(store: Connection, plain: Any) -> None:
    class Note(Model):
        name = KeyField()
        text = Field(max_length=None)
        words = BM25Field(source="text", analyzer="english")

    as_1x(plain)
    with pytest.raises(QueryException, match=r"'simple'.*'english'.*Note\.rebuild_indexes\(\)"):
        Note.query.keyword_search("caching")
    changed = Note.load(name="d1")
    assert changed is not None
    changed.text = "swimming"
    changed.save()
    with pytest.raises(QueryException, match=r"several analysers.*Note\.rebuild_indexes\(\)"):
        found("redis")
    assert Note.rebuild_indexes() == 4
    assert plain.get("$BM25:Note:words:analyzer") == b"english"
    assert names(Note.query.keyword_search("caching")) == ["d2"]
    assert names(Note.query.keyword_search("swims")) == ["d1"]
    assert Note.check_indexes()["total"] == 0


def test_who_writes_other_words_during_a_rebuild_is_noticed(fake: Connection, plain: Any) -> None:
    rows = golden()
    plain.set("$BM25:Note:words:rebuild", "english")
    rows["d1"].text = "other words"
    rows["d1"].save()
    assert plain.get("$BM25:Note:words:rebuild") == b"?"


def test_a_count_that_others_disturb_begins_again(
    fake: Connection, plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = golden()
    plain.set("$BM25:Note:words:total", "99")
    monkeypatch.setattr(bm25_index, "MOST_COUNTED", 1)
    counted = BM25Field.recompute_stats(Note, "words")
    assert (counted, plain.get("$BM25:Note:words:total")) == ({"n": 4, "avgdl": 4.75}, b"19")
    # What changes a length takes the token away, and so does a row's other name.
    rows["d1"].text = "redis"
    rows["d2"].name = "e"
    for row in (rows["d1"], rows["d2"]):
        plain.set("$BM25:Note:words:recount", "token")
        row.save(migrate_key=True)
        assert plain.get("$BM25:Note:words:recount") is None
    asked = 0

    async def disturbed(step: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3 or disturb_always:
            plain.delete("$BM25:Note:words:recount")
        return await ask(step)

    disturb_always = False
    monkeypatch.setattr(bm25_index, "ask", disturbed)
    assert (BM25Field.recompute_stats(Note, "words"), asked) == ({"n": 4, "avgdl": 4.0}, 7)
    disturb_always = True
    with pytest.raises(ModelException, match="saved too fast"):
        BM25Field.recompute_stats(Note, "words")
    Note.rebuild_indexes()
    assert plain.get("$BM25:Note:words:total") == b"16"


def test_a_rebuild_derives_everything_anew(store: Connection, plain: Any) -> None:
    corpus = Corpus(265)
    Note.bulk_create(corpus.rows())
    good = keyspace(plain)
    plain.zadd("$BM25:Note:words:inv:common", {"Note:gone": 9, "Note:n0000": 7})
    plain.zadd("$BM25:Note:words:inv:stray", {"Note:gone": 9})
    plain.zadd("$BM25:Note:words:df", {"common": 5, "stray": 1})
    plain.delete("$BM25:Note:words:imp:common")
    plain.set("$BM25:Note:words:total", "99")
    assert BM25Field.recompute_stats(Note, "words") == {"n": 265, "avgdl": pytest.approx(9.9, abs=1)}
    assert keyspace(plain)[b"$BM25:Note:words:total"] == good[b"$BM25:Note:words:total"]
    assert Note.rebuild_indexes() == 265
    assert keyspace(plain) == good


def test_care_finds_what_1x_left_of_rows_that_are_gone(store: Connection, plain: Any) -> None:
    """D36 and D51."""
    golden()
    plain.delete("Note:d2")
    assert Note.check_indexes()["companions"]["words"] == 1
    Note.clean_indexes()
    assert Note.check_indexes()["total"] == 0
    assert (plain.get("$BM25:Note:words:n"), plain.exists("$BM25:Note:words:inv:cache")) == (b"3", 0)


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


def test_a_rebuild_beside_writers_loses_nothing(server: Connection, plain: Any) -> None:
    Note.bulk_create([Note(name=f"n{number}", code=str(number), text="common start") for number in range(60)])
    stop = threading.Event()

    def write(seed: int) -> None:
        chance = random.Random(seed)
        while not stop.is_set():
            row = Note.load(name=f"n{seed + 2 * chance.randrange(30)}")
            if row is not None:
                row.text = f"common w{chance.randrange(9)} w{chance.randrange(9)}"
                row.save()
                if chance.random() < 0.1:
                    row.delete()
                    Note.create(name=row.name, code=row.code, text="common again")

    writers = [threading.Thread(target=write, args=(seed,)) for seed in (0, 1)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            Note.rebuild_indexes()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    after = index(plain)
    Note.rebuild_indexes()
    assert index(plain) == after
    assert (after[b"$BM25:Note:words:n"], len(after[b"$BM25:Note:words:inv:common"])) == (b"60", 60)
