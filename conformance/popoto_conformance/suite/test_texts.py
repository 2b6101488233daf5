"""Texts beside rows: an index that ranks by words, a filter and a sketch, each written in the row's own step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from popoto import BM25Field, Connection, ExistenceFilter, Field, FrequencySketch, IndexedField, KeyField, Model, using
from popoto import connection as current
from popoto.storage import ask, ask_all
from popoto.storage.commands.hashes import hgetall
from popoto.storage.commands.keys import delete, exists
from popoto.storage.commands.sorted_sets import zmscore, zrange
from popoto.storage.commands.strings import get
from popoto_conformance.cases import Driver, close_to, exactly
from popoto_conformance.shelf import Shelf

pytestmark = pytest.mark.needs("lua", "bits")

GOLDEN = {
    "d1": "redis vector search engine",
    "d2": "redis redis cache cache cache",
    "d3": "postgres relational database engine with storage",
    "d4": "search engine optimisation for redis search",
}
# More rows than a word may have before it gets an impact order.
MANY = 264


class Library(Shelf):
    """A model with texts, and its verbs run by one driver."""

    def __init__(self, driver: Driver, *, filters: bool = True) -> None:
        super().__init__(driver)
        body = {
            "name": KeyField(),
            "kind": IndexedField(),
            "text": Field(max_length=None),
            "words": BM25Field(source="text"),
        }
        more = {
            "bloom": ExistenceFilter(capacity=5000, fingerprint_fn=lambda row: row.text),
            "seen": FrequencySketch(width=300, depth=4, fingerprint_fn=lambda row: row.text),
        }
        self.model = type(self.name, (Model,), {**body, **(more if filters else {})})

    def stock(self) -> dict[str, Any]:
        """The texts whose scores are known."""
        rows = {name: self.model(name=name, kind="g", text=text) for name, text in GOLDEN.items()}
        self.run(self.model, "bulk_create", list(rows.values()))
        return rows

    def found(self, text: str, limit: int = 10, **lookups: Any) -> list[tuple[str, float]]:
        """Names and scores of a keyword search."""
        query = self.model.query.filter(**lookups)
        return [(row.name, row._bm25_score) for row in self.run(query, "keyword_search", text, limit=limit)]

    def ask(self, field: str, verb: str, *words: Any) -> Any:
        """A verb of the filter or the sketch."""
        return self.run(getattr(self.model, field), verb, self.model, *words)


@pytest.fixture
def library(driver: Driver, connection: Connection) -> Iterator[Library]:
    """A model of a name of its own; what it has stored is deleted in the end."""
    with using(connection):
        made = Library(driver)
        yield made
        for row in made.model.query.all():
            row.delete()
        bits = [f"$EF::bloom:{number}:{segment}" for number in (1, 2) for segment in (0, 1)]
        left = ["$EF::bloom:meta", *bits, "$FS::seen:meta"]
        current().run(ask_all([delete(made.index(key)) for key in left]))


@pytest.fixture
def index(driver: Driver, connection: Connection) -> Iterator[Library]:
    """The same without a filter and a sketch, which so many rows would only fill."""
    with using(connection):
        made = Library(driver, filters=False)
        yield made
        made.model.delete_all()


def test_scores_are_those_of_the_formula(library: Library) -> None:
    library.stock()
    exactly(current().run(ask(zmscore(library.index("$BM25::words:df"), "redis", "vector", "none"))), [3.0, 1.0, None])
    for words, expected in {
        "redis": {"d2": 0.483274316260584, "d1": 0.3813046715252945, "d4": 0.3491572050735132},
        "redis search": {"d4": 1.2883323152, "d1": 1.1223162354, "d2": 0.4832743163},
    }.items():
        found = library.found(words)
        exactly([name for name, _ in found], list(expected))
        for name, score in found:
            close_to(score, expected[name], part=1e-8)


def test_an_index_is_kept_as_its_row_changes_moves_and_goes(library: Library) -> None:
    rows = library.stock()
    for text in ("cold cache memory", "cache memory"):
        rows["d2"].text = text
        library.run(rows["d2"], "save")
    rows["d2"].name = "e"
    library.run(rows["d2"], "save", migrate_key=True)
    exactly([name for name, _ in library.found("cache")], ["e"])
    exactly(current().run(ask(get(library.index("$BM25::words:total")))), b"16")
    key = library.key(rows["d2"].pk).encode()
    exactly(current().run(ask(zrange(library.index("$BM25::words:inv:cache"), 0, -1))), [(key, 1.0)])
    # A word of few rows has no order of its own.
    exactly(current().run(ask(exists(library.index("$BM25::words:imp:cache")))), False)
    for row in rows.values():
        library.run(row, "delete")
    names = ("n", "total", "avgdl", "analyzer", "df", "dl", "inv:redis", "inv:cache", "imp:cache")
    left = current().run(ask_all([exists(library.index(f"$BM25::words:{name}")) for name in names]))
    exactly(left, [False] * len(names))


def test_dead_rows_do_not_fill_the_limit(library: Library) -> None:
    rows = library.stock()
    library.forget(library.key(rows["d2"].pk))
    exactly([name for name, _ in library.found("redis", 1)], ["d1"])
    library.run(library.model, "clean_indexes")
    exactly(library.run(library.model, "check_indexes")["total"], 0)


def test_a_filter_and_a_sketch_know_what_was_said(library: Library) -> None:
    rows = library.stock()
    answers = library.ask("bloom", "might_exist_batch", ["redis", "with", "absent", "absent redis"])
    exactly(answers, {"redis": True, "with": True, "absent": False, "absent redis": True})
    exactly([library.ask("seen", "get_frequency", text) for text in ("redis", "with", "absent")], [3, 1, 0])
    rows["d1"].text = "absent"
    library.run(rows["d1"], "save")
    exactly([library.ask("seen", "get_frequency", text) for text in ("redis", "absent")], [2, 1])
    exactly(library.run(library.model, "rebuild_indexes"), 4)
    exactly(library.ask("bloom", "might_exist_batch", ["vector", "absent"]), {"vector": False, "absent": True})
    exactly([library.ask("seen", "get_frequency", text) for text in ("redis", "absent")], [2, 1])
    for row in rows.values():
        library.run(row, "delete")
    exactly(current().run(ask(hgetall(library.index("$FS::seen")))), {})


def test_a_filled_filter_errs_seldom_and_forgets_nothing(library: Library) -> None:
    known, absent = ([f"{kind}{number}" for number in range(300)] for kind in ("word", "other"))
    row = library.run(library.model, "create", name="a", kind="g", text=" ".join(known))
    exactly(set(library.ask("bloom", "might_exist_batch", known).values()), {True})
    exactly(sum(library.ask("bloom", "might_exist_batch", absent).values()), 0)
    exactly(min(library.ask("seen", "get_frequency", word) for word in known[::30]), 1)
    library.run(row, "delete")


def test_rankings_are_fused(library: Library) -> None:
    library.stock()
    lists = {
        name: [(f"{library.name}:{row}", score) for row, score in pairs]
        for name, pairs in {"words": [("d1", 6.0), ("d2", 3.0)], "vectors": [("d2", 0.9), ("d3", 0.5)]}.items()
    }
    rows = library.run(library.model.query, "fuse", k=60, **lists)
    exactly([row.name for row in rows], ["d2", "d1", "d3"])
    close_to(rows[0]._rrf_score, 1 / 62 + 1 / 61)
    rows = library.run(library.model.query, "fuse", weights={"words": 3}, **lists)
    exactly([(row.name, row._fused_score) for row in rows], [("d1", 0.75), ("d2", 0.25), ("d3", 0.0)])


def test_a_word_of_many_rows_ranks_exactly_under_filters(index: Library) -> None:
    rows = [
        index.model(
            name=f"n{number:03}", kind="ab"[number % 2], text="common " * (1 + number % 3) + "other " * (number % 5)
        )
        for number in range(MANY)
    ]
    index.run(index.model, "bulk_create", rows)
    # Three times in a text of three words: every fifteenth row from the fifth, even ones for "b".
    best = [number for number in range(MANY) if number % 3 == 2 and number % 5 == 0]
    exactly([name for name, _ in index.found("common", 4)], [f"n{number:03}" for number in best[:4]])
    even = [number for number in best if number % 2 == 0]
    exactly([name for name, _ in index.found("common", 4, kind="a")], [f"n{number:03}" for number in even[:4]])
    order = current().run(ask(zrange(index.index("$BM25::words:imp:common"), 0, 0)))
    exactly(order, [(index.key(f"{index.name}:n005").encode(), 3.0 - 3 * 2**32)])
    index.run(index.model, "bulk_delete", rows)
