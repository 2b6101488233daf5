"""Notes whose words are indexed, the index as it is stored, and random texts with their ranks by the formula."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import pytest
from stored import keyspace

from popoto import BM25Field, Field, IndexedField, KeyField, Model, UniqueField

AGENTS = 7
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


def golden() -> dict[str, Note]:
    """Save a row for each of the golden texts."""
    return {name: Note.create(name=name, code=name, text=text) for name, text in GOLDEN.items()}


def found(text: str, limit: int = 10) -> list[tuple[str, float]]:
    """The keys and scores of a search."""
    return BM25Field.search(Note, "words", text, limit)


def names(rows: list[Any]) -> list[str]:
    """The names of rows, in their order."""
    return [row.name for row in rows]


def index(plain: Any) -> dict[bytes, Any]:
    """Every key of an index of words, with its content."""
    return {key: value for key, value in keyspace(plain).items() if key.startswith(b"$BM25")}


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
        """A row for each text, of one agent out of a few."""
        return [
            Note(name=key[5:], code=key, agent=str(int(key[6:]) % AGENTS), text=" ".join(words.elements()))
            for key, words in self.texts.items()
        ]

    def ranked(self, words: list[str], agent: int | None = None) -> list[tuple[str, float]]:
        """All that a search should find, the best first."""
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
        """Ask random questions, and compare what is found."""
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
