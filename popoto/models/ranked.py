"""The ranked verbs of a query: the best rows by decay, or by several signals together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from popoto import clock
from popoto.exceptions import QueryException
from popoto.models import creating
from popoto.models.reading import by_keys
from popoto.queries import rank
from popoto.queries.finish import annotated
from popoto.queries.hits import Hit
from popoto.queries.rank import Ranking, Weighed

if TYPE_CHECKING:
    from popoto.queries.plan import Plan
    from popoto.queries.where import Wanted
    from popoto.storage import Op

Boost = Mapping[Any, float]
PostFilter = Callable[[str, float], bool]
_NUMBERS: Final = (int, float)
_BASES: Final = (int, float, Decimal)


class Ranked:
    """What `Query` inherits for rankings. Filters hold, with any lookup; rows that are gone take nobody's place."""

    if TYPE_CHECKING:
        _model: Any
        _wanted: Wanted

        def _planned(self, wanted: Wanted | None = None) -> Plan: ...
        async def _asked(self, work: Callable[[Plan], Op[Any]]) -> Any: ...
        async def _answered(self, rows: list[Any]) -> list[Any]: ...

    def top_by_decay(
        self,
        field_name: str | None = None,
        n: int = 10,
        decay_rate: float | None = None,
        base_score_field: str | None = None,
        *,
        now: float | None = None,
        explain: bool = False,
    ) -> list[Any]:
        """The rows with the highest decayed score, best first; of equal scores the later moment, then the lower key.

        One round trip for up to 1,000 rows where no base is used, or one whose order is kept: the field's own, or a
        `SortedField` without partitions, of a field without partitions. Another base is looked for in every row, 10,000
        a round trip.

        Args:
            field_name: a `DecayingSortedField` or `CyclicDecayField`; the model's only one where it is not given.
            n: how many rows at most; none for 0 and less.
            decay_rate: instead of the field's own; 0 and below are allowed, and prefer older rows.
            base_score_field: instead of the field's own; "" for none.
            now: the present, seconds since 1970 UTC; the clock's where it is not given.
            explain: give a list of `Hit`s, which tell score and parts.

        Raises:
            QueryException: when the field is missing, not clear, or does not decay, when a partition is not named, or
                an argument is no number where one is needed.
            TypeError: when `n` is no int.
        """
        return self._model._run(  # type: ignore[no-any-return]
            self._decaying(field_name, n, decay_rate, base_score_field, now, explain)
        )

    async def async_top_by_decay(
        self,
        field_name: str | None = None,
        n: int = 10,
        decay_rate: float | None = None,
        base_score_field: str | None = None,
        *,
        now: float | None = None,
        explain: bool = False,
    ) -> list[Any]:
        """`top_by_decay` for asyncio."""
        return await self._model._arun(  # type: ignore[no-any-return]
            self._decaying(field_name, n, decay_rate, base_score_field, now, explain)
        )

    def composite_score(
        self,
        indexes: Mapping[str, float],
        limit: int = 10,
        aggregate: str = "SUM",
        min_score: float | None = None,
        post_filter: PostFilter | None = None,
        co_occurrence_boost: Boost | None = None,
        temperature: float = 1.0,
        *,
        similarity_boost: Boost | None = None,
        now: float | None = None,
        explain: bool = False,
    ) -> list[Any]:
        """The rows with the highest weighted sum of several signals, best first; of equal scores the lower key.

        A row's score is the sum of `weight * number` over the signals that have a number for it, each as it is stored:
        nothing is normalised, so a field of timestamps drowns a confidence. One round trip for up to 1,000 rows where
        the signals' orders bound the rest, else one for every 8,000 rows of four signals, 13,000 of two.

        Args:
            indexes: weights by signal: names of fields that can be ranked, and what mixins offer, as "access_count".
            limit: how many rows at most; none for 0 and less.
            aggregate: "SUM", or "MIN" or "MAX" of a row's weighted numbers.
            min_score: the least score, included, before the temperature.
            post_filter: called with a row's key and its score, after the temperature; what it rejects is replaced.
            co_occurrence_boost: what is added for rows by their keys, as `CoOccurrenceField.propagate` gives it.
            temperature: what scores are divided by, above 0.
            similarity_boost: as `co_occurrence_boost`, from a search by meaning.
            now: the present, seconds since 1970 UTC; the clock's where it is not given.
            explain: give a list of `Hit`s, which tell score and parts.

        Raises:
            QueryException: when a signal is unknown, none is given, a partition is not named, or an argument is not as
                said.
        """
        return self._model._run(  # type: ignore[no-any-return]
            self._composing(
                indexes,
                limit,
                aggregate,
                min_score,
                post_filter,
                temperature,
                now,
                explain,
                {"co_occurrence": co_occurrence_boost, "similarity": similarity_boost},
            )
        )

    async def async_composite_score(
        self,
        indexes: Mapping[str, float],
        limit: int = 10,
        aggregate: str = "SUM",
        min_score: float | None = None,
        post_filter: PostFilter | None = None,
        co_occurrence_boost: Boost | None = None,
        temperature: float = 1.0,
        *,
        similarity_boost: Boost | None = None,
        now: float | None = None,
        explain: bool = False,
    ) -> list[Any]:
        """`composite_score` for asyncio."""
        return await self._model._arun(  # type: ignore[no-any-return]
            self._composing(
                indexes,
                limit,
                aggregate,
                min_score,
                post_filter,
                temperature,
                now,
                explain,
                {"co_occurrence": co_occurrence_boost, "similarity": similarity_boost},
            )
        )

    # -- plans

    def _decaying(
        self,
        field_name: str | None,
        n: int,
        decay_rate: float | None,
        base_score_field: str | None,
        now: float | None,
        explain: bool,
    ) -> Op[list[Any]]:
        meta = self._model._meta
        name = _decaying_name(meta, field_name)
        rate = None if decay_rate is None else _number(meta, "decay_rate", decay_rate)
        order = None
        if base_score_field:
            numbers = [one for one, field in meta.fields.items() if field.type in _BASES and one != name]
            if base_score_field not in numbers:
                raise QueryException(
                    f"{meta.model_name}: base_score_field={base_score_field!r} is no int, float or Decimal field"
                    f"{meta.near(base_score_field, numbers)}"
                )
            order = meta.fields[base_score_field].number_order(meta.model_name)
        signal = meta.fields[name].decay_signal(meta.model_name, rate, base_score_field, order)
        ranking = Ranking((Weighed(name, signal, 1.0),), _present(meta, now), by_moment=True, explaining=explain)
        return self._ranking(ranking, _count("n", n), 1.0, None)

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
    ) -> Op[list[Any]]:
        meta = self._model._meta
        if not indexes or not isinstance(indexes, Mapping):
            raise QueryException(f"{meta.model_name}: indexes={indexes!r} must map signals to weights")
        how = aggregate.upper() if isinstance(aggregate, str) else aggregate
        if how not in rank.AGGREGATES:
            raise QueryException(f"{meta.model_name}: aggregate={aggregate!r} must be SUM, MIN or MAX")
        if _number(meta, "temperature", temperature) <= 0:
            raise QueryException(f"{meta.model_name}: temperature={temperature!r} must be above 0")
        for name in indexes:
            if name not in meta.signals:
                raise QueryException(
                    f"{meta.model_name} has no signal {name!r} to rank by{meta.near(name, meta.signals)}"
                )
        ranking = Ranking(
            tuple(Weighed(name, meta.signals[name], _number(meta, name, one)) for name, one in indexes.items()),
            _present(meta, now),
            how,
            min_score=None if min_score is None else _number(meta, "min_score", min_score),
            boosts={name: _boost(meta, name, boost) for name, boost in boosts.items() if boost},
            explaining=explain,
        )
        return self._ranking(ranking, _count("limit", limit), float(temperature), post_filter)

    async def _ranking(
        self, ranking: Ranking, most: int, temperature: float, post_filter: PostFilter | None
    ) -> list[Any]:
        limit = self._wanted.limit
        most = most if limit is None else min(most, limit)
        if most <= 0:
            self._planned()
            return []
        found: list[Any] = await self._asked(
            lambda planned: self._ranked(planned, ranking, most, temperature, post_filter)
        )
        return found

    async def _ranked(
        self, planned: Plan, ranking: Ranking, most: int, temperature: float, post_filter: PostFilter | None
    ) -> list[Any]:
        model = self._model
        search, found = await rank.ranked(
            model._meta,
            planned,
            ranking,
            most,
            model._from_row,
            partial(by_keys, model, skip_none=False),
            lambda hit: post_filter is None or bool(post_filter(hit.key, hit.score / temperature)),
        )
        rows = [row for row, _ in found]
        annotated(rows, planned.wanted)
        await creating.prefetch(model, rows, self._wanted.prefetch)
        given = await self._answered(rows)
        if not ranking.explaining:
            return given
        return [
            Hit(row, hit.key, hit.score / temperature, search.parts(hit))
            for row, (_, hit) in zip(given, found, strict=True)
        ]


def _decaying_name(meta: Any, given: str | None) -> str:
    names: list[str] = [name for name, field in meta.fields.items() if field.decays]
    if given is None:
        if len(names) == 1:
            return names[0]
        what = f"several fields that decay: name one of {', '.join(names)}" if names else "no field that decays"
        raise QueryException(f"{meta.model_name} has {what}")
    if given not in names:
        what = "does not decay" if given in meta.fields else "is no field"
        raise QueryException(f"{meta.model_name}.{given} {what}{meta.near(given, names)}")
    return given


def _number(meta: Any, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not math.isfinite(value):
        raise QueryException(f"{meta.model_name}: {name}={value!r} must be a finite number")
    return float(value)


def _present(meta: Any, now: float | None) -> float:
    return clock.now() if now is None else _number(meta, "now", now)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        raise TypeError(f"{name}={value!r} must be an int")
    return math.floor(value)


def _boost(meta: Any, name: str, boost: Boost) -> dict[str, float]:
    """Boosts by the rows' keys as text."""
    if not isinstance(boost, Mapping):
        raise QueryException(f"{meta.model_name}: {name}_boost={boost!r:.60} must map keys to numbers")
    found: dict[str, float] = {}
    for key, value in boost.items():
        text = key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else str(key)
        found[text] = _number(meta, f"{name}_boost[{text!r}]", value)
    return found
