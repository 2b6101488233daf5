"""Search by meaning: the rows whose vectors are nearest to a text's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from popoto.exceptions import QueryException
from popoto.fields.embedding_field import field_of
from popoto.models.reading import by_keys
from popoto.queries import related, run
from popoto.queries.finish import satisfies
from popoto.queries.hits import Hit, Part
from popoto.storage import effect, layout

if TYPE_CHECKING:
    from popoto.fields.embedding_field.matrix import Matrix, Wish
    from popoto.queries.plan import Plan
    from popoto.queries.where import Wanted
    from popoto.storage import Layout, Op

Boost = Mapping[Any, float]
PostFilter = Callable[[str, float], bool]
# With other signals only so many rows are ranked by their similarity.
MOST_SIMILAR: Final = 10_000
# So many rows are found by the filters first; of more, those that are similar are looked at first.
FEW: Final = 2_000
MOST_LOOKED: Final = 10_000
_AGGREGATES: Final = ("SUM", "MIN", "MAX")


class Semantic:
    """What `Query` inherits for search by meaning."""

    if TYPE_CHECKING:
        _model: Any
        _wanted: Wanted

        def _planned(self, wanted: Wanted | None = None) -> Plan: ...
        async def _ranked_answer(self, hits: list[Hit], wanted: Wanted, explain: bool) -> list[Any]: ...
        def _composing(
            self,
            indexes: Mapping[str, float],
            limit: int,
            aggregate: str,
            min_score: float | None,
            post_filter: PostFilter | None,
            temperature: float,
            now: float | None,
            explain: bool,
            boosts: Mapping[str, Boost | None],
        ) -> Op[list[Any]]: ...

    def semantic_search(
        self,
        query_text: str,
        indexes: Mapping[str, float] | None = None,
        limit: int = 10,
        aggregate: str = "SUM",
        min_score: float | None = None,
        post_filter: PostFilter | None = None,
        co_occurrence_boost: Boost | None = None,
        temperature: float = 1.0,
        *,
        explain: bool = False,
    ) -> list[Any]:
        """The rows whose text means most nearly the same, best first; of equal scores the lower key.

        A row's score is the cosine of its vector and the text's, where that is above 0, and what is added to it. The
        first EmbeddingField of the model is searched. Filters hold.

        Args:
            query_text: what to look for; a blank text finds nothing.
            indexes: further signals by weight, as for `composite_score`; the similarity counts with weight 1.
            limit: how many rows at most; none for 0 and less.
            aggregate: "SUM", or "MIN" or "MAX" of what a row has.
            min_score: the least score, included, before the temperature.
            post_filter: called with a row's key and its score, after the temperature; what it rejects is replaced.
            co_occurrence_boost: what is added for rows by their keys, as `CoOccurrenceField.propagate` gives it.
            temperature: what scores are divided by, above 0.
            explain: give a list of `Hit`s, which tell score and parts.

        Raises:
            QueryException: the model has no EmbeddingField, or an argument is not as said.
            EmbeddingError: there is no provider, it failed, or the stored vectors were made by another.
        """
        words = (query_text, indexes, limit, aggregate, min_score, post_filter, co_occurrence_boost, temperature)
        return self._model._run(self._meaning(*words, explain))  # type: ignore[no-any-return]

    async def async_semantic_search(
        self,
        query_text: str,
        indexes: Mapping[str, float] | None = None,
        limit: int = 10,
        aggregate: str = "SUM",
        min_score: float | None = None,
        post_filter: PostFilter | None = None,
        co_occurrence_boost: Boost | None = None,
        temperature: float = 1.0,
        *,
        explain: bool = False,
    ) -> list[Any]:
        """`semantic_search` for asyncio."""
        words = (query_text, indexes, limit, aggregate, min_score, post_filter, co_occurrence_boost, temperature)
        return await self._model._arun(self._meaning(*words, explain))  # type: ignore[no-any-return]

    # -- plans

    async def _meaning(
        self,
        query_text: str,
        indexes: Mapping[str, float] | None,
        limit: int,
        aggregate: str,
        min_score: float | None,
        post_filter: PostFilter | None,
        boost: Boost | None,
        temperature: float,
        explain: bool,
    ) -> list[Any]:
        model = self._model
        field = field_of(model)
        options = _checked(model, query_text, limit, aggregate, min_score, boost, temperature)
        most = limit if self._wanted.limit is None else min(limit, self._wanted.limit)
        if not query_text.strip() or most <= 0:
            return []
        field.needed_provider(model)
        vector = await effect(partial(field.asked, query_text))
        matrix = await field.current(model)
        field.check_maker(model, matrix, len(vector))
        if not vector.any():
            return []
        prefix: str = model._meta.keyspace(await layout()).prefix
        if indexes:
            near = await effect(partial(matrix.similarities, vector, MOST_SIMILAR))
            similar = {_text(key)[len(prefix) :]: score for key, score in near.items()}
            boosts = {"co_occurrence": options, "similarity": similar}
            return await self._composing(
                indexes, limit, aggregate, min_score, post_filter, temperature, None, explain, boosts
            )
        wanted = await related.resolved(replace(self._wanted, order=None, limit=None, computed=None))
        boosted = {f"{prefix}{key}".encode("utf-8", "surrogateescape"): one for key, one in options.items()}
        wish = field.wish(vector, boosts=boosted or None, aggregate=aggregate.upper(), least=min_score)
        hits = await self._hits(matrix, wish, most, wanted, post_filter, float(temperature))
        return await self._ranked_answer(hits, wanted, explain)

    async def _hits(
        self, matrix: Matrix, wish: Wish, most: int, wanted: Wanted, post_filter: PostFilter | None, temperature: float
    ) -> list[Hit]:
        """The best rows that are there and that the filters and the caller take; those that are not are replaced."""
        model, here = self._model, await layout()
        strip = len(model._meta.keyspace(here).prefix)
        planned = self._planned(wanted)
        gathering = run.Gathering(model._meta, planned, model._from_row, here)
        filtered = bool(wanted.where.branches)
        if filtered and planned.source.branches:
            wish = await _narrowed(gathering, wish, here, FEW)
        hits: list[Hit] = []
        looked: set[bytes] = set()
        size = most
        while True:
            found = await effect(partial(matrix.best, wish, size))
            fresh = [one for one in found if one.key not in looked]
            looked.update(one.key for one in fresh)
            rows = await by_keys(model, [one.key for one in fresh], skip_none=False)
            for one, row in zip(fresh, rows, strict=True):
                key, score = _text(one.key)[strip:], one.score / temperature
                taken = row is not None and satisfies(row, wanted.where)
                if taken and (post_filter is None or post_filter(key, score)):
                    hits.append(Hit(row, key, score, _parts(one)))
                    if len(hits) == most:
                        return hits
            if len(found) < size:
                return hits
            if filtered and wish.among is None and len(looked) > MOST_LOOKED:
                # The rows that the filters take are not similar: they are found by the filters.
                wish = await _narrowed(gathering, wish, here, None)
            size *= 4


async def _narrowed(gathering: run.Gathering, wish: Wish, here: Layout, most: int | None) -> Wish:
    """The wish for just the rows that a filter takes; as it is when there are more than `most`."""
    while not gathering.ended and (most is None or len(gathering.found) <= most):
        await gathering.page()
    if not gathering.ended:
        return wish
    prefix = gathering.schema.keyspace(here).prefix
    keys = {f"{prefix}{key}".encode("utf-8", "surrogateescape") for key in gathering.found}
    return replace(wish, among=keys)


def _checked(
    model: Any, text: Any, limit: Any, aggregate: Any, min_score: Any, boost: Any, temperature: Any
) -> dict[str, float]:
    """The boosts by the rows' keys as text, after all arguments were looked at."""
    name = model.__name__
    if not isinstance(text, str):
        raise QueryException(f"{name}: query_text={text!r} must be a text")
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise QueryException(f"{name}: limit={limit!r} must be an int")
    if not isinstance(aggregate, str) or aggregate.upper() not in _AGGREGATES:
        raise QueryException(f"{name}: aggregate={aggregate!r} must be SUM, MIN or MAX")
    if _number(name, "temperature", temperature) <= 0:
        raise QueryException(f"{name}: temperature={temperature!r} must be above 0")
    if min_score is not None:
        _number(name, "min_score", min_score)
    if boost is not None and not isinstance(boost, Mapping):
        raise QueryException(f"{name}: co_occurrence_boost={boost!r} must map keys to numbers")
    given = (boost or {}).items()
    return {_text(key): _number(name, f"co_occurrence_boost[{key!r}]", one) for key, one in given}


def _number(name: str, what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise QueryException(f"{name}: {what}={value!r} must be a finite number")
    return float(value)


def _text(key: Any) -> str:
    return key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else str(key)


def _parts(found: Any) -> tuple[Part, ...]:
    named = (("similarity", found.similarity), ("co_occurrence", found.boost))
    return tuple(Part(name, number, 1.0, number) for name, number in named if number is not None)
