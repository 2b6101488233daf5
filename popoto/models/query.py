"""Queries over a model's rows: immutable, lazy, and run once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from popoto.exceptions import QueryException
from popoto.fields.expressions import Q
from popoto.models import creating
from popoto.models.ranked import Ranked
from popoto.models.reading import by_keys, class_keys, class_size, key_text
from popoto.queries import explain, parse, related, run
from popoto.queries.explain import Explanation
from popoto.queries.fetch import PAGE_ROWS
from popoto.queries.finish import satisfies
from popoto.queries.plan import Plan, equalities, plan
from popoto.queries.where import Wanted
from popoto.storage import Op, layout

if TYPE_CHECKING:
    from popoto.models.key import DB_key
    from popoto.models.model import Model

M = TypeVar("M", bound="Model")


class QueryAccess:
    """`Model.query`: a new, empty query of the class that it is looked up on."""

    def __get__(self, instance: object, owner: type[M]) -> Query[M]:
        return Query(owner)


class Query(Ranked, Generic[M]):
    """A query of one model. Methods that narrow it return a new one; its answer is fetched once and remembered.

    It is a sequence: `len`, indexes, slices, iteration and `in` work on the answer, `await` and `async for` fetch it
    under asyncio.
    """

    _model: type[M]

    def __init__(
        self,
        model: type[M],
        wanted: Wanted | None = None,
        given: dict[str, Any] | None = None,
        also: tuple[Q, ...] = (),
    ) -> None:
        self._model = model
        self._wanted = wanted or Wanted()
        self._given = given or {}
        self._also = also
        self._answer: list[Any] | None = None

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
        wanted = parse.parse(self._model._meta, given, also)
        # A partition that is not named is refused here, not when the answer is looked at.
        self._planned(wanted)
        return Query(self._model, replace(wanted, prefetch=self._wanted.prefetch), given, also)

    def prefetch(self, *names: str) -> Query[M]:
        """The rows, with the rows that these relationships refer to loaded in one further round trip each."""
        meta = self._model._meta
        for name in names:
            if name not in meta.relationship_field_names:
                raise QueryException(
                    f"{meta.model_name}.{name} is no relationship{meta.near(name, meta.relationship_field_names)}"
                )
        wanted = replace(self._wanted, prefetch=(*self._wanted.prefetch, *names))
        return Query(self._model, wanted, self._given, self._also)

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

    def get_many(self, redis_keys: Iterable[str | bytes], skip_none: bool = False) -> list[M | None]:
        """The rows with these keys, in their order, None for one that is missing, unless it is to be skipped."""
        return self._model._run(by_keys(self._model, redis_keys, skip_none))  # type: ignore[no-any-return]

    def count(self, **kwargs: Any) -> int:
        """How many rows there are; nothing is loaded where the indexes tell. A limit bounds it."""
        return int(self._model._run(self._counting(kwargs)))

    def exists(self, **kwargs: Any) -> bool:
        """Whether there is any row."""
        return bool(self.filter(**kwargs, limit=1).all())

    def first(self) -> M | None:
        """The first row in the query's order, or None."""
        rows = self._shortened()._rows()
        return rows[0] if rows else None

    def last(self) -> M | None:
        """The last row in the query's order, or None."""
        rows = self._rows()
        return rows[-1] if rows else None

    def keys(self) -> list[bytes]:
        """Every row's key, as bytes."""
        return self._model._run(class_keys(self._model))  # type: ignore[no-any-return]

    def iterator(self, chunk: int = PAGE_ROWS) -> Iterator[M]:
        """The rows one by one, fetched in pages of about `chunk` and not remembered; all at once when ordered.

        A row that is written or deleted meanwhile may be met or missed; every other is met once.
        """
        if not isinstance(chunk, int) or isinstance(chunk, bool) or chunk < 1:
            raise QueryException(f"{self._model.__name__}: iterator(chunk={chunk!r}) needs a positive int")
        if self._answer is not None or self._planned().wanted.order is not None:
            yield from self._rows()
            return
        gathering = self._model._run(self._gathering(chunk))
        left = self._wanted.limit
        while not gathering.ended and left != 0:
            for row in self._model._run(gathering.page()):
                gathering.found.pop(row.pk, None)
                if left is not None:
                    if left == 0:
                        return
                    left -= 1
                yield row

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
        planned = self._planned()
        if not analyze:
            return explain.explained(self._model._meta, planned)
        return self._model._run(explain.analyzed(self._model._meta, planned))  # type: ignore[no-any-return]

    # -- answers under asyncio

    async def async_update(self, **updates: Any) -> int:
        """`update` for asyncio."""
        return await self._model.async_bulk_update(self._fresh(), **updates)

    async def async_delete(self) -> int:
        """`delete` for asyncio."""
        return await self._model.async_bulk_delete(self._fresh())

    async def async_explain(self, analyze: bool = False) -> Explanation:
        """`explain` for asyncio."""
        planned = self._planned()
        if not analyze:
            return explain.explained(self._model._meta, planned)
        return await self._model._arun(explain.analyzed(self._model._meta, planned))  # type: ignore[no-any-return]

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

    async def async_get_many(self, redis_keys: Iterable[str | bytes], skip_none: bool = False) -> list[M | None]:
        """`get_many` for asyncio."""
        return await self._model._arun(by_keys(self._model, redis_keys, skip_none))  # type: ignore[no-any-return]

    async def async_count(self, **kwargs: Any) -> int:
        """`count` for asyncio."""
        return int(await self._model._arun(self._counting(kwargs)))

    async def async_exists(self, **kwargs: Any) -> bool:
        """`exists` for asyncio."""
        return bool(await self.filter(**kwargs, limit=1))

    async def async_first(self) -> M | None:
        """`first` for asyncio."""
        rows = await self._shortened()
        return rows[0] if rows else None

    async def async_last(self) -> M | None:
        """`last` for asyncio."""
        rows = await self
        return rows[-1] if rows else None

    async def async_keys(self) -> list[bytes]:
        """`keys` for asyncio."""
        return await self._model._arun(class_keys(self._model))  # type: ignore[no-any-return]

    def _shortened(self) -> Query[M]:
        return self.filter(limit=1) if self._answer is None and self._wanted.limit is None else self

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
        return self._rows()[place]

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

    # -- plans

    def _fresh(self) -> Query[M]:
        """The same query without its remembered answer, for a verb that writes."""
        return Query(self._model, replace(self._wanted, values=None), self._given, self._also)

    async def _gathering(self, chunk: int) -> run.Gathering:
        planned = self._planned(await related.resolved(self._wanted))
        return run.Gathering(self._model._meta, planned, self._model._from_row, await layout(), chunk)

    def _planned(self, wanted: Wanted | None = None) -> Plan:
        meta = self._model._meta
        if meta.abstract:
            raise QueryException(f"{self._model.__name__} is abstract and has no rows: query its subclasses")
        wanted = wanted or self._wanted
        if wanted.order is None and meta.order_by is not None:
            wanted = replace(wanted, order=parse.order(meta, meta.order_by))
        return plan(meta, wanted)

    async def _fetching(self) -> list[Any]:
        planned = self._planned(await related.resolved(self._wanted))
        return await self._answered(await run.rows(self._model._meta, planned, self._model._from_row))

    async def _answered(self, rows: list[Any]) -> list[Any]:
        """Loaded rows as the user asked for them: the last step of every answer."""
        await creating.prefetch(self._model, rows, self._wanted.prefetch)
        names = self._wanted.values
        return rows if not names else [{name: _plain(row, name) for name in names} for row in rows]

    def _counting(self, kwargs: dict[str, Any]) -> Op[int]:
        return (self.filter(**kwargs) if kwargs else self)._counted()

    async def _counted(self) -> int:
        planned = self._planned(await related.resolved(self._wanted))
        if not self._wanted.where.branches:
            total = await class_size(self._model)
        else:
            unlimited = replace(planned, wanted=replace(planned.wanted, limit=None, order=None), walk=None)
            total = await run.count(self._model._meta, unlimited, self._model._from_row)
        limit = self._wanted.limit
        return total if limit is None else min(total, limit)

    async def _one(self) -> M | None:
        return await self._getting(None, None, {})

    def _named_keys(self) -> list[str]:
        """The keys that the row can have when every key value is given: the canonical one, then 1.x's spellings."""
        meta = self._model._meta
        equal = equalities(self._wanted.where)
        return meta.row_keys(equal) if all(name in equal for name in meta.key_order) else []

    async def _by_key_values(self, values: dict[str, Any]) -> M | None:
        """The row with just these key values: what `get` is asked for most."""
        meta = self._model._meta
        leaves = parse.leaves(meta, values)
        equal = {name: value for leaf in leaves for name, value in equalities(leaf).items()}
        for row in await by_keys(self._model, meta.row_keys(equal), skip_none=True):
            if row is not None and all(satisfies(row, leaf) for leaf in leaves):
                return row
        return None

    async def _getting(
        self, db_key: DB_key | str | None, redis_key: str | bytes | None, kwargs: dict[str, Any]
    ) -> M | None:
        key = key_text(self._model, db_key, redis_key)
        meta = self._model._meta
        alone = not (self._given or self._also or meta.abstract)
        if key is None and alone and kwargs.keys() == meta.key_field_names:
            return await self._by_key_values(kwargs)
        query = self.filter(**kwargs) if kwargs else self
        keys = [key] if key is not None else query._named_keys()
        if keys:
            found = (await by_keys(self._model, keys, skip_none=True))[:1]
            where = (await related.resolved(query._wanted)).where
            rows = [row for row in found if row and satisfies(row, where)]
        else:
            rows = await query.filter(limit=2)._fetching()
        if len(rows) > 1:
            raise QueryException(
                f"{self._model.__name__}: get({', '.join(query._given) or ''}) found more than one row; "
                "narrow it, or use filter()"
            )
        return rows[0] if rows else None


def _plain(row: Any, name: str) -> Any:
    """A field's value for a dictionary: a relationship as its key."""
    return row._meta.fields[name].compared(row)
