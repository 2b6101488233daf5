"""A mixin of models whose rows have predictions that are compared with what happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, ClassVar, Final

from popoto.exceptions import ModelException
from popoto.fields.companions import Companion, Fragment, Store
from popoto.fields.constants import Defaults
from popoto.fields.prediction_ledger import errors, ledger
from popoto.fields.prediction_ledger.ledger import NAME

FRAGMENT: Final = Fragment("ledger", "popoto.fields.prediction_ledger")


class PredictionLedgerMixin:
    """Keeps a prediction for each row, how it came out, and the errors of all; put it before Model in the bases.

    A row has one prediction at a time. When its error exceeds the threshold, every ConfidenceField of the row gets a
    low signal in the same step, where that lowers it.

    Attributes:
        _pl_partition: the set of errors in which the model's rows are ranked.
        _pl_confidence_error_threshold: the error above which confidence suffers;
            `Defaults.PL_CONFIDENCE_ERROR_THRESHOLD` (0.7) unless set.
        _pl_confidence_low_signal: the signal that is sent; `Defaults.PL_CONFIDENCE_LOW_SIGNAL` (0.2).
        _pl_auto_resolve_errors: errors by outcome, over `Defaults.PL_AUTO_RESOLVE_...`: acted 0.1, used 0.3,
            dismissed 0.5, contradicted 0.9.
    """

    _pl_partition: ClassVar[str] = "default"
    _pl_confidence_error_threshold: ClassVar[float | None] = None
    _pl_confidence_low_signal: ClassVar[float | None] = None
    _pl_auto_resolve_errors: ClassVar[Mapping[str, float]] = {}

    @classmethod
    def _companions(cls, model_name: str) -> Sequence[Companion]:
        if not isinstance(cls._pl_partition, str) or not cls._pl_partition:
            raise ModelException(f"{cls.__name__}._pl_partition = {cls._pl_partition!r} must be a text")
        inherited: Sequence[Companion] = super()._companions(model_name)  # type: ignore[misc]
        stores = (Store("K", f"$PL:{model_name}:meta"), Store("Z", ledger.errors_key(model_name, cls._pl_partition)))
        return (*inherited, Companion(FRAGMENT, NAME, stores))

    @classmethod
    def _outcome_actions(cls, outcome: str) -> Sequence[Any]:
        inherited: Sequence[Any] = super()._outcome_actions(outcome)  # type: ignore[misc]
        error = cls._outcome_errors().get(outcome)
        return inherited if error is None else (*inherited, *ledger.resolving(cls, error, "observed"))

    @classmethod
    def _outcome_errors(cls) -> dict[str, float]:
        return {
            "acted": Defaults.PL_AUTO_RESOLVE_ACTED,
            "used": Defaults.PL_AUTO_RESOLVE_USED,
            "dismissed": Defaults.PL_AUTO_RESOLVE_DISMISSED,
            "contradicted": Defaults.PL_AUTO_RESOLVE_CONTRADICTED,
            **cls._pl_auto_resolve_errors,
        }

    @classmethod
    def _doubt(cls) -> tuple[float, float]:
        """The error above which confidence suffers, and the signal that it gets."""
        threshold, signal = cls._pl_confidence_error_threshold, cls._pl_confidence_low_signal
        return (
            Defaults.PL_CONFIDENCE_ERROR_THRESHOLD if threshold is None else threshold,
            Defaults.PL_CONFIDENCE_LOW_SIGNAL if signal is None else signal,
        )

    # -- predictions

    @staticmethod
    def record_prediction(instance: Any, predicted: dict[Any, Any], pipeline: Any = None) -> Any:
        """Keep a prediction of a row, in place of its former one.

        Args:
            instance: a saved instance.
            predicted: values by name.
            pipeline: a pipeline in which it waits.

        Returns:
            None, or the pipeline when one was given.

        Raises:
            TypeError: when the row is not stored.
            ValueError: when the prediction is None, or holds something that cannot be stored.
        """
        return instance._run(ledger.recorded(instance, ledger.checked(instance, predicted, "predicted")), pipeline)

    @staticmethod
    async def async_record_prediction(instance: Any, predicted: dict[Any, Any], pipeline: Any = None) -> Any:
        """`record_prediction` for asyncio."""
        plan = ledger.recorded(instance, ledger.checked(instance, predicted, "predicted"))
        return await instance._arun(plan, pipeline)

    @staticmethod
    def resolve_prediction(instance: Any, actual: dict[Any, Any], pipeline: Any = None) -> Any:
        """Compare a row's prediction with what happened: one read, then one atomic step that holds all effects.

        Args:
            instance: a saved instance.
            actual: values by name.
            pipeline: a pipeline in which the step waits; the read is done at once.

        Returns:
            The error, from 0 to 1; None when there is no prediction, or it is resolved; or the pipeline.

        Raises:
            TypeError: when the row is not stored.
            ValueError: when `actual` is None.
        """
        return instance._run(ledger.resolved(instance, ledger.checked(instance, actual, "actual")), pipeline)

    @staticmethod
    async def async_resolve_prediction(instance: Any, actual: dict[Any, Any], pipeline: Any = None) -> Any:
        """`resolve_prediction` for asyncio."""
        plan = ledger.resolved(instance, ledger.checked(instance, actual, "actual"))
        return await instance._arun(plan, pipeline)

    @staticmethod
    def auto_resolve(instance: Any, outcome: str, pipeline: Any = None) -> Any:
        """Resolve a row's prediction by an outcome, in one atomic step.

        Args:
            instance: an instance.
            outcome: acted, used, dismissed or contradicted.
            pipeline: a pipeline in which it waits.

        Returns:
            The error; None when there is no open prediction; or the pipeline.

        Raises:
            ValueError: when the outcome has no error.
        """
        return instance._run(ledger.observed(instance, ledger.outcome_error(instance, outcome)), pipeline)

    @staticmethod
    async def async_auto_resolve(instance: Any, outcome: str, pipeline: Any = None) -> Any:
        """`auto_resolve` for asyncio."""
        return await instance._arun(ledger.observed(instance, ledger.outcome_error(instance, outcome)), pipeline)

    @staticmethod
    def get_prediction_data(instance: Any) -> dict[str, Any] | None:
        """What is stored of a row's prediction.

        Returns:
            `predicted`, `resolved`, `resolution_mode` ("explicit", "observed" or None), `prediction_error`,
            `resolved_at` and `recorded_at` in Unix seconds; None when there is none.
        """
        return instance._run(ledger.data(instance))  # type: ignore[no-any-return]

    @staticmethod
    async def async_get_prediction_data(instance: Any) -> dict[str, Any] | None:
        """`get_prediction_data` for asyncio."""
        return await instance._arun(ledger.data(instance))  # type: ignore[no-any-return]

    @staticmethod
    def compute_prediction_error(predicted: dict[Any, Any], actual: dict[Any, Any]) -> float:
        """The mean error over the keys of both dictionaries; a class may define its own.

        Numbers p and a: min(|p - a| / max(|p|, |a|, 1), 1). Other values: 0 when equal, else 1. A key that one of them
        lacks: 1. NaN is wholly wrong. The formula is the reference's of popoto 1.x.
        """
        return errors.compared(predicted, actual)

    # -- errors of many rows

    @staticmethod
    def get_highest_errors(model_class: Any, partition: str = "default", limit: int = 10) -> list[tuple[str, float]]:
        """The rows with the greatest errors, by row key, greatest first, ties by key; none for a limit of 0."""
        return model_class._run(ledger.highest(model_class, partition, limit))  # type: ignore[no-any-return]

    @staticmethod
    async def async_get_highest_errors(
        model_class: Any, partition: str = "default", limit: int = 10
    ) -> list[tuple[str, float]]:
        """`get_highest_errors` for asyncio."""
        return await model_class._arun(ledger.highest(model_class, partition, limit))  # type: ignore[no-any-return]

    @staticmethod
    def error_summary(
        model_class: Any,
        partition: str = "default",
        group_by: str | Callable[[str, float], Any] | None = None,
        limit: int = 100,
        tz: tzinfo = UTC,
    ) -> dict[Any, dict[str, Any]]:
        """Figures of the errors of a fair sample: rows at even steps through the ranks, least and greatest included.

        Args:
            model_class: the model.
            partition: the set of errors.
            group_by: None for all together; "hour", "weekday" (0 is Monday) or "day" of the resolution; or a function
                of row key and error that gives a label; a row for which it raises is left out.
            limit: the size of the sample.
            tz: the zone of hours and days.

        Returns:
            By label ("__all__" for all): count, mean, stddev (of the population), p50, p90, p99 and max. A percentile
            is the value of rank round(p / 100 * (n - 1)). Of no errors, "__all__" with zeros.

        Raises:
            ValueError: for an unknown grouping.
            TypeError: when a label cannot be hashed.
        """
        errors.check_grouping(group_by)
        return model_class._run(ledger.summary(model_class, partition, group_by, limit, tz))  # type: ignore[no-any-return]

    @staticmethod
    async def async_error_summary(
        model_class: Any,
        partition: str = "default",
        group_by: str | Callable[[str, float], Any] | None = None,
        limit: int = 100,
        tz: tzinfo = UTC,
    ) -> dict[Any, dict[str, Any]]:
        """`error_summary` for asyncio."""
        errors.check_grouping(group_by)
        plan = ledger.summary(model_class, partition, group_by, limit, tz)
        return await model_class._arun(plan)  # type: ignore[no-any-return]
