"""A reference to a row of another model, or of the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, overload

from popoto.exceptions import ModelException
from popoto.fields.field import Field
from popoto.fields.lookups import Lookup, isnull
from popoto.fields.sources import Index, InSets, Match
from popoto.keys import field_tag
from popoto.storage.drivers.aio import in_event_loop


class Relationship(Field[Any]):
    """A reference to another row, stored as its key.

    A value is an instance of the related model, its key as a text, or None. Reading the attribute loads the related
    row at the first access; inside a running event loop that raises, and `await obj.async_fetch("name")` loads it.

    Args:
        model: the related model class, or "self".
        null: whether None may be stored.
        many: reserved.

    Raises:
        ModelException: when no model is given, or for an unknown option.
    """

    types = (str,)

    def __init__(self, model: Any = None, null: bool = True, many: bool = False, **options: Any) -> None:
        if model is None or not (model == "self" or hasattr(model, "_meta")):
            raise ModelException(
                f"{self._title()}: model={model!r} is no model class: write Relationship(model=Customer)"
            )
        self.model = model
        self.many = many
        options.pop("type", None)
        super().__init__(str, null, options.pop("default", None), None, **options)
        self.settled_type = None
        written = self.encode
        self.encode = lambda value: written(self.key_text(value))
        self.code = "r"

    def __set_name__(self, owner: type, name: str) -> None:
        if self.model == "self":
            self.model = owner
        super().__set_name__(owner, name)

    # -- attribute access

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: Any) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> Any: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...

    else:

        def __get__(self, instance, owner):
            """The related instance, loaded at the first access."""
            if instance is None:
                return self
            value = self.stored(instance)
            if not isinstance(value, str):
                return value
            if in_event_loop():
                raise ModelException(
                    f"{owner.__name__}.{self.name} is not loaded, and loading it here would block the event loop: "
                    f"write await obj.async_fetch({self.name!r}), or query with .prefetch({self.name!r})"
                )
            return self.loaded(instance, value, self.model.query.get(redis_key=value))

        def __set__(self, instance, value):
            instance.__dict__[self.name] = value

    def stored(self, instance: Any) -> Any:
        """The value as it is known without asking the store: an instance, a key, or None."""
        if self.name in instance.__dict__:
            return instance.__dict__[self.name]
        return instance._stored_value(self)

    def loaded(self, instance: Any, key: str, related: Any) -> Any:
        """Note the related instance.

        Raises:
            ModelException: when the reference dangles; it stays as it is.
        """
        if related is None:
            raise ModelException(
                f"{type(instance).__name__} {instance.pk!r}: {self.name} refers to {key!r}, which is not stored: "
                f"assign another, or read the key with {type(instance).__name__}.{self.name}.key_of(obj)"
            )
        instance.__dict__[self.name] = related
        return related

    def key_of(self, instance: Any) -> str | None:
        """The related row's key, without loading it."""
        return self.key_text(self.stored(instance))

    def key_text(self, value: Any) -> str | None:
        """The key of a value."""
        return value if value is None or isinstance(value, str) else str(value.pk)

    # -- values

    def convert(self, value: Any) -> Any:
        if isinstance(value, str):
            if not value.startswith(f"{self.model._meta.model_name}:"):
                raise ValueError(f"this is no key of {self.model.__name__}: give an instance, or a key as its pk")
            return value
        if isinstance(value, self.model) and value._meta.model_name == self.model._meta.model_name:
            return value
        raise ValueError(f"this is no {self.model.__name__}: give an instance of it, its key, or None")

    def operand(self, value: Any) -> Any:
        return None if value is None else self.key_text(self.convert(value))

    def compared(self, instance: Any) -> Any:
        return self.key_of(instance)

    def related(self) -> Any:
        return self.model

    # -- the index

    def make_index(self) -> Index | None:
        return Index("S", field_tag(type(self).__name__), self.name, "r")

    def make_lookups(self) -> dict[str, Lookup]:
        return {"": _exact, "in": _in, "isnull": _isnull}


def _found(field: Any, keys: list[str | None], match: Match) -> Match:
    parts = tuple(dict.fromkeys("None" if key is None else key for key in keys))
    return Match(match.test, InSets(field.index, parts), exact=True, equals=match.equals)


def _exact(field: Any, operand: Any) -> Match:
    key = field.operand(operand)
    return _found(field, [key], Match(lambda value: bool(value == key), equals=(key,)))


def _in(field: Any, operand: Any) -> Match:
    if isinstance(operand, str | bytes) or not hasattr(operand, "__iter__"):
        raise ValueError(f"wants a list, tuple or set of instances or keys, not {operand!r}")
    keys = [field.operand(one) for one in operand]
    return _found(field, keys, Match(lambda value: value in keys))


def _isnull(field: Any, operand: Any) -> Match:
    match = isnull(field, operand)
    return _found(field, [None], match) if operand else match
