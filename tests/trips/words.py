"""Rows whose text is indexed by its words, and those that sketch what they have seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from popoto import BM25Field, ExistenceFilter, Field, FrequencySketch, KeyField, Model
from trips.verb import Verb


class Tasting(Model):
    name = KeyField()
    text = Field()
    words = BM25Field(source="text")
    bloom = ExistenceFilter(fingerprint_fn=lambda tasting: tasting.text)
    seen = FrequencySketch(fingerprint_fn=lambda tasting: tasting.text)


def tasted(verb: Callable[[], Any]) -> Any:
    """Two tastings, and the verb's script known to the server."""
    rows = [Tasting.create(name=name, text=f"red fruit {name}") for name in "ab"]
    verb()
    rows[0].text = "white"
    return rows[0]


TABLE: dict[str, Verb] = {
    "save of an indexed text": Verb(
        lambda store: tasted(lambda: None),
        lambda it: it.save(),
        lambda it: it.async_save(),
        1,
    ),
    "keyword search": Verb(
        lambda store: tasted(lambda: Tasting.query.keyword_search("fruit")),
        lambda it: Tasting.query.filter(name__in=["a"]).keyword_search("fruit"),
        lambda it: Tasting.query.filter(name__in=["a"]).async_keyword_search("fruit"),
        1,
    ),
    "search": Verb(
        lambda store: tasted(lambda: BM25Field.search(Tasting, "words", "fruit")),
        lambda it: BM25Field.search(Tasting, "words", "fruit"),
        lambda it: BM25Field.async_search(Tasting, "words", "fruit"),
        1,
    ),
    "idf of two words": Verb(
        lambda store: tasted(lambda: None),
        lambda it: BM25Field.get_idf(Tasting, "words", ["red", "x"]),
        lambda it: BM25Field.async_get_idf(Tasting, "words", ["red", "x"]),
        1,
    ),
    "fuse": Verb(
        lambda store: tasted(lambda: None),
        lambda it: Tasting.query.fuse(words=["Tasting:a"], others=["Tasting:b"]),
        lambda it: Tasting.query.async_fuse(words=["Tasting:a"], others=["Tasting:b"]),
        1,
    ),
    "might_exist_batch": Verb(
        lambda store: tasted(lambda: Tasting.bloom.might_exist(Tasting, "x")),
        lambda it: Tasting.bloom.might_exist_batch(Tasting, ["red", "x"]),
        lambda it: Tasting.bloom.async_might_exist_batch(Tasting, ["red", "x"]),
        1,
    ),
    "get_frequency": Verb(
        lambda store: tasted(lambda: None),
        lambda it: Tasting.seen.get_frequency(Tasting, "red fruit"),
        lambda it: Tasting.seen.async_get_frequency(Tasting, "red fruit"),
        1,
    ),
}
