"""A field that holds how sure one may be of a row, moved by evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from popoto.exceptions import ModelException, QueryException
from popoto.fields.companions import Action, Companion, Fragment, Store
from popoto.fields.confidence_field import keys, learning
from popoto.fields.constants import Defaults
from popoto.fields.field import Field
from popoto.fields.signals import Signal

FRAGMENT = Fragment("confidence", "popoto.fields.confidence_field")


class ConfidenceField(Field[float]):
    """A number between 0 and 1 that signals move, each a little less than the one before.

    With c the confidence, s the signal and n the number of signals so far,

        c' = clamp(c + (s - c) / sqrt(n + 1), 0, 1)

    so the first signal replaces the prior whole. The formula is the reference's of popoto 1.x.
    The value that a row is created with is its prior. Once a signal has come, what was learned stands: saves and a
    second `create()` leave it, and the attribute of a loaded row is the learned confidence.

    Args:
        initial_confidence: the prior of a row that is given none; `Defaults.INITIAL_CONFIDENCE` (0.5) unless set.
        partition_by: one field name or a tuple of them: each combination of their values has a hash of its own.

    Raises:
        ModelException: for a prior outside 0 to 1, or an unknown option.
    """

    types = (float,)
    offers = "confidence"
    summed = False

    def __init__(
        self,
        initial_confidence: float | None = None,
        partition_by: str | tuple[str, ...] = (),
        *,
        null: bool = False,
        **options: Any,
    ) -> None:
        if null is not False:
            raise ModelException(f"{self._title()} cannot be null: a row without evidence has its initial confidence")
        for name in ("default", "indexed", "unique"):
            if name in options:
                raise ModelException(
                    f"{self._title()} takes no {name}: its value moves with evidence; give initial_confidence"
                )
        options.pop("type", None)
        options.pop("max_length", None)
        self.partition_by = (partition_by,) if isinstance(partition_by, str) else partition_by
        if not isinstance(self.partition_by, tuple) or not all(isinstance(name, str) for name in self.partition_by):
            raise ModelException(
                f"{self._title()}: partition_by={partition_by!r} must be a field name or a tuple of them"
            )
        if initial_confidence is not None:
            number = isinstance(initial_confidence, int | float) and not isinstance(initial_confidence, bool)
            if not number or not 0 <= initial_confidence <= 1:
                raise ModelException(
                    f"{self._title()}: initial_confidence={initial_confidence!r} must be a number between 0 and 1"
                )
        self.initial_confidence = None if initial_confidence is None else float(initial_confidence)
        super().__init__(float, False, None, None, **options)

    # -- the declaration

    def prior(self) -> float:
        """The confidence of a row that was given none, now."""
        return float(Defaults.INITIAL_CONFIDENCE) if self.initial_confidence is None else self.initial_confidence

    def initial(self) -> float:
        return self.prior()

    def complaint(self, value: Any, *, null_check: bool = True) -> str | None:
        if value is not None and not 0 <= value <= 1:
            return "is no confidence: give a number between 0 and 1"
        return super().complaint(value, null_check=null_check)

    def base(self, model_name: str) -> str:
        """What the keys of the field's hashes begin with."""
        return keys.base(type(self).__name__, model_name, self.name)

    def companions(self, model_name: str) -> Sequence[Companion]:
        base = self.base(model_name)
        return [
            Companion(
                FRAGMENT,
                self.name,
                (Store("H", f"{base}:data"), Store("Z", f"{base}:rank")),
                self.partition_by,
                bare=True,
                fields=(self.name,),
                said=lambda instance, change: (self.prior(),),
            )
        ]

    def signals(self, model_name: str) -> Mapping[str, Signal]:
        return {self.name: Signal("score", f"{self.base(model_name)}:rank", "", self.partition_by, bare=True)}

    def outcome_actions(self, outcome: str) -> Sequence[Action]:
        if outcome == "acted":
            return [Action(self.name, "signal", (Defaults.ACTED_CONFIDENCE_SIGNAL, self.prior()))]
        if outcome == "contradicted":
            return [Action(self.name, "signal", (Defaults.CONTRADICTED_CONFIDENCE_SIGNAL, self.prior()))]
        return ()

    def doubt_actions(self, signal: float) -> Sequence[Action]:
        """A signal that is applied only where it lowers the confidence."""
        return [Action(self.name, "signal", (signal, self.prior(), 1))]

    def acted(self, instance: Any, verb: str, reply: Any) -> None:
        if verb == "signal" and reply is not None:
            confidence = float(reply)
            instance.__dict__[self.name] = confidence
            instance._raw[self.name] = self.encode(confidence)

    # -- evidence

    @classmethod
    def of(cls, model: Any, field_name: str) -> ConfidenceField:
        """The field of this name.

        Raises:
            TypeError: when the model has none, or it is no ConfidenceField.
        """
        field = model._meta.fields.get(field_name)
        if not isinstance(field, ConfidenceField):
            what = "no field" if field is None else f"a {type(field).__name__}"
            raise TypeError(f"{model._meta.model_name}.{field_name} is {what}, and a ConfidenceField is wanted")
        return field

    @classmethod
    def update_confidence(cls, instance: Any, field_name: str, signal: float, pipeline: Any = None) -> Any:
        """Move a row's confidence by one signal. One atomic step, one round trip; concurrent signals all count.

        Args:
            instance: a saved instance.
            field_name: its ConfidenceField.
            signal: 0 to 1; from 0.5 on it corroborates, below it contradicts.
            pipeline: a pipeline in which the signal waits.

        Returns:
            The new confidence, which the attribute has too; or the pipeline when one was given.

        Raises:
            TypeError: when the row is not stored, the field is no ConfidenceField, or the signal is None.
            ValueError: when the signal is no number between 0 and 1.
        """
        field = cls.of(instance, field_name)
        return instance._run(learning.signal(instance, field, learning.check(field, signal)), pipeline)

    @classmethod
    async def async_update_confidence(cls, instance: Any, field_name: str, signal: float, pipeline: Any = None) -> Any:
        """`update_confidence` for asyncio."""
        field = cls.of(instance, field_name)
        return await instance._arun(learning.signal(instance, field, learning.check(field, signal)), pipeline)

    @classmethod
    def get_confidence(cls, instance: Any, field_name: str) -> float:
        """The learned confidence of a row, read from the store; the prior where nothing is stored.

        Raises:
            TypeError: when the field is no ConfidenceField.
        """
        return float(cls.get_confidence_data(instance, field_name)["confidence"])

    @classmethod
    async def async_get_confidence(cls, instance: Any, field_name: str) -> float:
        """`get_confidence` for asyncio."""
        return float((await cls.async_get_confidence_data(instance, field_name))["confidence"])

    @classmethod
    def get_confidence_data(cls, instance: Any, field_name: str) -> dict[str, Any]:
        """What is stored of a row's confidence.

        Returns:
            `confidence` (float), `evidence_count`, `corroborations` and `contradictions` (int).

        Raises:
            TypeError: when the field is no ConfidenceField.
        """
        return instance._run(learning.data(instance, cls.of(instance, field_name)))  # type: ignore[no-any-return]

    @classmethod
    async def async_get_confidence_data(cls, instance: Any, field_name: str) -> dict[str, Any]:
        """`get_confidence_data` for asyncio."""
        found = await instance._arun(learning.data(instance, cls.of(instance, field_name)))
        return found  # type: ignore[no-any-return]

    @classmethod
    def get_confidence_filtered(cls, model_class: Any, field_name: str, pattern: str = "*") -> dict[str, Any]:
        """The confidences of all rows whose keys match, over all partitions, read in bounded steps.

        Args:
            model_class: the model.
            field_name: its ConfidenceField.
            pattern: a glob of the server's over row keys, escaped as they are.

        Returns:
            What `get_confidence_data` gives, by row key.

        Raises:
            TypeError: when the field is no ConfidenceField.
        """
        plan = learning.filtered(model_class, cls.of(model_class, field_name), pattern)
        return model_class._run(plan)  # type: ignore[no-any-return]

    @classmethod
    async def async_get_confidence_filtered(
        cls, model_class: Any, field_name: str, pattern: str = "*"
    ) -> dict[str, Any]:
        """`get_confidence_filtered` for asyncio."""
        plan = learning.filtered(model_class, cls.of(model_class, field_name), pattern)
        return await model_class._arun(plan)  # type: ignore[no-any-return]

    @classmethod
    def migrate_to_partitioned(cls, model_class: Any, field_name: str, dry_run: bool = False) -> dict[str, Any]:
        """Move what was learned before `partition_by` was declared into the partitions of the rows.

        Each row is moved in one step; of two entries the one with more evidence stays. What cannot be moved stays.

        Args:
            model_class: the model.
            field_name: its ConfidenceField.
            dry_run: report only.

        Returns:
            `total` and `migrated` counts, `errors` as a list of `member_key` and `error`, and `partitions`, counts by
            partition.

        Raises:
            ModelException: when the field has no `partition_by`.
            TypeError: when it is no ConfidenceField.
        """
        field = cls.of(model_class, field_name)
        learning.check_partitioned(model_class, field)
        return model_class._run(learning.migrate(model_class, field, dry_run))  # type: ignore[no-any-return]

    @classmethod
    async def async_migrate_to_partitioned(
        cls, model_class: Any, field_name: str, dry_run: bool = False
    ) -> dict[str, Any]:
        """`migrate_to_partitioned` for asyncio."""
        field = cls.of(model_class, field_name)
        learning.check_partitioned(model_class, field)
        return await model_class._arun(learning.migrate(model_class, field, dry_run))  # type: ignore[no-any-return]

    # -- keys

    @classmethod
    def get_data_hash_key(cls, instance: Any, field_name: str) -> str:
        """The key of the hash that holds the instance's confidence, by its present partition values."""
        field = cls.of(instance, field_name)
        values = [getattr(instance, name) for name in field.partition_by]
        return f"{field.base(instance._meta.model_name)}:data{keys.place(values)}"

    @classmethod
    def get_data_hash_key_from_values(cls, model_class: Any, field_name: str, **partition_values: Any) -> str:
        """The key of the hash of a partition.

        Raises:
            QueryException: when a partition's value is missing.
        """
        field = cls.of(model_class, field_name)
        missing = [name for name in field.partition_by if name not in partition_values]
        if missing:
            raise QueryException(
                f"{model_class._meta.model_name}.{field_name} is partitioned by {', '.join(field.partition_by)}: "
                f"give {', '.join(f'{name}=...' for name in missing)}"
            )
        values = [partition_values[name] for name in field.partition_by]
        return f"{field.base(model_class._meta.model_name)}:data{keys.place(values)}"

    @classmethod
    def get_old_data_hash_key(cls, instance: Any, field_name: str) -> str | None:
        """The key of the hash by the partition values that were last saved or loaded; None before the first save."""
        field = cls.of(instance, field_name)
        if instance._redis_key is None:
            return None
        fields, raw = instance._meta.fields, instance._raw
        values = [fields[name].decode(raw[name]) if name in raw else None for name in field.partition_by]
        return f"{field.base(instance._meta.model_name)}:data{keys.place(values)}"
