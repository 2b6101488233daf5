"""Ranks are exact against a plain oracle, at a size at which words have an impact order and a search stops early."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from corpus import Corpus, Note, found

from popoto import BM25Field, round_trips
from popoto.queries import keywords
from popoto.storage import Connection


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


def test_a_tie_of_many_rows_is_not_walked_to_its_end(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    Note.bulk_create([Note(name=f"{number:03}", code=str(number), text="same words") for number in range(270)])
    monkeypatch.setattr(keywords, "MOST_POSTINGS", 60)
    with round_trips() as trips:
        keys = [key for key, _ in found("same words", 3)]
    assert (keys, trips) == (["Note:000", "Note:001", "Note:002"], 1)


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
