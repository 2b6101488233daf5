"""What a field class of one's own may define, beside values and lookups: 1.x's hooks."""

from __future__ import annotations

from typing import Any, ClassVar

from popoto.keys import DB_key, field_tag


class Hooks:
    """What `Field` inherits; a subclass defines those that it needs.

    A subclass may also define the class method `filter_query(model, field_name, **params)`, which gives the keys of the
    rows that the keywords of `get_filter_query_params` ask for: a set of bytes or texts, or None to leave it to the
    lookups. As a coroutine function it awaits steps as a plan does.
    """

    hooked: ClassVar[bool] = False
    """Whether the class has an `on_save` or `on_delete` of its own."""
    validates: ClassVar[bool] = False
    """Whether the class has an `is_valid` of its own."""
    searches: ClassVar[bool] = False
    """Whether the class has a `filter_query`."""
    renews: bool = False
    """Whether `format_value_pre_save` may change the value."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.hooked = _defined(cls, "on_save") or _defined(cls, "on_delete")
        cls.validates = _defined(cls, "is_valid")
        cls.searches = hasattr(cls, "filter_query")
        cls.renews = _defined(cls, "format_value_pre_save")

    @classmethod
    def is_valid(cls, field: Any, value: Any, null_check: bool = True, **kwargs: Any) -> bool:
        """Whether the field may hold a value; a save of one that it may not raises ModelException."""
        try:
            converted = None if value is None else field.convert(value)
        except ValueError:
            return False
        return field.complaint(converted, null_check=null_check) is None

    @classmethod
    def on_save(
        cls, model_instance: Any, field_name: str, field_value: Any, pipeline: Any = None, **kwargs: Any
    ) -> Any:
        """Called when a row is about to be saved, or indexed anew; queues commands that join the save.

        Args:
            model_instance: what is saved; `_saved_field_values` has what was loaded or saved last.
            field_name, field_value: the field, and the value that is saved.
            pipeline: takes commands as a client's pipeline does. They run in the very step that saves the row, before
                it is written; keys get the store's own prefix. What the hook returns is ignored.
        """
        return pipeline

    @classmethod
    def on_delete(
        cls, model_instance: Any, field_name: str, field_value: Any, pipeline: Any = None, **kwargs: Any
    ) -> Any:
        """Called when a row is about to be deleted or renamed, as `on_save`.

        Args:
            field_value: the value as it was loaded or saved last, else the present one; None when it is unreadable.
            saved_redis_key: among `kwargs`, the key that the row has had.
        """
        return pipeline

    @classmethod
    def get_special_use_field_db_key(cls, model: Any, *names: Any) -> DB_key:
        """A key of the field's own: the tag of its class, the model's name, and what else tells it apart."""
        return DB_key(field_tag(cls.__name__), model._meta.model_name, *names)

    def format_value_pre_save(self, value: Any, skip_auto_now: bool = False) -> Any:
        """The value as it is to be saved: the place where a field renews itself."""
        return value


def _defined(cls: type, name: str) -> bool:
    """Whether a class has a hook that is not the one here."""
    found, default = getattr(cls, name), getattr(Hooks, name)
    return getattr(found, "__func__", found) is not getattr(default, "__func__", default)
