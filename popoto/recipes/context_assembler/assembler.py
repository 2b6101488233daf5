"""An assembler of contexts: what an agent should have before it, as one text."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from popoto.exceptions import QueryException
from popoto.fields.constants import Defaults
from popoto.fields.recall_proposal import RecallProposal
from popoto.models import Model, Query
from popoto.models.searched import mixing
from popoto.queries.hits import Hit
from popoto.recipes.context_assembler import rendering, signals
from popoto.recipes.context_assembler.cues import texts
from popoto.recipes.context_assembler.quality import RetrievalQuality, judged, quality, threshold
from popoto.recipes.context_assembler.recall import Pulled, Recipe, pulled
from popoto.storage import Op, together

METHODS: Final = ("minmax", "rrf")


@dataclass(slots=True)
class AssemblyResult:
    """What was assembled.

    Attributes:
        records: the rows, best first: those that were asked for, then those that surfaced by themselves.
        proactive: those of them that surfaced by themselves.
        formatted: the rows as text.
        metadata: `pull_count`, `push_count`, `token_count`, `total_candidates` (before the cut to `max_items` and to
            the budget), `timing_ms`, and `quality` (a `RetrievalQuality`) when it was asked for.
        why: of each record, in their order, `Hit(row, key, score, parts)`; the parts say what each signal gave.
    """

    records: list[Any] = field(default_factory=list)
    proactive: list[Any] = field(default_factory=list)
    formatted: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    why: list[Hit] = field(default_factory=list)


class ContextAssembler:
    """Assembles the rows of a model that matter now into one text.

    The pull path ranks by the cues: their words go to the model's BM25Field and EmbeddingField, and what these find is
    blended with the signals of `score_weights` and with what a CoOccurrenceField associates with the best of them. Each
    ranking is brought to a scale of 0 to 1 by its least and greatest score, so none drowns another, and the score is
    their weighted mean, as in `Query.fuse`. The push path adds rows whose cycle or pressure (CyclicDecayField) has
    brought them above the threshold, in the places that are left.

    It takes up to eight round trips: the model's ExistenceFilter; all rankings; associations; the candidates' rows and
    numbers; neighbours, up to three; what is noted about the selected. What the model does not have costs none.

    Args:
        model_class: the model.
        score_weights: weights by signal, as `Query.composite_score` takes them; only their ratios matter. Names of
            fields that rank by the question or by association may be among them. What is not named of these weighs
            three times as much as all signals together for the question, half as much for associations.
        max_items: the most records of a result.
        max_tokens: the most tokens of the text; records at its end are left out. The first always stays.
        surfacing_threshold: the least score of the push path; `Defaults.DEFAULT_SURFACING_THRESHOLD` (0.5), as it is at
            each call, unless given.
        propagation_depth: how many hops associations are followed.
        output_format: `structured` (JSON), `xml`, or `natural` (a line for each record).
        token_counter: gives a record's tokens.
        text_counter: gives the tokens of a text, such as a tokenizer's `lambda text: len(encoding.encode(text))`; what
            is rendered is counted. Without either, a token is four characters of what is rendered.
        neighbours: a SortedField, or a pair of it and a share, as in `Query.fuse`: rows beside good rows gain. Those
            beside the best are candidates even when no ranking has them.
        group_by: a field, or a pair of it and a share, as in `Query.fuse`: rows in the group of a good row gain.
        method: `minmax` or `rrf`, as in `Query.fuse`.
        suppress: whether a retrieval lowers the confidence of candidates that were not selected, by a signal of
            `Defaults.COMPETITIVE_SUPPRESSION_SIGNAL` (0.3).

    Raises:
        QueryException: for an argument that makes no sense, before anything is asked.
    """

    def __init__(
        self,
        model_class: type[Model],
        score_weights: Mapping[str, float],
        max_items: int = 10,
        max_tokens: int | None = None,
        surfacing_threshold: float | None = None,
        propagation_depth: int = 2,
        output_format: str = "structured",
        token_counter: Callable[[Any], int] | None = None,
        *,
        text_counter: Callable[[str], int] | None = None,
        neighbours: str | tuple[str, float] | None = None,
        group_by: str | tuple[str, float] | None = None,
        method: str = "minmax",
        suppress: bool = False,
    ) -> None:
        signals.weighed(model_class, score_weights)
        _check(model_class, "max_items", max_items, 1)
        _check(model_class, "propagation_depth", propagation_depth, 0)
        if max_tokens is not None:
            _check(model_class, "max_tokens", max_tokens, 0)
        threshold(surfacing_threshold)
        _check_choice("output_format", output_format, rendering.FORMATS)
        _check_choice("method", method, METHODS)
        mixing(model_class._meta, neighbours, group_by)
        for name, counter in (("token_counter", token_counter), ("text_counter", text_counter)):
            if counter is not None and not callable(counter):
                raise QueryException(f"ContextAssembler: {name}={counter!r} must be a function that gives a number")
        if token_counter is not None and text_counter is not None:
            raise QueryException("ContextAssembler: token_counter and text_counter exclude each other: give one")
        if suppress and signals.offering(model_class, "confidence") is None:
            raise QueryException(
                f"suppress=True lowers a confidence, and {model_class.__name__} has no ConfidenceField"
            )
        self.model_class = model_class
        self.score_weights: dict[str, float] = dict(score_weights)
        self.max_items = max_items
        self.max_tokens = max_tokens
        self.surfacing_threshold = surfacing_threshold
        self.propagation_depth = propagation_depth
        self.output_format = output_format
        self.token_counter = token_counter
        self.text_counter = text_counter
        self.neighbours = neighbours
        self.group_by = group_by
        self.method = method
        self.suppress = suppress
        if not sum(self._recipe().settled().values()):
            raise QueryException(f"{model_class.__name__}: nothing ranks: give a signal a weight above 0")

    # -- verbs

    def assemble(
        self,
        query_cues: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        partition_filters: Mapping[str, Any] | None = None,
        assess_quality: bool = False,
    ) -> AssemblyResult:
        """The records that matter now, as one text.

        Reads are noted of the records that were asked for and selected, once; those that surfaced become proposals of
        the agent (`RecallProposal`).

        Args:
            query_cues: what the agent has in mind, as `{"topic": "coffee"}`; without them nothing is pulled.
            agent_id: adds `agent_id` to the filters, and is the partition of proposals.
            partition_filters: conditions as `Query.filter` takes them. They hold for every record.
            assess_quality: whether `metadata["quality"]` is wanted. One more round trip.

        Raises:
            QueryException: when a partition of a signal is not named, or a filter is unknown.
        """
        plan = self._assembling(query_cues, agent_id, partition_filters, assess_quality)
        return self.model_class._run(plan)  # type: ignore[no-any-return]

    async def async_assemble(
        self,
        query_cues: Mapping[str, Any] | None = None,
        agent_id: str | None = None,
        partition_filters: Mapping[str, Any] | None = None,
        assess_quality: bool = False,
    ) -> AssemblyResult:
        """`assemble` for asyncio."""
        plan = self._assembling(query_cues, agent_id, partition_filters, assess_quality)
        return await self.model_class._arun(plan)  # type: ignore[no-any-return]

    def assess(
        self,
        query_cues: Mapping[str, Any] | None = None,
        partition_filters: Mapping[str, Any] | None = None,
        probe_limit: int | None = None,
        agent_id: str | None = None,
    ) -> RetrievalQuality:
        """How good a retrieval would be: the pull path without associations. Nothing is noted, pushed or lowered.

        Args:
            query_cues: the cues; without them all is 0.
            partition_filters: conditions as `Query.filter` takes them.
            probe_limit: how many records to look at; `max_items` unless given.
            agent_id: adds `agent_id` to the filters.

        Raises:
            QueryException: as `assemble`.
        """
        plan = self._assessing(query_cues, partition_filters, probe_limit, agent_id)
        return self.model_class._run(plan)  # type: ignore[no-any-return]

    async def async_assess(
        self,
        query_cues: Mapping[str, Any] | None = None,
        partition_filters: Mapping[str, Any] | None = None,
        probe_limit: int | None = None,
        agent_id: str | None = None,
    ) -> RetrievalQuality:
        """`assess` for asyncio."""
        plan = self._assessing(query_cues, partition_filters, probe_limit, agent_id)
        return await self.model_class._arun(plan)  # type: ignore[no-any-return]

    # -- plans

    async def _assembling(
        self,
        cues: Mapping[str, Any] | None,
        agent_id: str | None,
        filters: Mapping[str, Any] | None,
        assess: bool,
    ) -> AssemblyResult:
        started = time.perf_counter()
        query = self._query(agent_id, filters)
        asked = texts(cues)
        plans: list[Op[Any]] = [self._pulling(query, asked), self._pushing(query)]
        pull, pushed = await together(plans)
        known = {hit.key for hit in pull.hits}
        candidates = [*pull.hits, *(hit for hit in pushed if hit.key not in known)]
        records = [hit.row for hit in candidates[: self.max_items]]
        render = rendering.FORMATS[self.output_format]
        fits, tokens = rendering.fitting(records, render, self.max_tokens, self._counter())
        why = candidates[:fits]
        drawn = [hit for hit in why if hit.key in known]
        surfaced = [hit for hit in why if hit.key not in known]
        found = None
        if assess:
            found = await self._quality(why, pull, self.max_items)
        await self._noting(drawn, surfaced, pull.hits[len(drawn) :], agent_id)
        result = AssemblyResult(
            [hit.row for hit in why],
            [hit.row for hit in surfaced],
            render([hit.row for hit in why]),
            {
                "pull_count": len(drawn),
                "push_count": len(surfaced),
                "token_count": tokens,
                "timing_ms": 0.0,
                "total_candidates": len(candidates),
            },
            why,
        )
        if found is not None:
            result.metadata["quality"] = found
        result.metadata["timing_ms"] = round(1000 * (time.perf_counter() - started), 2)
        return result

    async def _assessing(
        self,
        cues: Mapping[str, Any] | None,
        filters: Mapping[str, Any] | None,
        probe_limit: int | None,
        agent_id: str | None,
    ) -> RetrievalQuality:
        most = self.max_items if probe_limit is None else probe_limit
        _check(self.model_class, "probe_limit", most, 1)
        query = self._query(agent_id, filters)
        asked = texts(cues)
        if not asked:
            return RetrievalQuality()
        probe = await pulled(self._recipe(most), query, asked, following=False)
        if not probe.hits:
            sure = signals.offering(self.model_class, "confidence")
            empty = {text: bool(known) for text, known in probe.known.items()}
            found = quality(judged(self.model_class, [], {}, [], None, empty), self.max_items, self._threshold())
            found.avg_confidence = 1.0 if sure is None else Defaults.INITIAL_CONFIDENCE
            return found
        probe.hits = probe.hits[:most]
        return await self._quality(probe.hits, probe, self.max_items)

    async def _pulling(self, query: Query[Any], asked: Sequence[str]) -> Pulled:
        return await pulled(self._recipe(), query, asked) if asked else Pulled()

    async def _pushing(self, query: Query[Any]) -> list[Hit]:
        name = signals.resonating(self.model_class)
        if name is None:
            return []
        least = self._threshold()
        found: list[Hit] = await query._composing(
            {name: 1.0}, self.max_items, "SUM", least if least > 0 else None, None, 1.0, None, True, {}
        )
        return found

    async def _quality(self, why: Sequence[Hit], pull: Pulled, most: int) -> RetrievalQuality:
        weights = signals.weighed(self.model_class, self.score_weights)
        records = [hit.row for hit in why]
        numbers = await signals.of_records(records, signals.judging(self.model_class, weights))
        keys = [hit.key for hit in pull.hits]
        found = judged(self.model_class, records, {**pull.numbers, **numbers}, keys, weights or None, pull.known)
        return quality(found, most, self._threshold())

    async def _noting(
        self, drawn: Sequence[Hit], surfaced: Sequence[Hit], losers: Sequence[Hit], agent_id: str | None
    ) -> None:
        """What a retrieval leaves behind, in one round trip."""
        plans: list[Op[Any]] = []
        reading = self.model_class._read([hit.row for hit in drawn]) if drawn else None
        if reading is not None:
            plans.append(reading)
        plans += [make() for _, make in RecallProposal._proposing([hit.row for hit in surfaced], agent_id)]
        sure = signals.offering(self.model_class, "confidence")
        if self.suppress and sure is not None:
            doubt = self.model_class._meta.fields[sure].doubt_actions(Defaults.COMPETITIVE_SUPPRESSION_SIGNAL)
            plans += [hit.row._acting(doubt) for hit in losers]
        if plans:
            await together(plans)

    # -- what calls share

    def _recipe(self, most: int | None = None) -> Recipe:
        return Recipe(
            self.model_class,
            self.score_weights,
            self.max_items if most is None else most,
            self.propagation_depth,
            "rrf" if self.method == "rrf" else "minmax",
            self.neighbours,
            self.group_by,
        )

    def _query(self, agent_id: str | None, filters: Mapping[str, Any] | None) -> Query[Any]:
        conditions = dict(filters or {})
        if agent_id is not None:
            conditions["agent_id"] = agent_id
        return self.model_class.query.filter(**conditions).no_track()

    def _threshold(self) -> float:
        return threshold(self.surfacing_threshold)

    def _counter(self) -> rendering.Counter:
        if self.token_counter is not None:
            return rendering.counted_by_record(self.token_counter)
        return rendering.counted_by_text(self.text_counter or rendering.quarter)


def _check(model: type[Model], name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise QueryException(f"ContextAssembler of {model.__name__}: {name}={value!r} must be an int from {least}")


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in choices:
        raise QueryException(f"ContextAssembler: {name}={value!r} is unknown: use one of {', '.join(choices)}")
