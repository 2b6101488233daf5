"""A graph of what occurs together, beside the rows of a model."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from functools import partial
from typing import Any, Final

from popoto.exceptions import ModelException
from popoto.fields.co_occurrence_field import graph as graphs
from popoto.fields.co_occurrence_field.graph import Graph
from popoto.fields.co_occurrence_field.spreading import EDGES_OF_A_CALL, Associations, Spread, spread
from popoto.fields.companions import Companion, Fragment, Store
from popoto.fields.constants import Defaults
from popoto.fields.field import Field
from popoto.storage import Op, connection, layout

EDGES: Final = Fragment("edges", "popoto.fields.co_occurrence_field")
MOST_NODES: Final = 10_000


class CoOccurrenceField(Field[str]):
    """A weighted graph between keys: each has a sorted set of its heaviest edges. The field itself holds no value.

    A node is any text; those that are keys of the model's rows lose their edges with their row and keep them when it is
    renamed. Every change is one script and one round trip, in both directions where the graph is symmetric.

    Args:
        symmetric: whether every edge leads both ways.
        max_edges: how many edges a node keeps, the heaviest, 1 to 5,000.
        decay_factor: what `weaken_all` multiplies weights by, from 0 to below 1; None for
            `Defaults.CO_OCCURRENCE_DECAY_FACTOR` at each use.
        options: as `Field`.

    Raises:
        ModelException: for an option out of range.
    """

    offers = "associations"

    def __init__(
        self, *, symmetric: bool = True, max_edges: int = 500, decay_factor: float | None = None, **options: Any
    ) -> None:
        if isinstance(max_edges, bool) or not isinstance(max_edges, int) or not 1 <= max_edges <= graphs.MOST_EDGES:
            raise ModelException(
                f"{self._title()}: max_edges={max_edges!r} must be an int from 1 to {graphs.MOST_EDGES}"
            )
        if decay_factor is not None and not (_is_number(decay_factor) and 0 <= decay_factor < 1):
            raise ModelException(
                f"{self._title()}: decay_factor={decay_factor!r} must be a number from 0 to below 1, or None"
            )
        if options.get("indexed") or options.get("unique"):
            raise ModelException(f"{self._title()} holds no value, so there is nothing to index")
        super().__init__(options.pop("type", str), **options)
        self.settled_type = None
        self.symmetric = symmetric
        self.max_edges = max_edges
        self._decay_factor = decay_factor

    @property
    def decay_factor(self) -> float:
        """What `weaken_all` multiplies weights by."""
        return Defaults.CO_OCCURRENCE_DECAY_FACTOR if self._decay_factor is None else self._decay_factor

    def convert(self, value: Any) -> Any:
        """Refuses every value: a graph's edges are made by `link`."""
        raise ValueError("the field holds no value: use link() or strengthen() to make edges")

    # -- keys

    def get_edge_key(self, model_class: Any, pk: Any) -> str:
        """The key of a node's edge set, `$CoOcF:{Model}:{field}:{pk}`, behind a connection's namespace and hash tag.

        Args:
            model_class: the model, or an instance.
            pk: the node, or an instance.
        """
        return self.get_edge_key_prefix(model_class) + _node(self._title(), pk)

    def get_edge_key_prefix(self, model_class: Any) -> str:
        """What the key of every edge set begins with; it ends with a colon."""
        meta = model_class._meta
        return self._graph(model_class, connection(meta.connection).layout.prefix(meta.hash_tag)).base(graphs.TAG)

    def _graph(self, model_class: Any, prefix: str) -> Graph:
        return Graph(prefix, model_class._meta.model_name, self.name, self.max_edges, self.symmetric)

    # -- changing

    def link(
        self, model_class: Any, pk_a: Any, pk_b: Any, initial_weight: float | None = None, pipeline: Any = None
    ) -> Any:
        """Link two nodes; an edge that is there keeps its weight. The lightest edges of a full node make room.

        Args:
            model_class: the model.
            pk_a, pk_b: two different nodes, each a text or an instance.
            initial_weight: above 0 and at most 1,000,000; None for `Defaults.CO_OCCURRENCE_INITIAL_WEIGHT`.
            pipeline: a pipeline in which the change waits.

        Returns:
            The weight of the edge from the first to the second; or the pipeline when one was given.

        Raises:
            ValueError: for one node twice, or a weight out of range. Nothing was written.
        """
        return model_class._run(self._linking(model_class, pk_a, pk_b, initial_weight), pipeline)

    async def async_link(
        self, model_class: Any, pk_a: Any, pk_b: Any, initial_weight: float | None = None, pipeline: Any = None
    ) -> Any:
        """`link` for asyncio."""
        return await model_class._arun(self._linking(model_class, pk_a, pk_b, initial_weight), pipeline)

    def _linking(self, model_class: Any, pk_a: Any, pk_b: Any, initial_weight: float | None) -> Op[float]:
        weight = Defaults.CO_OCCURRENCE_INITIAL_WEIGHT if initial_weight is None else initial_weight
        self._check_weight("initial_weight", weight)
        return self._weighed(model_class, "link", *self._two(pk_a, pk_b), weight)

    def strengthen(self, model_class: Any, pk_a: Any, pk_b: Any, delta: float = 0.05, pipeline: Any = None) -> Any:
        """Add to the weight of an edge, and make it where it is missing; concurrent additions lose nothing.

        Args:
            model_class: the model.
            pk_a, pk_b: two different nodes.
            delta: above 0; a weight grows to 1,000,000 at most.
            pipeline: a pipeline in which the change waits.

        Returns:
            The new weight of the edge from the first to the second; or the pipeline when one was given.

        Raises:
            ValueError: for one node twice, or a delta out of range. Nothing was written.
        """
        return model_class._run(self._strengthening(model_class, pk_a, pk_b, delta), pipeline)

    async def async_strengthen(
        self, model_class: Any, pk_a: Any, pk_b: Any, delta: float = 0.05, pipeline: Any = None
    ) -> Any:
        """`strengthen` for asyncio."""
        return await model_class._arun(self._strengthening(model_class, pk_a, pk_b, delta), pipeline)

    def _strengthening(self, model_class: Any, pk_a: Any, pk_b: Any, delta: float) -> Op[float]:
        self._check_weight("delta", delta)
        return self._weighed(model_class, "strengthen", *self._two(pk_a, pk_b), delta)

    async def _weighed(self, model_class: Any, verb: str, first: str, second: str, amount: float) -> float:
        graph = await self._here(model_class)
        return float(await graph.change(verb, first, second, float(amount), graphs.LARGEST_WEIGHT))

    def unlink(self, model_class: Any, pk_a: Any, pk_b: Any, pipeline: Any = None) -> Any:
        """Remove the edge between two nodes.

        Returns:
            Whether there was one; or the pipeline when one was given.

        Raises:
            ValueError: for one node twice.
        """
        return model_class._run(self._unlinking(model_class, *self._two(pk_a, pk_b)), pipeline)

    async def async_unlink(self, model_class: Any, pk_a: Any, pk_b: Any, pipeline: Any = None) -> Any:
        """`unlink` for asyncio."""
        return await model_class._arun(self._unlinking(model_class, *self._two(pk_a, pk_b)), pipeline)

    async def _unlinking(self, model_class: Any, first: str, second: str) -> bool:
        graph = await self._here(model_class)
        return bool(await graph.change("unlink", first, second, 0.0))

    def weaken_all(self, model_class: Any, pk: Any, factor: float | None = None, pipeline: Any = None) -> Any:
        """Multiply the weights of all edges that lead from a node, and remove those that fall below 0.001.

        The edges that lead back are weakened when their own node is.

        Args:
            model_class: the model.
            pk: the node.
            factor: from 0, which removes every edge, to 1; None for the field's `decay_factor`.
            pipeline: a pipeline in which the change waits.

        Returns:
            How many edges were removed; or the pipeline when one was given.

        Raises:
            ValueError: for a factor out of range.
        """
        return model_class._run(self._weakening(model_class, pk, factor), pipeline)

    async def async_weaken_all(
        self, model_class: Any, pk: Any, factor: float | None = None, pipeline: Any = None
    ) -> Any:
        """`weaken_all` for asyncio."""
        return await model_class._arun(self._weakening(model_class, pk, factor), pipeline)

    def _weakening(self, model_class: Any, pk: Any, factor: float | None) -> Op[int]:
        chosen = self.decay_factor if factor is None else factor
        if not _is_number(chosen) or not 0 <= chosen <= 1:
            raise ValueError(f"{self._title()}: factor={factor!r} must be a number from 0 to 1")
        return self._weakened(model_class, _node(self._title(), pk), float(chosen))

    async def _weakened(self, model_class: Any, pk: str, factor: float) -> int:
        graph = await self._here(model_class)
        return int(await graph.change("weaken", pk, None, factor, graphs.SMALLEST_WEIGHT))

    # -- reading

    def get_linked(
        self, model_class: Any, pk: Any, min_weight: float = 0.01, limit: int = 20
    ) -> list[tuple[str, float]]:
        """The nodes that a node's heaviest edges lead to, with their weights, in descending order, equal ones by name.

        Args:
            model_class: the model.
            pk: the node.
            min_weight: the smallest weight.
            limit: how many at most.
        """
        found: list[tuple[str, float]] = model_class._run(self._linked(model_class, pk, min_weight, limit))
        return found

    async def async_get_linked(
        self, model_class: Any, pk: Any, min_weight: float = 0.01, limit: int = 20
    ) -> list[tuple[str, float]]:
        """`get_linked` for asyncio."""
        found: list[tuple[str, float]] = await model_class._arun(self._linked(model_class, pk, min_weight, limit))
        return found

    def _linked(self, model_class: Any, pk: Any, min_weight: float, limit: int) -> Op[list[tuple[str, float]]]:
        node = _node(self._title(), pk)
        if not _is_number(min_weight):
            raise ValueError(f"{self._title()}: min_weight={min_weight!r} must be a number")
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise ValueError(f"{self._title()}: limit={limit!r} must be an int")
        return self._read(model_class, node, float(min_weight), min(limit, graphs.MOST_EDGES))

    async def _read(self, model_class: Any, pk: str, min_weight: float, limit: int) -> list[tuple[str, float]]:
        return await (await self._here(model_class)).linked(pk, min_weight, limit) if limit > 0 else []

    def propagate(
        self,
        model_class: Any,
        seed_pks: Iterable[Any],
        depth: int = 2,
        decay_per_hop: float | None = None,
        threshold: float = 0.01,
        *,
        max_nodes: int = 1000,
        budget: int = EDGES_OF_A_CALL,
    ) -> Associations:
        """The nodes that can be reached from some nodes, each with the weight of the heaviest walk to it.

            weight(v) = max over walks seed -> v of at most `depth` edges of prod(min(1, decay_per_hop * edge_weight)),
            where no product falls below `threshold` on the way

        This is spreading activation (Collins and Loftus, 1975) with the maximum in the place of the sum, over the
        `max_edges` heaviest edges of each node. It is exact as long as the budget lasts; the heaviest nodes are
        followed first. It costs one round trip, and with a larger budget further ones.

        Args:
            model_class: the model.
            seed_pks: the nodes to begin with, at most 10,000; the result is without them.
            depth: how many hops; 0 gives the seeds themselves.
            decay_per_hop: the factor of each hop; None for `Defaults.CO_OCCURRENCE_DECAY_PER_HOP`.
            threshold: the smallest weight, 0 or more.
            max_nodes: how many nodes at most, 1 to 10,000; the heaviest are kept, equal ones by name.
            budget: how many edges may be looked at; looking a node up counts as two.

        Returns:
            Weights by node, the heaviest first; `exact`, `complete` and `edges` tell what the budget allowed.

        Raises:
            ValueError: for an argument out of range.
        """
        found: Associations = model_class._run(
            self._spreading(model_class, seed_pks, depth, decay_per_hop, threshold, max_nodes, budget)
        )
        return found

    async def async_propagate(
        self,
        model_class: Any,
        seed_pks: Iterable[Any],
        depth: int = 2,
        decay_per_hop: float | None = None,
        threshold: float = 0.01,
        *,
        max_nodes: int = 1000,
        budget: int = EDGES_OF_A_CALL,
    ) -> Associations:
        """`propagate` for asyncio."""
        found: Associations = await model_class._arun(
            self._spreading(model_class, seed_pks, depth, decay_per_hop, threshold, max_nodes, budget)
        )
        return found

    def _spreading(
        self,
        model_class: Any,
        seed_pks: Iterable[Any],
        depth: int,
        decay_per_hop: float | None,
        threshold: float,
        max_nodes: int,
        budget: int,
    ) -> Op[Associations]:
        title = self._title()
        if isinstance(seed_pks, str | bytes):
            raise ValueError(f"{title}: seed_pks={seed_pks!r} must be a list of keys: write [{seed_pks!r}]")
        seeds = tuple(dict.fromkeys(_node(title, pk) for pk in seed_pks))
        hop = Defaults.CO_OCCURRENCE_DECAY_PER_HOP if decay_per_hop is None else decay_per_hop
        if len(seeds) > MOST_NODES:
            raise ValueError(f"{title}: {len(seeds)} seed_pks are too many: give at most {MOST_NODES}")
        for name, value in (("decay_per_hop", hop), ("threshold", threshold)):
            if not _is_number(value) or value < 0:
                raise ValueError(f"{title}: {name}={value!r} must be a number, 0 or more")
        _check_int(title, "depth", depth, None, None)
        _check_int(title, "max_nodes", max_nodes, 1, MOST_NODES)
        _check_int(title, "budget", budget, 1, None)
        asked = Spread(seeds, depth, float(hop), float(threshold), max_nodes, budget)
        return self._spread(model_class, asked)

    async def _spread(self, model_class: Any, asked: Spread) -> Associations:
        if asked.depth == 0:
            return Associations((pk, 1.0) for pk in asked.seeds)
        if not asked.seeds or asked.depth < 0 or asked.hop == 0:
            return Associations()
        return await spread(await self._here(model_class), asked)

    # -- beside the rows

    def companions(self, model_name: str) -> Sequence[Companion]:
        """The edge sets, the sources, and the edge sets as 1.6 named them."""
        bases = [f"{tag}:{model_name}:{self.name}" for tag in (graphs.TAG, graphs.SOURCES_TAG, graphs.OLDER_TAG)]
        settled = (bases[0], str(self.max_edges), str(int(self.symmetric)))
        made = partial(
            Graph, model_name=model_name, field_name=self.name, most=self.max_edges, symmetric=self.symmetric
        )

        def care(prefix: str, removing: bool, expired: Container[bytes]) -> Op[int]:
            return made(prefix).strays(removing, expired)

        def renewal(prefix: str) -> Op[None]:
            return made(prefix).adopt()

        stores = tuple(Store("F", base) for base in bases)
        return [Companion(EDGES, self.name, stores, settled=settled, care=care, renewal=renewal, reaped=8)]

    # -- checks

    async def _here(self, model_class: Any) -> Graph:
        return self._graph(model_class, (await layout()).prefix(model_class._meta.hash_tag))

    def _two(self, pk_a: Any, pk_b: Any) -> tuple[str, str]:
        first, second = _node(self._title(), pk_a), _node(self._title(), pk_b)
        if first == second:
            raise ValueError(f"{self._title()}: {first!r} cannot be linked with itself: give two different keys")
        return first, second

    def _check_weight(self, name: str, value: Any) -> None:
        if not _is_number(value) or not 0 < value <= graphs.LARGEST_WEIGHT:
            raise ValueError(
                f"{self._title()}: {name}={value!r} must be a number above 0, at most {graphs.LARGEST_WEIGHT:.0f}"
            )


def _node(title: str, pk: Any) -> str:
    name = pk if isinstance(pk, str) else getattr(pk, "pk", None)
    if not isinstance(name, str) or not name:
        raise ValueError(f"{title}: {pk!r} names no node: give the key of a row, another text, or an instance")
    return name


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_int(title: str, name: str, value: Any, least: int | None, most: int | None) -> None:
    good = isinstance(value, int) and not isinstance(value, bool)
    if not good or (least is not None and value < least) or (most is not None and value > most):
        span = "" if least is None else f" from {least}" + ("" if most is None else f" to {most}")
        raise ValueError(f"{title}: {name}={value!r} must be an int{span}")
