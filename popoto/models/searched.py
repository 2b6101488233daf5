"""The verbs of a query that rank by words, and that make one ranking of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from popoto.exceptions import QueryException
from popoto.fields.bm25_field.field import postings_of
from popoto.keys import part
from popoto.models.reading import by_keys, key_text
from popoto.models.writing import key_bytes
from popoto.queries import fusion, related
from popoto.queries.finish import satisfies
from popoto.queries.hits import Hit, Part
from popoto.queries.keywords import MOST_ROWS, ScoredPage, Search, words_of
from popoto.storage import Call, Script, ask, ask_all, layout
from popoto.storage.commands.sorted_sets import zrank

if TYPE_CHECKING:
    from popoto.fields.bm25_field.index import Postings
    from popoto.queries.plan import Plan
    from popoto.queries.where import Wanted

BESIDE: Final = Script("popoto.beside", "popoto.queries", "beside.lua", shape=list[Any], writes=False)
NEIGHBOURS: Final = 0.25
GROUP: Final = 0.5
PostFilter = Callable[[str, float], bool]


@dataclass(frozen=True, slots=True)
class Fusing:
    """What `fuse` was asked for."""

    method: fusion.Method
    k: float
    limit: int
    post_filter: PostFilter | None
    weights: Mapping[str, float]
    neighbours: tuple[str, float] | None
    group_by: tuple[str, float] | None
    lists: Mapping[str, Any]


class Searched:
    """What `Query` inherits for rankings by words and of several lists."""

    if TYPE_CHECKING:
        _model: Any
        _wanted: Wanted

        def _planned(self, wanted: Wanted | None = None) -> Plan: ...
        async def _ranked_answer(self, hits: list[Hit], wanted: Wanted, explain: bool) -> list[Any]: ...

    def keyword_search(
        self, text: str, field: str | None = None, limit: int = 10, *, explain: bool = False
    ) -> list[Any]:
        """The rows of the query that score highest by BM25 for any of the text's words, ties by key. One round trip.

        Of more than 64 different words the 64 rarest count. Each row notes its score as `_bm25_score`.

        Args:
            text: the question.
            field: the name of the BM25Field; the model's only one unless given.
            limit: the most rows to return; 0 or less gives none.
            explain: give `Hit(row, key, score, parts)` instead of rows. A part is a word: `raw` its saturated count,
                `weight` its idf.

        Raises:
            QueryException: for a name that is no BM25Field, or an index whose words another analyser made.
        """
        return self._model._run(self._keyword_searching(text, field, limit, explain))  # type: ignore[no-any-return]

    async def async_keyword_search(
        self, text: str, field: str | None = None, limit: int = 10, *, explain: bool = False
    ) -> list[Any]:
        """`keyword_search` for asyncio."""
        plan = self._keyword_searching(text, field, limit, explain)
        return await self._model._arun(plan)  # type: ignore[no-any-return]

    def fuse(
        self,
        k: float | None = None,
        limit: int = 10,
        post_filter: PostFilter | None = None,
        *,
        method: str | None = None,
        weights: Mapping[str, float] | None = None,
        neighbours: str | tuple[str, float] | None = None,
        group_by: str | tuple[str, float] | None = None,
        explain: bool = False,
        **lists: Any,
    ) -> list[Any]:
        """One ranking of several: the rows of the query that any list has, best first, ties by key.

        `minmax`, the default, brings the scores of each list to 0 to 1 and gives their weighted mean. `rrf`, which a
        given `k` asks for too, is the sum of weight / (k + rank) over the lists, and heeds no scores. Each row notes
        its score as `_fused_score`, and as `_rrf_score` for `rrf`.

        Args:
            k: softens the first ranks of `rrf`; 60 unless given.
            limit: the most rows to return; 0 or less gives none.
            post_filter: called with key and score; a row for which it is false leaves its place to another.
            method: `minmax` or `rrf`.
            weights: of each list by its name; 1 for one that is not named.
            neighbours: a SortedField: a row gets a share of the scores of the rows right before and after it, 0.25, or
                as in `("turn", 0.4)`. Rows of other groups are no neighbours.
            group_by: a field: a row gets a share of the best score among rows with the same value, 0.5, or as given.
            explain: give `Hit(row, key, score, parts)` instead of rows. A part is a list: `raw` is the row's score
                there, or its rank.
            **lists: each a list of rows, hits, keys, or (key, score) pairs, best first; or a mapping of keys to scores.

        Raises:
            QueryException: without lists, or for an argument that makes no sense.
        """
        asked = _asked(self._model._meta, k, limit, post_filter, method, weights, neighbours, group_by, lists)
        return self._model._run(self._fusing(asked, explain))  # type: ignore[no-any-return]

    async def async_fuse(
        self,
        k: float | None = None,
        limit: int = 10,
        post_filter: PostFilter | None = None,
        *,
        method: str | None = None,
        weights: Mapping[str, float] | None = None,
        neighbours: str | tuple[str, float] | None = None,
        group_by: str | tuple[str, float] | None = None,
        explain: bool = False,
        **lists: Any,
    ) -> list[Any]:
        """`fuse` for asyncio."""
        asked = _asked(self._model._meta, k, limit, post_filter, method, weights, neighbours, group_by, lists)
        return await self._model._arun(self._fusing(asked, explain))  # type: ignore[no-any-return]

    # -- plans

    async def _matching(self, field_name: str, text: str, limit: int) -> list[tuple[str, float]]:
        """Keys and scores alone, for `BM25Field.search`."""
        model = self._model
        here = await layout()
        postings = postings_of(model, field_name)
        most = _limit(limit)
        search = Search(model._meta, self._planned(), postings, words_of(postings, text), here, size=most)
        strip = len(model._meta.keyspace(here).prefix)
        found: list[tuple[str, float]] = []
        while not search.ended and len(found) < most:
            page = await search.page()
            found += [(one.key.decode("utf-8", "surrogateescape")[strip:], one.score) for one in page.rows]
        return found[:most]

    async def _keyword_searching(self, text: str, field: str | None, limit: int, explain: bool) -> list[Any]:
        postings, most = postings_of(self._model, field), self._most(limit)
        wanted = await related.resolved(self._wanted)
        hits = await self._keyword_hits(postings, text, most, wanted, explain)
        for hit in hits:
            hit.row.__dict__["_bm25_score"] = hit.score
        return await self._ranked_answer(hits, wanted, explain)

    async def _keyword_hits(self, postings: Postings, text: str, most: int, wanted: Wanted, explain: bool) -> list[Hit]:
        model, meta = self._model, self._model._meta
        planned = self._planned(wanted)
        here = await layout()
        names = meta.read_names
        # Where rows decide, some of those that the indexes offer are refused.
        size = most if planned.exact else max(32, 2 * most)
        words = words_of(postings, text) if most else []
        search = Search(meta, planned, postings, words, here, size=size, names=names, explain=explain)
        strip = len(meta.keyspace(here).prefix)
        hits: list[Hit] = []
        while not search.ended and len(hits) < most:
            page = await search.page()
            for number, one in enumerate(page.rows):
                key = one.key.decode("utf-8", "surrogateescape")[strip:]
                row = model._from_row(key, meta.field_names, one.values)
                if satisfies(row, wanted.where):
                    hits.append(Hit(row, key, one.score, _word_parts(page, number)))
        return hits[:most]

    def _most(self, limit: int) -> int:
        own = self._wanted.limit
        most = _limit(limit)
        return most if own is None else min(most, own)

    async def _fusing(self, asked: Fusing, explain: bool) -> list[Any]:
        model, meta = self._model, self._model._meta
        wanted = await related.resolved(self._wanted)
        prefix = meta.keyspace(await layout()).prefix
        key_of = lambda item: _key_of(model, prefix, item)  # noqa: E731 - bound to this store
        rankings = [fusion.ranking(name, given, key_of) for name, given in asked.lists.items()]
        found = fusion.fused(rankings, asked.method, asked.k, asked.weights)
        rows: dict[str, Any] = {}
        if asked.neighbours is not None or asked.group_by is not None:
            rows = await self._allowed(list(found))
            found = {key: one for key, one in found.items() if key in rows}
        order = await blended(model, found, rows, asked.neighbours, asked.group_by)
        most = self._most(asked.limit)
        hits: list[Hit] = []
        start = 0
        while start < len(order) and len(hits) < most:
            some = order[start : start + max(32, min(2 * most, MOST_ROWS))]
            start += len(some)
            there = rows or await self._loaded(some)
            for key in some:
                row, score = there.get(key), found[key].score
                accepted = row is not None and satisfies(row, wanted.where)
                if accepted and (asked.post_filter is None or asked.post_filter(key, score)):
                    hits.append(Hit(row, key, score, tuple(found[key].parts)))
        hits = hits[:most]
        for hit in hits:
            hit.row.__dict__["_fused_score"] = hit.score
            if asked.method == "rrf":
                hit.row.__dict__["_rrf_score"] = hit.score
        return await self._ranked_answer(hits, wanted, explain)

    async def _allowed(self, keys: list[str]) -> dict[str, Any]:
        """Those of some rows that the query's conditions allow, by key."""
        where = (await related.resolved(self._wanted)).where
        return {key: row for key, row in (await self._loaded(keys)).items() if satisfies(row, where)}

    async def _loaded(self, keys: list[str]) -> dict[str, Any]:
        rows = await by_keys(self._model, keys, skip_none=False)
        return {key: row for key, row in zip(keys, rows, strict=True) if row is not None}


def _word_parts(page: ScoredPage, number: int) -> tuple[Part, ...]:
    pairs = zip(page.idfs.items(), page.rows[number].parts, strict=False)
    return tuple(Part(word, raw, idf, idf * raw) for (word, idf), raw in pairs if raw)


def _limit(limit: Any) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise QueryException(f"limit={limit!r} must be an int: how many rows are wanted")
    return max(0, limit)


def _key_of(model: Any, prefix: str, item: Any) -> str:
    given = item if isinstance(item, str | bytes) else getattr(item, "pk", None)
    if given is None:
        raise QueryException(f"fuse(): {item!r:.60} is neither a row nor a key of {model.__name__}")
    text = key_text(model, None, given) or ""
    return text[len(prefix) :] if prefix and text.startswith(prefix) else text


async def blended(
    model: Any,
    found: Mapping[str, fusion.Fused],
    rows: Mapping[str, Any],
    neighbours: str | tuple[str, float] | None,
    group_by: str | tuple[str, float] | None,
) -> list[str]:
    """Keys of scored rows, best first, ties by key, after what neighbours and groups have was mixed in.

    Args:
        rows: the rows by key; needed where something is mixed in.
        neighbours, group_by: as `fuse` takes them.
    """
    meta = model._meta
    beside, together = mixing(meta, neighbours, group_by)
    if beside is not None or together is not None:
        await _mixed(meta, beside, together, found, rows, meta.keyspace(await layout()).prefix)
    return sorted(found, key=lambda key: (-found[key].score, key_bytes(key)))


async def adjacent(model: Any, name: str, rows: Mapping[str, Any]) -> list[str]:
    """The keys of the rows right before and after some rows in the order of a SortedField. One round trip."""
    meta = model._meta
    prefix: str = meta.keyspace(await layout()).prefix
    orders = [prefix + _order_of(meta, name, row) for row in rows.values()]
    found = await ask(Call(BESIDE, orders, [key_bytes(prefix + key) for key in rows])) if rows else []
    return list(dict.fromkeys(one.decode("utf-8", "surrogateescape")[len(prefix) :] for one in found))


def _order_of(meta: Any, name: str, row: Any) -> str:
    index = meta.fields[name].index
    key: str = index.key(meta.model_name, tuple(part(getattr(row, one)) for one in index.partitions))
    return key


def mixing(
    meta: Any, neighbours: str | tuple[str, float] | None, group_by: str | tuple[str, float] | None
) -> tuple[tuple[str, float] | None, tuple[str, float] | None]:
    """The fields whose neighbours and groups are mixed in, each with its share.

    Raises:
        QueryException: for a field that is none, or knows no order, or a share that is no number from 0.
    """
    beside, together = _shared(meta, "neighbours", neighbours, NEIGHBOURS), _shared(meta, "group_by", group_by, GROUP)
    if beside is not None:
        index = meta.fields[beside[0]].index
        if index is None or index.kind != "Z":
            raise QueryException(
                f"{meta.model_name}: neighbours={beside[0]!r} must be a SortedField, which knows their order"
            )
    return beside, together


async def _mixed(
    meta: Any,
    neighbours: tuple[str, float] | None,
    group_by: tuple[str, float] | None,
    found: Mapping[str, fusion.Fused],
    rows: Mapping[str, Any],
    prefix: str,
) -> None:
    """Mix in what neighbours and groups have."""
    groups: dict[str, Any] = {}
    if group_by is not None:
        groups = {key: part(meta.fields[group_by[0]].compared(row)) for key, row in rows.items()}
    if neighbours is not None:
        name, share = neighbours
        orders = {key: prefix + _order_of(meta, name, row) for key, row in rows.items()}
        steps = [zrank(orders[key], key_bytes(prefix + key)) for key in found]
        ranks: dict[str, tuple[Any, int]] = {}
        for start in range(0, len(steps), MOST_ROWS):
            some = await ask_all(steps[start : start + MOST_ROWS])
            for key, rank in zip(list(found)[start : start + MOST_ROWS], some, strict=True):
                if rank is not None:
                    ranks[key] = ((orders[key], groups.get(key)), rank)
        fusion.mix_neighbours(found, ranks, share)
    if group_by is not None:
        fusion.mix_groups(found, groups, group_by[1])


def _asked(
    meta: Any,
    k: Any,
    limit: Any,
    post_filter: Any,
    method: Any,
    weights: Any,
    neighbours: Any,
    group_by: Any,
    lists: Any,
) -> Fusing:
    if not lists:
        raise QueryException("fuse() needs lists: write fuse(words=query.keyword_search(...), vectors=...)")
    if method not in (None, "minmax", "rrf"):
        raise QueryException(f"fuse(method={method!r}) is unknown: use 'minmax' or 'rrf'")
    if k is not None and (isinstance(k, bool) or not isinstance(k, int | float) or not k >= 0):
        raise QueryException(f"fuse(k={k!r}) must be a number from 0")
    if k is not None and method == "minmax":
        raise QueryException(f"fuse(k={k!r}, method='minmax'): k belongs to 'rrf', leave one of them out")
    chosen: fusion.Method = "rrf" if method == "rrf" or k is not None else "minmax"
    return Fusing(
        chosen,
        fusion.RRF_K if k is None else float(k),
        _limit(limit),
        post_filter,
        _weights(weights, lists),
        *mixing(meta, neighbours, group_by),
        lists,
    )


def _weights(weights: Any, lists: Mapping[str, Any]) -> dict[str, float]:
    given = dict(weights or {})
    for name, weight in given.items():
        if name not in lists:
            raise QueryException(f"fuse(): weights names {name!r}, which is no list; there are {', '.join(lists)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
            raise QueryException(f"fuse(): the weight of {name} is {weight!r}: give a number from 0")
    found = {name: float(given.get(name, 1.0)) for name in lists}
    if not sum(found.values()):
        raise QueryException("fuse(): all weights are 0, so nothing ranks: give one above 0")
    return found


def _shared(meta: Any, option: str, given: Any, share: float) -> tuple[str, float] | None:
    if given is None:
        return None
    pair = (given, share) if isinstance(given, str) else given
    if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], str):
        raise QueryException(
            f"{meta.model_name}: {option}={given!r} must be a field's name, or a pair of the name and a share"
        )
    name, part_of = pair
    if name not in meta.fields:
        raise QueryException(f"{meta.model_name} has no field {name!r}, named by {option}{meta.near(name)}")
    if isinstance(part_of, bool) or not isinstance(part_of, int | float) or not 0 <= part_of < float("inf"):
        raise QueryException(f"{meta.model_name}: {option}={given!r}: the share must be a number from 0")
    return name, float(part_of)
