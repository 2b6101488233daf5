"""How good a retrieval was, in numbers that come from the store and not from a language model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from popoto.exceptions import QueryException
from popoto.fields.constants import Defaults
from popoto.models import Model
from popoto.recipes.context_assembler import signals
from popoto.recipes.context_assembler.cues import familiarity, texts

FAMILIAR: Final = 0.4
RETRIEVED: Final = 0.4
SUBTHRESHOLD: Final = 0.2
UNKNOWN: Final = 0.5


@dataclass(slots=True)
class RetrievalQuality:
    """How good a retrieval was. All zeros and empty when nothing was looked at.

    Attributes:
        avg_confidence: mean confidence of the records, 0 to 1; 1.0 when the model has no ConfidenceField.
        score_spread: population standard deviation of `score_distribution` over its mean; 0.0 when |mean| < 1e-9.
        fok_score: feeling of knowing, 0 to 1: the mean of the cues' `component_score`; 0.0 without cues.
        staleness_ratio: the part of the records whose decayed score is below the surfacing threshold; 0.0 when no field
            of the weights decays.
        score_distribution: each record's sum of weight * signal, decayed as of now, in the records' order.
        per_cue_fok: by cue value `cue_familiarity` (1, 0, or 0.5 where no ExistenceFilter tells),
            `partial_retrieval_count` (candidates of those that were wanted, at most 1), `subthreshold_activation` (the
            part of the candidates with a score between 0 and the threshold), and `component_score`,
            0.4, 0.4 and 0.2 of these.
    """

    avg_confidence: float = 0.0
    score_spread: float = 0.0
    fok_score: float = 0.0
    staleness_ratio: float = 0.0
    score_distribution: list[float] = field(default_factory=list)
    per_cue_fok: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def from_records(
        cls,
        records: Sequence[Model],
        query_cues: Mapping[str, Any] | None = None,
        score_weights: Mapping[str, float] | None = None,
        max_items: int = 10,
        surfacing_threshold: float | None = None,
    ) -> RetrievalQuality:
        """The quality of records that were found in any way. At most two round trips; nothing is noted as read.

        Args:
            records: rows of one model, of one partition or several.
            query_cues: what was asked for, as `ContextAssembler.assess` takes it.
            score_weights: weights by signal; without them spread and staleness are 0.0.
            max_items: how many records were wanted.
            surfacing_threshold: a score below it is weak; `Defaults.DEFAULT_SURFACING_THRESHOLD` (0.5) unless given.

        Raises:
            TypeError: when the records are of several models.
            QueryException: for a weight of something that is no signal of the model.
        """
        listed = _of_one_model(records)
        if not listed:
            return cls()
        plan = _judged(listed, query_cues, score_weights, max_items, threshold(surfacing_threshold))
        return listed[0]._run(plan)  # type: ignore[no-any-return]

    @classmethod
    async def async_from_records(
        cls,
        records: Sequence[Model],
        query_cues: Mapping[str, Any] | None = None,
        score_weights: Mapping[str, float] | None = None,
        max_items: int = 10,
        surfacing_threshold: float | None = None,
    ) -> RetrievalQuality:
        """`from_records` for asyncio."""
        listed = _of_one_model(records)
        if not listed:
            return cls()
        plan = _judged(listed, query_cues, score_weights, max_items, threshold(surfacing_threshold))
        return await listed[0]._arun(plan)  # type: ignore[no-any-return]


def threshold(given: float | None) -> float:
    """The surfacing threshold: as given, else the default as it is now.

    Raises:
        QueryException: when it is no finite number.
    """
    if given is None:
        return Defaults.DEFAULT_SURFACING_THRESHOLD
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise QueryException(f"surfacing_threshold={given!r} must be a finite number, or None for the default")
    return float(given)


@dataclass(frozen=True, slots=True)
class Judged:
    """What quality is computed from.

    Attributes:
        confidences: of the records, None when the model has no confidence.
        totals: each record's weighted sum; None without weights.
        decayed: each record's decayed score, None for one that has none; empty when nothing decays.
        candidates: the weighted sums of all candidates.
        known: by cue text whether it may be known; None for one that nothing can tell of.
    """

    confidences: Sequence[float] | None
    totals: Sequence[float] | None
    decayed: Sequence[float | None]
    candidates: Sequence[float]
    known: Mapping[str, bool | None]


def quality(judged: Judged, max_items: int, weak_below: float) -> RetrievalQuality:
    """The numbers of a retrieval."""
    distribution = list(judged.totals or ())
    weak = [one for one in judged.candidates if 0 < one < weak_below]
    retrieved = min(len(judged.candidates), max_items) / max_items if max_items > 0 else 0.0
    subthreshold = len(weak) / len(judged.candidates) if judged.candidates else 0.0
    cues = {text: _feeling(known, retrieved, subthreshold) for text, known in judged.known.items()}
    stale = [one for one in judged.decayed if one is None or one < weak_below]
    return RetrievalQuality(
        avg_confidence=1.0 if not judged.confidences else math.fsum(judged.confidences) / len(judged.confidences),
        score_spread=spread(distribution),
        fok_score=math.fsum(one["component_score"] for one in cues.values()) / len(cues) if cues else 0.0,
        staleness_ratio=len(stale) / len(judged.decayed) if judged.decayed else 0.0,
        score_distribution=distribution,
        per_cue_fok=cues,
    )


def _feeling(known: bool | None, retrieved: float, subthreshold: float) -> dict[str, float]:
    familiar = UNKNOWN if known is None else float(known)
    return {
        "cue_familiarity": familiar,
        "partial_retrieval_count": retrieved,
        "subthreshold_activation": subthreshold,
        "component_score": FAMILIAR * familiar + RETRIEVED * retrieved + SUBTHRESHOLD * subthreshold,
    }


def spread(scores: Sequence[float]) -> float:
    """The population standard deviation over the mean; 0.0 when the mean is next to nothing."""
    mean = math.fsum(scores) / len(scores) if scores else 0.0
    if abs(mean) < 1e-9:
        return 0.0
    return math.sqrt(math.fsum((one - mean) ** 2 for one in scores) / len(scores)) / mean


def judged(
    model: type[Model],
    records: Sequence[Model],
    numbers: Mapping[str, Mapping[str, float]],
    candidates: Sequence[str],
    weights: Mapping[str, float] | None,
    known: Mapping[str, bool | None],
) -> Judged:
    """What quality is computed from.

    Args:
        numbers: by row key the numbers of its signals, those of the weights and the confidence.
        candidates: the keys of all candidates.
    """
    sure = signals.offering(model, "confidence")
    fields = model._meta.fields
    decaying = next((name for name in weights or {} if name in fields and fields[name].decays), None)

    def of(key: str) -> float:
        own = numbers.get(key, {})
        return math.fsum(weight * own.get(name, 0.0) for name, weight in (weights or {}).items())

    keys = [str(record.pk) for record in records]
    return Judged(
        # A row of 1.x has no place in the confidence's order before it is indexed or has evidence: it knows its own.
        confidences=[
            numbers.get(key, {}).get(sure, getattr(record, sure) or 0.0)
            for key, record in zip(keys, records, strict=True)
        ]
        if sure
        else None,
        totals=[of(key) for key in keys] if weights else None,
        decayed=[numbers.get(key, {}).get(decaying) for key in keys] if decaying else (),
        candidates=[of(key) for key in candidates],
        known=known,
    )


def _of_one_model(records: Sequence[Model]) -> list[Model]:
    listed = list(records)
    names = sorted({type(record).__name__ for record in listed})
    if len({type(record) for record in listed}) > 1:
        raise TypeError(f"from_records() takes rows of one model, and these are of {', '.join(names)}")
    return listed


async def _judged(
    records: Sequence[Model],
    cues: Mapping[str, Any] | None,
    score_weights: Mapping[str, float] | None,
    max_items: int,
    weak_below: float,
) -> RetrievalQuality:
    model = type(records[0])
    weights = signals.weighed(model, score_weights or {})
    known = await familiarity(model, texts(cues))
    numbers = await signals.of_records(records, signals.judging(model, weights))
    keys = [str(record.pk) for record in records]
    return quality(judged(model, records, numbers, keys, weights or None, known), max_items, weak_below)
