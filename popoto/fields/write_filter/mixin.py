"""A mixin of models whose rows are scored before they are saved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from popoto.exceptions import ModelException, SkipSaveException
from popoto.fields.companions import Companion, Fragment, Store
from popoto.fields.constants import Defaults
from popoto.fields.signals import Signal

NAME: Final = "WriteFilterMixin"
FRAGMENT: Final = Fragment("priority", "popoto.fields.write_filter")


class WriteFilterMixin:
    """Saves only rows that score well enough, and ranks the best; put it before Model in the bases.

    A class says how its rows score by `compute_filter_score`. At each save, also of a stored row, a score below the
    least threshold writes nothing: `save()` returns False, and `create()`, `get_or_create()` and `bulk_create()` give
    the unsaved instance, whose `_redis_key` is None. A score from the priority threshold on ranks the row in
    `$WF:Model:priority`; a lower one takes it out. Both are part of the save's own step.

    Attributes:
        _wf_min_threshold: the least score; `Defaults.WF_MIN_THRESHOLD` (0.1) unless set.
        _wf_priority_threshold: the score from which on a row has priority; `Defaults.WF_PRIORITY_THRESHOLD` (0.7).
    """

    _wf_min_threshold: ClassVar[float | None] = None
    _wf_priority_threshold: ClassVar[float | None] = None

    def compute_filter_score(self) -> float | None:
        """How much the row is worth keeping; None for nothing.

        Raises:
            NotImplementedError: unless the class defines it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define compute_filter_score(self) and return a number")

    @classmethod
    def _companions(cls, model_name: str) -> Sequence[Companion]:
        inherited: Sequence[Companion] = super()._companions(model_name)  # type: ignore[misc]
        store = Store("Z", f"$WF:{model_name}:priority")
        return (*inherited, Companion(FRAGMENT, NAME, (store,), said=_told))

    @classmethod
    def _signals(cls, model_name: str) -> Mapping[str, Signal]:
        inherited: Mapping[str, Signal] = super()._signals(model_name)  # type: ignore[misc]
        return {**inherited, "priority": Signal("score", f"$WF:{model_name}:priority")}

    def _admitted(self) -> bool:
        try:
            score = self._filter_score()
        except SkipSaveException:
            return False
        least = self._wf_min_threshold
        if score < (Defaults.WF_MIN_THRESHOLD if least is None else least):
            return False
        # What this save tells the server, however often the class would change its mind meanwhile.
        self.__dict__["_wf_score"] = score
        return super()._admitted()  # type: ignore[misc, no-any-return]

    def _filter_score(self) -> float:
        """The score as a number: None and what is none count nothing.

        Raises:
            ModelException: when it is not a number by name, which no threshold can tell.
        """
        given: Any = self.compute_filter_score()
        try:
            score = float(given)
        except (TypeError, ValueError, OverflowError):
            return 0.0
        if math.isnan(score):
            raise ModelException(
                f"{type(self).__name__}.compute_filter_score() gave {given!r}, which no threshold can tell: "
                "return a number, or None to skip the save"
            )
        return score

    def _priority(self, score: float) -> str:
        least = self._wf_priority_threshold
        reached = score >= (Defaults.WF_PRIORITY_THRESHOLD if least is None else least)
        return repr(score) if reached else ""

    if TYPE_CHECKING:
        __dict__: dict[str, Any]


def _told(instance: Any, change: Any) -> Sequence[str] | None:
    """The row's priority, for the fragment; a row that is indexed anew is scored anew."""
    if change.mode == "reindex":
        try:
            return (instance._priority(instance._filter_score()),)
        except ModelException:
            # NaN, or a row that its class would not save: it has no priority.
            return ("",)
    score = instance.__dict__.pop("_wf_score", None)
    return None if score is None else (instance._priority(score),)
