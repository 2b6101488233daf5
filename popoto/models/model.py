"""The base class of all models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

from popoto.exceptions import ModelException
from popoto.fields import Field
from popoto.fields.companions import Action, Companion
from popoto.fields.signals import Signal
from popoto.models import acting, change, hooks, incrementing, writing
from popoto.models.change import QUESTIONED, checked
from popoto.models.decaying import Decaying
from popoto.models.dictionaries import AsDictionary
from popoto.models.extras import Extra
from popoto.models.key import DB_key
from popoto.models.many import Many
from popoto.models.metaclass import ModelBase
from popoto.models.options import Options
from popoto.models.query import Query, QueryAccess
from popoto.models.raw_values import RawValues, named
from popoto.models.reading import loading
from popoto.models.upkeep import Upkeep
from popoto.storage import Connection, Op, async_enlist, connection, enlist


class Model(Many, Upkeep, Decaying, AsDictionary, metaclass=ModelBase):
    """A class whose instances are rows of a Redis or Valkey store.

    Public attributes are fields. Each instance is a hash at `ClassName:key1:key2...`, the values of the key fields in
    the order of their names; a model without key fields gets a generated `_auto_key`.

    Attributes:
        _ttl: seconds after which the row expires, or None; `Meta.ttl` unless set.
        _expire_at: the moment when the row expires, or None.

    Raises:
        ModelException: when a name is no field, or a value is not of its field's type.
    """

    _meta: ClassVar[Options]
    _ttl: float | None = None
    _expire_at: datetime | None = None
    _redis_key: str | None
    _raw: dict[str, bytes] = RawValues()  # type: ignore[assignment]
    # What queries note on the rows that they find; a row that was not found so lacks it.
    _geo_distance: Any
    _geo_distance_unit: str
    _bm25_score: float
    _fused_score: float
    _rrf_score: float
    query: ClassVar[QueryAccess] = QueryAccess()
    objects: ClassVar[QueryAccess] = QueryAccess()

    def __init__(self, **kwargs: Any) -> None:
        model = type(self)
        meta, state = model._meta, self.__dict__
        if meta.abstract:
            raise ModelException(f"{meta.model_name} is abstract: create instances of its subclasses")
        state["_redis_key"], state["_raw"] = None, {}
        left = len(kwargs)
        for field in meta.field_list:
            name = field.name
            if name in kwargs:
                left -= 1
                value = kwargs[name]
                if value is None and field.auto:
                    value = field.initial()
            else:
                value = field.initial()
            kind, most = meta.unquestioned.get(name, QUESTIONED)
            if type(value) is not kind or (most is not None and len(value) > most):
                value = field.nothing if value is None else checked(model, field, value, null_check=False)
            state[name] = value
        if left:
            self._take_expiry(kwargs)

    def _take_expiry(self, kwargs: dict[str, Any]) -> None:
        meta = self._meta
        for name, value in kwargs.items():
            if name in ("_ttl", "_expire_at"):
                self.__dict__[name] = value
            elif name not in meta.fields:
                raise ModelException(f"{meta.model_name} has no field {name!r}{meta.near(name)}")
        change.expiry(self, new=True)

    def _extra_commands(self, key: str, prefix: str, names: Sequence[str]) -> Sequence[Extra]:
        """Commands that a mixin adds to the atomic step that saves or deletes the row.

        Args:
            key: the row's key after the step, without the store's prefix.
            prefix: what stands before every key of the model.
            names: the `update_fields` of a save, empty for all.
        """
        return ()

    def _increment_commands(self, key: str, prefix: str, name: str, total: Any) -> Sequence[Extra]:
        """As `_extra_commands`, for the step that adds to a field; the sum is None where only the server will know."""
        return ()

    @classmethod
    def _companions(cls, model_name: str) -> Sequence[Companion]:
        """What the model's mixins keep beside each row; a mixin adds to what it inherits."""
        return ()

    @classmethod
    def _signals(cls, model_name: str) -> Mapping[str, Signal]:
        """The numbers that the model's mixins offer to rankings."""
        return {}

    @classmethod
    def _outcome_actions(cls, outcome: str) -> Sequence[Action]:
        """What the model's mixins do when a row's outcome is reported, as `Field.outcome_actions`."""
        return ()

    @classmethod
    def _read(cls, rows: Sequence[Self]) -> Op[None] | None:
        """The plan that notes that rows were loaded for a user; None where nothing is noted."""
        return None

    def _admitted(self) -> bool:
        """Whether a save may go on; a mixin that filters writes says no, and `save()` returns False."""
        return True

    def _acting(
        self, actions: Sequence[Action], *, reading: bool = False, changed: Sequence[str] = ()
    ) -> Op[list[Any]]:
        """The plan that does things to what the row's companions keep, in one step."""
        return acting.act(self, actions, reading=reading, changed=changed)

    @classmethod
    def _adds_commands(cls) -> bool:
        return cls._extra_commands is not Model._extra_commands or bool(cls._meta.hooked)

    @property
    def _saved_field_values(self) -> dict[str, Any]:
        return hooks.saved_values(self)

    @classmethod
    def _from_row(cls, key: str, names: Sequence[str], values: Sequence[bytes | None]) -> Self:
        """An instance over a row's bytes, each decoded when it is first looked at."""
        instance = cls.__new__(cls)
        state = instance.__dict__
        state["_redis_key"] = key
        whole = names is cls._meta.field_names
        state["_raw_values" if whole else "_raw"] = values if whole else named(names, values)
        return instance

    def _stored_value(self, field: Field[Any]) -> Any:
        values = None if "_raw" in self.__dict__ else self.__dict__.get("_raw_values")
        raw = self._raw.get(field.name) if values is None else values[self._meta.places[field.name]]
        if type(raw) is not bytes:
            return field.initial()
        try:
            return field.decode(raw)
        except ValueError as error:
            raise ModelException(
                f"{type(self).__name__} {self._redis_key!r}: the stored value of {field.name!r} cannot be read "
                f"({error}); assign a new value and save it, or delete the row"
            ) from error

    if not TYPE_CHECKING:  # so that checkers know which fields there are

        def __setattr__(self, name, value):
            if name[0] != "_" and name not in self._meta.fields and not hasattr(type(self), name):
                raise AttributeError(f"{self._meta.model_name} has no field {name!r}{self._meta.near(name)}")
            object.__setattr__(self, name, value)

    # -- identity

    @property
    def db_key(self) -> DB_key:
        """The key that the instance's key values make: the class name, then the values by field name."""
        return DB_key(self._meta.model_name, *(getattr(self, name) for name in self._meta.key_order))

    @property
    def pk(self) -> str:
        """The key under which the instance is stored, or will be."""
        return self._redis_key or self.db_key.redis_key

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or self.pk == other.pk

    def __hash__(self) -> int:
        return hash((type(self), self.pk))

    def __str__(self) -> str:
        return self.pk

    def __repr__(self) -> str:
        parts = []
        for name in self._meta.explicit_fields:
            try:
                text = repr(self._meta.fields[name].compared(self))
            except ModelException:
                text = "<unreadable>"
            parts.append(f"{name}={text if len(text) <= 60 else text[:57] + '...'}")
        return f"{type(self).__name__}({', '.join(parts)})"

    # -- running

    @classmethod
    def _connection(cls, plan: Op[Any]) -> Connection:
        try:
            return connection(cls._meta.connection)
        except BaseException:
            plan.close()
            raise

    @classmethod
    def _run(cls, plan: Op[Any], pipeline: Any = None) -> Any:
        here = cls._connection(plan)
        return here.run(plan) if pipeline is None else enlist(plan, pipeline, here)

    @classmethod
    async def _arun(cls, plan: Op[Any], pipeline: Any = None) -> Any:
        here = cls._connection(plan)
        return await here.arun(plan) if pipeline is None else await async_enlist(plan, pipeline, here)

    # -- writing

    @overload
    @classmethod
    def create(cls, pipeline: None = None, **kwargs: Any) -> Self: ...
    @overload
    @classmethod
    def create(cls, pipeline: Any, **kwargs: Any) -> Any: ...
    @classmethod
    def create(cls, pipeline: Any = None, **kwargs: Any) -> Any:
        """Make an instance and save it; a row that has its key already is replaced whole, indexes included.

        Args:
            pipeline: a pipeline of popoto's, redis-py's or valkey-py's, in which the save waits.

        Returns:
            The instance, or the pipeline when one was given.

        Raises:
            ModelException: when a value may not be stored, or a unique one is taken. Nothing was written.
        """
        instance = cls(**kwargs)
        waiting = cls._run(writing.save(instance, is_fresh=cls.__init__ is Model.__init__), pipeline)
        return instance if pipeline is None else waiting

    @overload
    @classmethod
    async def async_create(cls, pipeline: None = None, **kwargs: Any) -> Self: ...
    @overload
    @classmethod
    async def async_create(cls, pipeline: Any, **kwargs: Any) -> Any: ...
    @classmethod
    async def async_create(cls, pipeline: Any = None, **kwargs: Any) -> Any:
        """`create` for asyncio."""
        instance = cls(**kwargs)
        waiting = await cls._arun(writing.save(instance, is_fresh=cls.__init__ is Model.__init__), pipeline)
        return instance if pipeline is None else waiting

    def save(
        self,
        pipeline: Any = None,
        ignore_errors: bool = False,
        skip_auto_now: bool = False,
        update_fields: Iterable[str] | None = None,
        migrate_key: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Save the instance: a new one whole, a loaded one the fields that have changed. One atomic round trip.

        Args:
            pipeline: a pipeline in which the save waits.
            ignore_errors: log what is wrong with a value and return False instead of raising.
            skip_auto_now: leave `auto_now` fields as they are.
            update_fields: save only these; an empty list does nothing.
            migrate_key: allow changed key values: the row is renamed.
            **kwargs: what the `on_save` hooks of the model's own field classes are told beside.

        Returns:
            How many hash fields are new, 0 for a plain update; or the pipeline when one was given.

        Raises:
            ModelException: when a value may not be stored, a unique one is taken, or the new key is.
            KeyMutationError: when a key value has changed without `migrate_key`.
            StaleObjectError: when the row is no longer stored.
            TypeError: when there are further arguments and no such hook.
        """
        return self._run(self._saving(ignore_errors, skip_auto_now, update_fields, migrate_key, kwargs), pipeline)

    async def async_save(
        self,
        pipeline: Any = None,
        ignore_errors: bool = False,
        skip_auto_now: bool = False,
        update_fields: Iterable[str] | None = None,
        migrate_key: bool = False,
        **kwargs: Any,
    ) -> Any:
        """`save` for asyncio."""
        plan = self._saving(ignore_errors, skip_auto_now, update_fields, migrate_key, kwargs)
        return await self._arun(plan, pipeline)

    def _saving(
        self,
        ignore_errors: bool,
        skip_auto_now: bool,
        update_fields: Iterable[str] | None,
        migrate_key: bool,
        told: dict[str, Any],
    ) -> Op[int | bool]:
        hooks.check_told(self, "save", told)
        return writing.save(
            self,
            ignore_errors=ignore_errors,
            skip_auto_now=skip_auto_now,
            update_fields=update_fields,
            migrate_key=migrate_key,
            told_hooks=told,
        )

    def delete(self, pipeline: Any = None, **kwargs: Any) -> Any:
        """Delete the row and every index entry that its stored values have. One atomic round trip.

        Args:
            pipeline: a pipeline in which the deletion waits.
            **kwargs: what the `on_delete` hooks of the model's own field classes are told beside.

        Returns:
            Whether it was stored; or the pipeline when one was given.
        """
        hooks.check_told(self, "delete", kwargs)
        return self._run(writing.delete(self, kwargs), pipeline)

    async def async_delete(self, pipeline: Any = None, **kwargs: Any) -> Any:
        """`delete` for asyncio."""
        hooks.check_told(self, "delete", kwargs)
        return await self._arun(writing.delete(self, kwargs), pipeline)

    def atomic_increment(self, field_name: str, delta: Any, pipeline: Any = None) -> Any:
        """Add to a stored number, exactly, together with its indexes; concurrent additions lose nothing.

        Args:
            field_name: an int, float or Decimal field that is not part of the key.
            delta: what to add; negative to subtract.
            pipeline: a pipeline in which the addition waits.

        Returns:
            The sum, which the instance has too; or the pipeline when one was given.

        Raises:
            AttributeError: when there is no such field.
            TypeError: when the instance is not stored, `delta` is None, or the field holds no number.
            StaleObjectError: when the row is no longer stored.
        """
        incrementing.check(self, field_name, delta)
        return self._run(incrementing.increment(self, field_name, delta), pipeline)

    async def async_atomic_increment(self, field_name: str, delta: Any, pipeline: Any = None) -> Any:
        """`atomic_increment` for asyncio."""
        incrementing.check(self, field_name, delta)
        return await self._arun(incrementing.increment(self, field_name, delta), pipeline)

    def is_valid(self, null_check: bool = True) -> bool:
        """Whether every value may be stored; values are converted to their fields' types, a refusal is logged.

        Raises:
            ModelException: when both `_ttl` and `_expire_at` are set.
        """
        change.expiry(self, new=True)
        return writing.is_valid(self, null_check)

    # -- reading

    @classmethod
    def load(cls, db_key: str | DB_key | None = None, **kwargs: Any) -> Self | None:
        """The stored instance with this key, or with these key values; None when there is none.

        A key value that is not given is its field's default.

        Raises:
            QueryException: when a key value is missing and has no default, or a name is no field.
        """
        return Query[Self](cls).get(db_key=db_key, **loading(cls, db_key, kwargs))

    @classmethod
    async def async_load(cls, db_key: str | DB_key | None = None, **kwargs: Any) -> Self | None:
        """`load` for asyncio."""
        return await Query[Self](cls).async_get(db_key=db_key, **loading(cls, db_key, kwargs))

    @classmethod
    def get_info(cls) -> dict[str, Any]:
        """The model's name, its field names, and the keywords that `filter()` takes."""
        params = cls._meta.filter_query_params_by_field
        return {
            "name": cls.__name__,
            "fields": list(cls._meta.field_names),
            "query_filters": [param for name in cls._meta.field_names for param in sorted(params[name])],
        }
