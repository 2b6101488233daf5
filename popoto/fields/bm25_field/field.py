"""A field that ranks its model's rows by the words of another field, by Okapi BM25."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from popoto.analysis import Analyzer, analyzer
from popoto.exceptions import ModelException, QueryException
from popoto.fields.bm25_field.index import Postings
from popoto.fields.companions import Companion
from popoto.fields.field import Field
from popoto.fields.valueless import ValuelessField
from popoto.storage.plans import Op, layout

# A smaller k1 would rank by occurrence alone; so small a b still puts the shorter of two equal texts first.
LEAST_K1: Final = 0.01
LEAST_B: Final = 1e-6


class BM25Field(ValuelessField):
    """An inverted index over the text of another field. It holds no value of its own.

    The score of a row is the sum over the query's distinct words of

        ln((N - df + .5)/(df + .5) + 1) * tf (k1 + 1) / (tf + k1 (1 - b + b dl/avgdl))

    with N rows that have words, df of them with this word, tf its count in the row, dl the row's number of words and
    avgdl their mean. Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond"; the
    logarithm is Lucene's, which is never negative.

    Args:
        source: the name of the field whose text is indexed.
        analyzer: `simple` (1.x's words), `english` (stems, without function words), or a callable from a text to its
            words. Its name is stored with the index.
        k1: how soon a repeated word adds no more, at least 0.01; the analyser's own unless given.
        b: how much a long text loses, 0 to 1; the analyser's own unless given. One below 1e-6 counts as 1e-6.

    Raises:
        ValueError: without a source.
        ModelException: for a source that is no field of the model, or another bad option.
    """

    offers = "words"

    def __init__(
        self,
        source: str | None = None,
        analyzer: Any = "simple",
        k1: float | None = None,
        b: float | None = None,
        **options: Any,
    ) -> None:
        if not isinstance(source, str) or not source:
            raise ValueError(f"BM25Field needs the name of a text field: source={source!r}; write source='body'")
        super().__init__(**options)
        self.source = source
        self.analyzer = _analyzer(analyzer)
        self.k1 = self.analyzer.k1 if k1 is None else _number("k1", k1, LEAST_K1, 1000.0)
        self.b = max(LEAST_B, self.analyzer.b if b is None else _number("b", b, 0.0, 1.0))

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        # Python 3.11 wraps what is raised here: the class that is being made asks for companions next.
        source = getattr(owner, self.source, None)
        self._has_source = isinstance(source, Field) and source is not self and not source.apart

    def companions(self, model_name: str) -> Sequence[Companion]:
        if not self._has_source:
            raise ModelException(
                f"{model_name}.{self.name}: source={self.source!r} is no other field of the model, or a capped list, "
                "whose pushes no index follows"
            )
        return [self.postings(model_name).companion(self.name, self.source)]

    def postings(self, model_name: str) -> Postings:
        """The index of this field in a model."""
        return Postings(f"$BM25:{model_name}:{self.name}", self.analyzer, self.k1, self.b)

    # -- asking

    @classmethod
    def search(cls, model_class: Any, field_name: str, query_text: str, limit: int = 10) -> list[tuple[str, float]]:
        """The keys of the rows that score highest for any of the text's words, with their scores; ties by key.

        `Model.query.keyword_search` gives the rows, and heeds filters.

        Args:
            limit: the most to return; 0 or less gives none.

        Raises:
            QueryException: for a name that is no BM25Field of the model, or an index whose words another analyser made.
        """
        found: list[tuple[str, float]] = model_class._run(_searching(model_class, field_name, query_text, limit))
        return found

    @classmethod
    async def async_search(
        cls, model_class: Any, field_name: str, query_text: str, limit: int = 10
    ) -> list[tuple[str, float]]:
        """`search` for asyncio."""
        found: list[tuple[str, float]] = await model_class._arun(_searching(model_class, field_name, query_text, limit))
        return found

    @classmethod
    def get_idf(cls, model_class: Any, field_name: str, tokens: str | Iterable[str]) -> dict[str, float]:
        """How much each word tells, ln((N - df + .5)/(df + .5) + 1); words are taken as they are.

        A word that no row has gets the most, ln(2N + 2); in an empty index every word gets 0.

        Raises:
            QueryException: for a name that is no BM25Field of the model.
        """
        found: dict[str, float] = model_class._run(_weighing(model_class, field_name, tokens))
        return found

    @classmethod
    async def async_get_idf(cls, model_class: Any, field_name: str, tokens: str | Iterable[str]) -> dict[str, float]:
        """`get_idf` for asyncio."""
        found: dict[str, float] = await model_class._arun(_weighing(model_class, field_name, tokens))
        return found

    @classmethod
    def filter_selective_tokens(
        cls, model_class: Any, field_name: str, tokens: str | Iterable[str], min_idf: float = 1.0
    ) -> list[str]:
        """The words whose `get_idf` is at least `min_idf`, in their order, each once.

        Raises:
            QueryException: for a name that is no BM25Field of the model.
        """
        return _selective(cls.get_idf(model_class, field_name, tokens), min_idf)

    @classmethod
    async def async_filter_selective_tokens(
        cls, model_class: Any, field_name: str, tokens: str | Iterable[str], min_idf: float = 1.0
    ) -> list[str]:
        """`filter_selective_tokens` for asyncio."""
        return _selective(await cls.async_get_idf(model_class, field_name, tokens), min_idf)

    @classmethod
    def recompute_stats(cls, model_class: Any, field_name: str) -> dict[str, float]:
        """Count documents (`n`) and their mean length (`avgdl`) anew, in bounded steps, and return them.

        Raises:
            QueryException: for a name that is no BM25Field of the model.
            ModelException: when rows are saved too fast to be counted.
        """
        found: dict[str, float] = model_class._run(_counting(model_class, field_name))
        return found

    @classmethod
    async def async_recompute_stats(cls, model_class: Any, field_name: str) -> dict[str, float]:
        """`recompute_stats` for asyncio."""
        found: dict[str, float] = await model_class._arun(_counting(model_class, field_name))
        return found


def postings_of(model_class: Any, field_name: str | None) -> Postings:
    """The index of a model's field, of its only one when no name is given.

    Raises:
        QueryException: when there is no such field, or no name and several fields.
    """
    meta = model_class._meta
    found = {name: field for name, field in meta.fields.items() if isinstance(field, BM25Field)}
    if field_name is None and len(found) == 1:
        field_name = next(iter(found))
    if field_name not in found:
        which = "has no BM25Field" if not found else f"has the BM25Fields {', '.join(found)}"
        raise QueryException(f"{meta.model_name} {which}: field={field_name!r} names none of them")
    chosen: BM25Field = found[field_name]
    return chosen.postings(meta.model_name)


def _searching(model_class: Any, field_name: str, text: str, limit: int) -> Op[list[tuple[str, float]]]:
    plan: Op[list[tuple[str, float]]] = model_class.query._matching(field_name, text, limit)
    return plan


async def _prefix(model_class: Any) -> str:
    prefix: str = model_class._meta.keyspace(await layout()).prefix
    return prefix


async def _weighing(model_class: Any, field_name: str, tokens: str | Iterable[str]) -> dict[str, float]:
    words = [tokens] if isinstance(tokens, str) else list(dict.fromkeys(tokens))
    return await postings_of(model_class, field_name).idf(await _prefix(model_class), words)


async def _counting(model_class: Any, field_name: str) -> dict[str, float]:
    found = await postings_of(model_class, field_name).recount(await _prefix(model_class))
    if found is None:
        raise ModelException(
            f"{model_class._meta.model_name}.{field_name}: rows are saved too fast to be counted: call "
            "recompute_stats() again later"
        )
    return found


def _selective(weights: dict[str, float], least: float) -> list[str]:
    return [word for word, weight in weights.items() if weight >= least]


def _analyzer(chosen: Any) -> Analyzer:
    # Within the class body the name is an argument's.
    return analyzer(chosen)


def _number(name: str, value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ModelException(f"BM25Field: {name}={value!r} must be a number from {least:g} to {most:g}")
    return float(value)
