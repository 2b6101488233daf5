"""Keyword search as one plan: a page of the best rows a call of `search.lua`, usually one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from popoto.exceptions import QueryException, ReplyError
from popoto.fields.bm25_field.index import SEARCH, Postings
from popoto.queries.fetch import describe_tree
from popoto.queries.plan import Plan
from popoto.queries.schema import Schema
from popoto.storage import Call, Layout, ask
from popoto.storage.steps import Arg

# Rows in a page, and postings that one call looks at: together about 40 ms of a server.
MOST_ROWS: Final = 500
MOST_POSTINGS: Final = 20_000


class Scored(NamedTuple):
    """A row that was found.

    Attributes:
        key: its key on the store.
        score: its BM25 score.
        values: the bytes of the fields that were asked for.
        parts: what each word of the page adds, before it is weighted by the word's idf.
    """

    key: bytes
    score: float
    values: Sequence[bytes | None]
    parts: Sequence[float]


class ScoredPage(NamedTuple):
    """Rows in their order, and the words that ranked them with their idf."""

    rows: list[Scored]
    idfs: dict[str, float]


def words_of(postings: Postings, text: Any) -> list[str]:
    """The distinct words of a question.

    Raises:
        QueryException: when it is no text.
    """
    if not isinstance(text, str):
        raise QueryException(f"{text!r:.80} is no text to search for: give a str")
    return list(dict.fromkeys(postings.analyzer.terms(text)))


class Search:
    """The rows that a query's sources accept, best first, page by page.

    Args:
        size: rows of a page, 500 at most.
        names: the fields whose bytes are wanted.
        explain: whether each row says what each word adds.
    """

    def __init__(
        self,
        schema: Schema,
        query: Plan,
        postings: Postings,
        words: Sequence[str],
        here: Layout,
        *,
        size: int,
        names: Sequence[str] = (),
        explain: bool = False,
    ) -> None:
        self.schema = schema
        self.postings = postings
        self.size = min(size, MOST_ROWS)
        self.ended = not words or size < 1
        keyspace = schema.keyspace(here)
        prefix = keyspace.prefix
        self._keys: list[bytes | str] = [keyspace.class_set]
        self._head: list[Arg] = [prefix + postings.base, postings.analyzer.name, postings.k1, postings.b, self.size]
        tail: list[bytes | str | int] = [MOST_POSTINGS, int(explain), len(names), *names]
        describe_tree(schema, query.source, here, self._keys, tail)
        tail += (len(words), *(word.encode("utf-8", "surrogatepass") for word in words))
        self._tail = tail
        self._keys += [*postings.statistics(prefix), postings.lengths(prefix), *postings.words(prefix, words)]
        self._behind: tuple[Arg, Arg] = ("", "")

    async def page(self) -> ScoredPage:
        """The next rows.

        Raises:
            QueryException: when another analyser made the index's words.
        """
        found: list[Any] = []
        streams: list[Any] = []
        while True:
            state = (len(found) // 2, *found, len(streams) // 3, *streams)
            try:
                certain, found, rest = await ask(
                    Call(SEARCH, self._keys, [*self._head, *self._behind, *self._tail, *state])
                )
            except ReplyError as error:
                if error.code != "ANALYZER":
                    raise
                name = self.schema.model_name
                raise QueryException(
                    mismatch(name, self.postings.base, error.text, self.postings.analyzer.name)
                ) from None
            if certain:
                break
            # Not certain yet: the next call goes on where this one stopped.
            streams = rest
        rows = [Scored(key, float(score), values, list(map(float, parts))) for key, score, values, parts in found]
        self.ended = len(rows) < self.size
        if rows:
            self._behind = (repr(rows[-1].score), rows[-1].key)
        pairs = zip(rest[::2], rest[1::2], strict=True)
        return ScoredPage(rows, {word.decode("utf-8", "surrogatepass"): float(idf) for word, idf in pairs})


def mismatch(model_name: str, base: str, stored: str, wanted: str) -> str:
    """What is wrong with an index whose words another analyser made, and the remedy."""
    made = "several analysers" if stored == "?" else f"the analyser {stored!r}"
    return (
        f"{base} was made by {made}, and the field now has {wanted!r}: run {model_name}.rebuild_indexes(), "
        "or declare the field as it was"
    )
