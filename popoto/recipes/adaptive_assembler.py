"""An assembler that tries other weights, and keeps those that do better."""

from __future__ import annotations

import copy
import logging
import math
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from popoto.exceptions import QueryException
from popoto.fields.constants import Defaults
from popoto.recipes.context_assembler import AssemblyResult, ContextAssembler, RetrievalQuality

Metric = Callable[[RetrievalQuality], float]
# Of the sum of the weights: none goes below the first, none above the second.
LEAST: Final = 0.05
MOST: Final = 0.9
TRIES: Final = 3
# Means of the same samples may differ by rounding.
ROUNDING: Final = 1e-12
_logger: Final = logging.getLogger("popoto.recipes")


class AdaptiveAssembler:
    """Wraps a `ContextAssembler` and moves its `score_weights` by trial.

    A window of calls measures the mean quality of the weights in use. Then some weight is moved from one signal to
    another, and the next window measures that; the change stays when the mean is higher, else it is taken back. A mean
    that is the same is not higher, so weights stand still under constant quality; a move takes from one what it gives
    to another, so their sum stays. After each decision the weights in use are measured afresh.

    The state is this object's own: it is not shared between processes, and not for several threads.

    Args:
        inner: the assembler. It is not changed: `inner.score_weights` stay as they are.
        window_size: calls in a window; `Defaults.ADAPTIVE_QUALITY_WINDOW_SIZE` (20) unless given.
        quality_metric: one number of a `RetrievalQuality`, higher for better; fok_score * avg_confidence unless given.
            A call for which it raises, or gives no finite number, is left out, and logged.
        weight_perturbation: how much is moved, of the sum of the weights.
        rng: chooses the signals; give `random.Random(seed)` for a course that can be repeated.

    Raises:
        QueryException: for a window below 1, or a perturbation outside 0 to 1.
    """

    def __init__(
        self,
        inner: ContextAssembler,
        window_size: int | None = None,
        quality_metric: Metric | None = None,
        weight_perturbation: float = 0.05,
        rng: random.Random | None = None,
    ) -> None:
        size = Defaults.ADAPTIVE_QUALITY_WINDOW_SIZE if window_size is None else window_size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise QueryException(f"AdaptiveAssembler: window_size={size!r} must be an int from 1")
        number = isinstance(weight_perturbation, int | float) and not isinstance(weight_perturbation, bool)
        if not number or not 0 < weight_perturbation < 1:
            raise QueryException(
                f"AdaptiveAssembler: weight_perturbation={weight_perturbation!r} must lie between 0 and 1"
            )
        self.inner = inner
        self.window_size = size
        self.quality_metric: Metric = quality_metric or (lambda quality: quality.fok_score * quality.avg_confidence)
        self.weight_perturbation = weight_perturbation
        self._rng = rng or random.Random()
        self._weights = dict(inner.score_weights)
        self._candidate: dict[str, float] | None = None
        self._quality: float | None = None
        self._samples: list[float] = []
        self._active = inner

    @property
    def current_weights(self) -> dict[str, float]:
        """A copy of the weights that the next call uses."""
        return dict(self._weights if self._candidate is None else self._candidate)

    @property
    def baseline_quality(self) -> float | None:
        """The mean quality of the kept weights in their last window; None before the first is full."""
        return self._quality

    @property
    def is_testing_candidate(self) -> bool:
        """Whether the weights in use are on trial."""
        return self._candidate is not None

    def assemble(self, query_cues: Mapping[str, Any] | None = None, **kwargs: Any) -> AssemblyResult:
        """`ContextAssembler.assemble` with the weights in use; its quality is asked for, and counts.

        Args:
            query_cues: the cues.
            **kwargs: what else `ContextAssembler.assemble` takes; `assess_quality` is always on.
        """
        result = self._active.assemble(query_cues, **{**kwargs, "assess_quality": True})
        self._sample(result.metadata["quality"])
        return result

    async def async_assemble(self, query_cues: Mapping[str, Any] | None = None, **kwargs: Any) -> AssemblyResult:
        """`assemble` for asyncio."""
        result = await self._active.async_assemble(query_cues, **{**kwargs, "assess_quality": True})
        self._sample(result.metadata["quality"])
        return result

    # -- trial and decision

    def _sample(self, quality: RetrievalQuality) -> None:
        try:
            sample = float(self.quality_metric(quality))
        except Exception:
            _logger.exception("AdaptiveAssembler: quality_metric failed, the call is not counted")
            return
        if not math.isfinite(sample):
            _logger.warning("AdaptiveAssembler: quality_metric gave %r, the call is not counted", sample)
            return
        self._samples.append(sample)
        if len(self._samples) == self.window_size:
            mean = math.fsum(self._samples) / self.window_size
            self._samples = []
            self._decide(mean)

    def _decide(self, mean: float) -> None:
        if self._candidate is None or self._quality is None:
            self._quality = mean
            self._use(self._proposed())
            return
        if mean > self._quality + ROUNDING * max(1.0, abs(self._quality)):
            self._weights, self._quality = self._candidate, mean
        self._use(None)

    def _use(self, candidate: dict[str, float] | None) -> None:
        self._candidate = candidate
        self._active = copy.copy(self.inner)
        self._active.score_weights = self.current_weights

    def _proposed(self) -> dict[str, float] | None:
        """The weights with some moved from one signal to another; None where nothing can be moved."""
        if len(self._weights) < 2:
            return None
        total = math.fsum(self._weights.values())
        for _ in range(TRIES):
            giver, taker = self._rng.sample(list(self._weights), 2)
            moved = min(
                self.weight_perturbation * total,
                self._weights[giver] - LEAST * total,
                MOST * total - self._weights[taker],
            )
            if moved > ROUNDING * total:
                return {
                    **self._weights,
                    giver: self._weights[giver] - moved,
                    taker: self._weights[taker] + moved,
                }
        return None
