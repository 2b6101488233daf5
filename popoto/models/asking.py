"""What a query asks of the store: the plans behind its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from popoto.exceptions import QueryException
from popoto.fields.expressions import Q
from popoto.models import creating
from popoto.models.arrangement import arranged
from popoto.models.reading import brought, by_keys, class_size, key_text, row_at
from popoto.queries import explain, parse, related, run
from popoto.queries.explain import Explanation
from popoto.queries.fetch import Wide
from popoto.queries.finish import annotated, satisfies
from popoto.queries.hits import Hit
from popoto.queries.plan import Plan, equalities, plan
from popoto.queries.where import Wanted
from popoto.storage import Op, layout
from popoto.storage.layouts import PLAIN

if TYPE_CHECKING:
    from popoto.models.key import DB_key
    from popoto.models.model import Model

M = TypeVar("M", bound="Model")
_ALL: Final = Wanted()


class Asking(Generic[M]):
    """What `Query` inherits: what is wanted, its plans, and the answer once there is one."""

    def __init__(
        self,
        model: type[M],
        wanted: Wanted | None = None,
        given: dict[str, Any] | None = None,
        also: tuple[Q, ...] = (),
    ) -> None:
        self._model = model
        self._wanted = wanted or _ALL
        self._given = given or {}
        self._also = also
        self._answer: list[Any] | None = None
        # The first rows, where only those were looked at so far.
        self._first: list[Any] = []
        self._plan: Plan | None = None

    def filter(self, *conditions: Q, **kwargs: Any) -> Self:
        raise NotImplementedError

    def _with(self, wanted: Wanted) -> Self:
        return type(self)(self._model, wanted, self._given, self._also)

    def _fresh(self) -> Self:
        """The same query without its remembered answer, for a verb that writes."""
        return self._with(replace(self._wanted, values=None, tracks=False))

    async def _gathering(self, chunk: int) -> run.Gathering:
        here = await layout()
        planned = self._planned(await related.resolved(self._wanted))
        planned = replace(planned, prefetch=related.loadable(self._model._meta, self._wanted.prefetch, here))
        return run.Gathering(self._model._meta, planned, self._model._from_row, here, chunk)

    async def _asked(self, work: Callable[[Plan], Op[Any]]) -> Any:
        """Do something with the plan: related rows are found by the same script, or first where that cannot be."""
        wanted = related.nested(self._model._meta, self._wanted, await layout())
        try:
            return await work(self._planned(await related.resolved(wanted)))
        except Wide:
            return await work(self._planned(await related.resolved(self._wanted)))

    def _refuse_abstract(self) -> None:
        if self._model._meta.abstract:
            raise QueryException(f"{self._model.__name__} is abstract and has no rows: query its subclasses")

    def _planned(self, wanted: Wanted | None = None) -> Plan:
        """The plan of what is wanted; the query's own is made once."""
        if wanted is not None and wanted is not self._wanted:
            return self._plan_of(wanted)
        if self._plan is None:
            self._plan = self._plan_of(self._wanted)
        return self._plan

    def _plan_of(self, wanted: Wanted) -> Plan:
        self._refuse_abstract()
        meta = self._model._meta
        if wanted.order is None and meta.order_by is not None:
            wanted = replace(wanted, order=parse.order(meta, meta.order_by))
        if wanted.computed is not None:
            # Which rows are the first is known when all are there.
            wanted = replace(wanted, limit=None)
        return plan(meta, wanted)

    def _explained(self) -> Explanation:
        """The plan on a store that is not a cluster."""
        meta = self._model._meta
        return explain.explained(meta, self._planned(related.nested(meta, self._wanted, PLAIN)))

    async def _explaining(self) -> Explanation:
        analyzed: Explanation = await self._asked(lambda planned: explain.analyzed(self._model._meta, planned))
        return analyzed

    async def _paged(self, gathering: run.Gathering, most: int | None) -> list[M]:
        return await self._noted((await gathering.page())[:most])

    async def _by_keys(self, redis_keys: Iterable[str | bytes], skip_none: bool) -> list[M | None]:
        if isinstance(redis_keys, str | bytes) or not isinstance(redis_keys, Iterable):
            raise QueryException(f"{self._model.__name__}: redis_keys={redis_keys!r} must be a list of keys")
        rows = await by_keys(self._model, redis_keys, skip_none)
        await self._noted([row for row in rows if row is not None])
        return rows

    async def _noted(self, rows: list[M]) -> list[M]:
        """The rows of an answer, noted as read where their model does that: the last step of every answer."""
        noting = self._model._read(rows) if self._wanted.tracks else None
        if noting is not None:
            await noting
        return rows

    async def _fetching(self) -> list[Any]:
        return await self._answered(await self._fetched())

    async def _answered(self, rows: list[M]) -> list[Any]:
        """Loaded rows as the user asked for them: the last step of every answer."""
        names = self._wanted.values
        if not names:
            return await self._noted(rows)
        await brought(rows, names)
        return [{name: row._meta.fields[name].plain(row) for name in names} for row in rows]

    async def _ranked_answer(self, hits: list[Hit], wanted: Wanted, explain: bool) -> list[Any]:
        """What a ranking found as the user asked for it, as `Hit`s when that is wanted."""
        rows = [hit.row for hit in hits]
        annotated(rows, wanted)
        await creating.prefetch(self._model, rows, self._wanted.prefetch)
        given = await self._answered(rows)
        return [replace(hit, row=row) for hit, row in zip(hits, given, strict=True)] if explain else given

    async def _fetched(self) -> list[M]:
        return arranged(await self._asked(self._loading), self._wanted)

    async def _loading(self, planned: Plan) -> list[Any]:
        wanted, meta = planned.wanted, self._model._meta
        if not wanted.prefetch:
            return await run.rows(meta, planned, self._model._from_row)
        # Rows that are dropped at the limit bring none with them.
        whole = wanted.limit is None or wanted.order is None or planned.walk is not None
        with_page = related.loadable(meta, wanted.prefetch, await layout()) if whole else ()
        rows = await run.rows(meta, replace(planned, prefetch=with_page), self._model._from_row)
        await creating.prefetch(self._model, rows, [name for name in wanted.prefetch if name not in with_page])
        return rows

    def _counting(self, kwargs: dict[str, Any]) -> Op[int]:
        return (self.filter(**kwargs) if kwargs else self)._counted()

    async def _counted(self) -> int:
        self._refuse_abstract()
        if not self._wanted.where.branches:
            total = await class_size(self._model)
        else:
            total = await self._asked(self._counted_by)
        limit = self._wanted.limit
        return total if limit is None else min(total, limit)

    async def _counted_by(self, planned: Plan) -> int:
        unlimited = replace(planned, wanted=replace(planned.wanted, limit=None, order=None), walk=None)
        return await run.count(self._model._meta, unlimited, self._model._from_row)

    async def _one(self) -> M | None:
        return await self._with(replace(self._wanted, tracks=False))._getting(None, None, {})

    async def _by_key_values(self, values: dict[str, Any]) -> M | None:
        """The row with just these key values: what `get` is asked for most."""
        meta = self._model._meta
        if meta.settled_keys and (key := meta.settled_key(values)) is not None:
            row = await row_at(self._model, key)
            settled = row is None or all(getattr(row, name) == values[name] for name in meta.key_order)
            return row if settled else None
        leaves = parse.leaves(meta, values)
        equal = {name: value for leaf in leaves for name, value in equalities(leaf).items()}
        for row in await by_keys(self._model, meta.row_keys(equal), skip_none=True):
            if row is not None and all(satisfies(row, leaf) for leaf in leaves):
                return row
        return None

    def _named_keys(self) -> list[str]:
        """The keys that the row can have when every key value is given: the canonical one, then 1.x's spellings."""
        meta = self._model._meta
        equal = equalities(self._wanted.where)
        return meta.row_keys(equal) if all(name in equal for name in meta.key_order) else []

    async def _getting(
        self, db_key: DB_key | str | None, redis_key: str | bytes | None, kwargs: dict[str, Any]
    ) -> M | None:
        key = key_text(self._model, db_key, redis_key)
        meta = self._model._meta
        alone = not (self._given or self._also or self._wanted.prefetch or meta.abstract)
        if key is None and alone and kwargs.keys() == meta.key_field_names:
            row = await self._by_key_values(kwargs)
            return row if row is None else (await self._noted([row]))[0]
        query = self.filter(**kwargs) if kwargs else self
        names = query._wanted.prefetch
        keys = [key] if key is not None else [] if names else query._named_keys()
        if keys:
            found = (await by_keys(self._model, keys, skip_none=True))[:1]
            await creating.prefetch(self._model, found, names)
            where = (await related.resolved(query._wanted)).where
            rows = [row for row in found if row and satisfies(row, where)]
        else:
            rows = await query.filter(limit=2)._fetched()
        if len(rows) > 1:
            raise QueryException(
                f"{self._model.__name__}: get({', '.join(query._given) or ''}) found more than one row; "
                "narrow it, or use filter()"
            )
        await self._noted(rows)
        return rows[0] if rows else None
