"""An index of words of 1.x, of another analyser or with damage: read, counted and built anew, also beside writers."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from corpus import Corpus, Note, found, golden, index, names
from stored import keyspace

from popoto import BM25Field, Field, KeyField, Model, ModelException, QueryException
from popoto.fields.bm25_field import index as bm25_index
from popoto.storage import Connection, ask


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
