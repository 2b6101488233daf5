"""Queries over a model's rows: immutable, lazy, and run once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from popoto.exceptions import QueryException
from popoto.fields.expressions import Q
from popoto.models.arrangement import Arrangement
from popoto.models.asking import Asking
from popoto.models.care import model_keys
from popoto.models.ranked import Ranked
from popoto.models.searched import Searched
from popoto.models.semantic import Semantic
from popoto.queries import parse
from popoto.queries.explain import Explanation
from popoto.queries.fetch import PAGE_ROWS

if TYPE_CHECKING:
    from popoto.models.key import DB_key
    from popoto.models.model import Model

M = TypeVar("M", bound="Model")


class QueryAccess:
    """`Model.query`: a new, empty query of the class that it is looked up on."""

    def __get__(self, instance: object, owner: type[M]) -> Query[M]:
        return Query(owner)


class Query(Asking[M], Arrangement, Ranked, Searched, Semantic):
    """A query of one model. Methods that narrow it return a new one; its answer is fetched once and remembered.

    It is a sequence: `len`, indexes, slices, iteration and `in` work on the answer, `await` and `async for` fetch it
    under asyncio.
    """

    # -- narrowing

    def filter(self, *conditions: Q, **kwargs: Any) -> Query[M]:
        """The rows that satisfy every condition and keyword; a keyword given again replaces its former value.

        Args:
            *conditions: `Q(...)` and `Model.field > value`, combined with `&`, `|` and `~`.
            order_by, limit, values: as the methods of these names.
            **kwargs: `field=value` or `field__lookup=value`.

        Raises:
            QueryException: for an unknown keyword, or a value that the field cannot have.
        """
        given = {**self._given, **kwargs}
        also = (*self._also, *conditions)
        wanted, kept = parse.parse(self._model._meta, given, also), self._wanted
        if kept.prefetch or kept.computed is not None or not kept.tracks:
            wanted = replace(wanted, prefetch=kept.prefetch, computed=kept.computed, tracks=kept.tracks)
        query = Query(self._model, wanted, given, also)
        # A partition that is not named is refused here, not when the answer is looked at.
        query._planned()
        return query

    def prefetch(self, *names: str) -> Query[M]:
        """The rows, with the rows that these relationships refer to, in the same round trip where that can be.

        A field whose values lie elsewhere, as a ContentField's, may be named too: they are loaded with the rows.
        """
        meta = self._model._meta
        for name in names:
            if name not in meta.relationship_field_names and not (name in meta.fields and meta.fields[name].elsewhere):
                raise QueryException(
                    f"{meta.model_name}.{name} is no relationship{meta.near(name, meta.relationship_field_names)}"
                )
        return self._with(replace(self._wanted, prefetch=(*self._wanted.prefetch, *names)))

    def exclude(self, *conditions: Q, **kwargs: Any) -> Query[M]:
        """The rows that do not satisfy all of these conditions and keywords together."""
        unwanted = Q(**kwargs)
        for condition in conditions:
            unwanted = unwanted & condition
        return self.filter(~unwanted)

    def order_by(self, name: str) -> Query[M]:
        """The rows in the order of a field, ties by key, None first; with `-` in front all of it reversed."""
        return self.filter(order_by=name)

    def limit(self, most: int | None) -> Query[M]:
        """At most so many rows; None for all."""
        return self.filter(limit=most)

    def values(self, *names: str) -> Query[M]:
        """Dictionaries of these fields instead of instances."""
        return self.filter(values=names)

    # -- answers

    def all(self, **kwargs: Any) -> list[Any]:
        """The rows as a list; `order_by`, `limit`, `values` and lookups may be given."""
        return list(self.filter(**kwargs)) if kwargs else list(self)

    def get(self, db_key: DB_key | str | None = None, redis_key: str | bytes | None = None, **kwargs: Any) -> M | None:
        """The one row with this key, or that satisfies every keyword; None when there is none.

        Raises:
            QueryException: when several rows match, or a keyword is unknown.
        """
        return self._model._run(self._getting(db_key, redis_key, kwargs))  # type: ignore[no-any-return]

    @overload
    def get_many(self, redis_keys: Iterable[str | bytes], skip_none: Literal[True]) -> list[M]: ...
    @overload
    def get_many(self, redis_keys: Iterable[str | bytes], skip_none: bool = False) -> list[M | None]: ...
    def get_many(self, redis_keys: Iterable[str | bytes], skip_none: bool = False) -> Any:
        """The rows with these keys, in their order, None for one that is missing, unless it is to be skipped."""
        return self._model._run(self._by_keys(redis_keys, skip_none))

    def count(self, **kwargs: Any) -> int:
        """How many rows there are; nothing is loaded where the indexes tell. A limit bounds it."""
        return int(self._model._run(self._counting(kwargs)))

    def exists(self, **kwargs: Any) -> bool:
        """Whether there is any row."""
        return bool(self._unsorted().filter(**kwargs, limit=1).no_track().all())

    def first(self) -> M | None:
        """The first row in the query's order, or None."""
        rows = self._shortened()._rows()
        return rows[0] if rows else None

    def last(self) -> M | None:
        """The last row in the query's order, or None."""
        backward = self._backward()
        if backward is not None:
            return backward.first()
        rows = self._rows()
        return rows[-1] if rows else None

    def keys(self, catchall: bool = False, clean: bool = False) -> list[bytes]:
        """Every row's key, as bytes.

        Args:
            catchall: every key of the model, of its indexes too, found by a walk over all keys of the store; to debug.
            clean: first take keys out of the class set under which nothing is stored.
        """
        return self._model._run(model_keys(self._model, catchall, clean))  # type: ignore[no-any-return]

    def iterator(self, chunk: int = PAGE_ROWS) -> Iterator[M]:
        """The rows one by one, fetched in pages of about `chunk` and not remembered; all at once when ordered.

        A row that is written or deleted meanwhile may be met or missed; every other is met once.
        """
        if not isinstance(chunk, int) or isinstance(chunk, bool) or chunk < 1:
            raise QueryException(f"{self._model.__name__}: iterator(chunk={chunk!r}) needs a positive int")
        if self._answer is not None or self._planned().wanted.order is not None or self._wanted.computed is not None:
            yield from self._rows()
            return
        gathering = self._model._run(self._gathering(chunk))
        left = self._wanted.limit
        while not gathering.ended and left != 0:
            page = self._model._run(self._paged(gathering, left))
            # One page's related rows are not kept for the next.
            for found in gathering.related.values():
                found.clear()
            for row in page:
                gathering.found.pop(row.pk, None)
                yield row
            left = None if left is None else left - len(page)

    def update(self, **updates: Any) -> int:
        """Give every row new values, in one round trip a batch after the rows were fetched.

        Returns:
            How many rows were updated.

        Raises:
            ModelException: as `Model.bulk_update`.
        """
        return self._model.bulk_update(self._fresh(), **updates)

    def delete(self) -> int:
        """Delete every row with its index entries, in one round trip a batch after the rows were fetched."""
        return self._model.bulk_delete(self._fresh())

    def explain(self, analyze: bool = False) -> Explanation:
        """What the query does, to print; with `analyze` the first page is run to show the driver that is chosen."""
        return self._model._run(self._explaining()) if analyze else self._explained()

    # -- answers under asyncio

    async def async_update(self, **updates: Any) -> int:
        """`update` for asyncio."""
        return await self._model.async_bulk_update(self._fresh(), **updates)

    async def async_delete(self) -> int:
        """`delete` for asyncio."""
        return await self._model.async_bulk_delete(self._fresh())

    async def async_explain(self, analyze: bool = False) -> Explanation:
        """`explain` for asyncio."""
        return await self._model._arun(self._explaining()) if analyze else self._explained()

    async def async_filter(self, *conditions: Q, **kwargs: Any) -> list[Any]:
        """`filter` for asyncio: the rows as a list."""
        return list(await self.filter(*conditions, **kwargs))

    async def async_all(self, **kwargs: Any) -> list[Any]:
        """`all` for asyncio."""
        return list(await (self.filter(**kwargs) if kwargs else self))

    async def async_get(
        self, db_key: DB_key | str | None = None, redis_key: str | bytes | None = None, **kwargs: Any
    ) -> M | None:
        """`get` for asyncio."""
        return await self._model._arun(self._getting(db_key, redis_key, kwargs))  # type: ignore[no-any-return]

    @overload
    async def async_get_many(self, redis_keys: Iterable[str | bytes], skip_none: Literal[True]) -> list[M]: ...
    @overload
    async def async_get_many(self, redis_keys: Iterable[str | bytes], skip_none: bool = False) -> list[M | None]: ...
    async def async_get_many(self, redis_keys: Iterable[str | bytes], skip_none: bool = False) -> Any:
        """`get_many` for asyncio."""
        return await self._model._arun(self._by_keys(redis_keys, skip_none))

    async def async_count(self, **kwargs: Any) -> int:
        """`count` for asyncio."""
        return int(await self._model._arun(self._counting(kwargs)))

    async def async_exists(self, **kwargs: Any) -> bool:
        """`exists` for asyncio."""
        return bool(await self._unsorted().filter(**kwargs, limit=1).no_track())

    async def async_first(self) -> M | None:
        """`first` for asyncio."""
        rows = await self._shortened()
        return rows[0] if rows else None

    async def async_last(self) -> M | None:
        """`last` for asyncio."""
        backward = self._backward()
        if backward is not None:
            return await backward.async_first()
        rows = await self
        return rows[-1] if rows else None

    async def async_keys(self, catchall: bool = False, clean: bool = False) -> list[bytes]:
        """`keys` for asyncio."""
        return await self._model._arun(model_keys(self._model, catchall, clean))  # type: ignore[no-any-return]

    def _shortened(self) -> Query[M]:
        return self.filter(limit=1) if self._answer is None and self._wanted.limit is None else self

    def _backward(self) -> Query[M] | None:
        """The query in the other order up to one row, where that spares loading all."""
        order = self._planned().wanted.order
        if order is None or self._answer is not None or self._wanted.limit is not None:
            return None
        backward = self.filter(order_by=order[0] if order[1] else f"-{order[0]}", limit=1)
        return backward if backward._planned().walk is not None else None

    # -- a sequence

    def _rows(self) -> list[Any]:
        if self._answer is None:
            self._answer = self._model._run(self._fetching())
        return self._answer

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._awaited().__await__()

    async def _awaited(self) -> list[Any]:
        if self._answer is None:
            self._answer = await self._model._arun(self._fetching())
        return self._answer

    async def __aiter__(self) -> AsyncIterator[M]:
        for row in await self:
            yield row

    def __iter__(self) -> Iterator[M]:
        return iter(self._rows())

    def __len__(self) -> int:
        return len(self._rows())

    def __bool__(self) -> bool:
        return bool(self._rows())

    def __contains__(self, row: object) -> bool:
        return row in self._rows()

    @overload
    def __getitem__(self, place: int) -> M: ...
    @overload
    def __getitem__(self, place: slice) -> list[M]: ...
    def __getitem__(self, place: int | slice) -> Any:
        head = self._head(place)
        return (self._rows() if head is None else head)[place]

    def _head(self, place: int | slice) -> list[Any] | None:
        """The first rows, as far as a place or slice wants them; None for all."""
        last = place.stop if isinstance(place, slice) else place
        first = place.start if isinstance(place, slice) else 0
        forward = not isinstance(place, slice) or place.step is None or place.step > 0
        if self._answer is not None or last is None or last < 0 or (first or 0) < 0 or not forward:
            return None
        most = last if isinstance(place, slice) else last + 1
        if len(self._first) < most:
            limit = self._wanted.limit
            query = self.filter(limit=most if limit is None else min(most, limit))
            planned = query._planned()
            if planned.wanted.limit is None or (planned.wanted.order is not None and planned.walk is None):
                return None  # all must be loaded to know the first
            self._first = query._rows()
            if len(self._first) < most:
                self._answer = self._first
        return self._first

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Query):
            return self._rows() == other._rows()
        return self._rows() == other if isinstance(other, Sequence) else NotImplemented

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        parts = [*map(repr, self._also), *(f"{name}={value!r}" for name, value in self._given.items())]
        state = "not run" if self._answer is None else f"{len(self._answer)} rows"
        return f"<Query {self._model.__name__}: {', '.join(parts) or 'all'} ({state})>"
