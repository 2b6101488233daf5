"""A moment that can note when a row was created and saved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from popoto import clock
from popoto.exceptions import ModelException
from popoto.fields.field import Field


class DatetimeField(Field[datetime]):
    """A `Field` that holds a datetime, with its zone.

    Args:
        auto_now_add: set to the present at the first save, unless a value is given.
        auto_now: set to the present at every save that writes the field, unless `skip_auto_now` is given.

    The present is naive local time, as in 1.x.

    Raises:
        ModelException: for another type, an unknown option, or a flag that is no bool.
    """

    types = (datetime,)

    def __init__(self, auto_now_add: bool = False, auto_now: bool = False, **options: Any) -> None:
        for name, flag in (("auto_now_add", auto_now_add), ("auto_now", auto_now)):
            if not isinstance(flag, bool):
                raise ModelException(f"{self._title()}: {name}={flag!r} must be True or False")
        self.auto_now_add = auto_now_add
        self.auto_now = auto_now
        super().__init__(options.pop("type", datetime), **options)
        own = type(self).format_value_pre_save is not DatetimeField.format_value_pre_save
        self.renews = auto_now or auto_now_add or own

    def format_value_pre_save(self, value: Any, skip_auto_now: bool = False) -> Any:
        if (self.auto_now and not skip_auto_now) or (self.auto_now_add and value is None):
            return datetime.fromtimestamp(clock.now())
        return value
