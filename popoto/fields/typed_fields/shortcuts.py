"""Fields whose type is in their name."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any

from popoto.fields.field import Field


class IntField(Field[int]):
    """A `Field` that holds a whole number, of any size."""

    types = (int,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", int), null, **options)


class FloatField(Field[float]):
    """A `Field` that holds a double."""

    types = (float,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", float), null, **options)


class DecimalField(Field[Decimal]):
    """A `Field` that holds a decimal number, exactly."""

    types = (Decimal,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", Decimal), null, **options)


class StringField(Field[str]):
    """A `Field` that holds a text."""

    types = (str,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", str), null, **options)


class BooleanField(Field[bool]):
    """A `Field` that holds True or False."""

    types = (bool,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", bool), null, **options)


class BytesField(Field[bytes]):
    """A `Field` that holds bytes."""

    types = (bytes,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", bytes), null, **options)


class DictField(Field[dict[Any, Any]]):
    """A `Field` that holds a dictionary."""

    types = (dict,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", dict), null, **options)


class SetField(Field[set[Any]]):
    """A `Field` that holds a set."""

    types = (set,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", set), null, **options)


class TupleField(Field[tuple[Any, ...]]):
    """A `Field` that holds a tuple."""

    types = (tuple,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", tuple), null, **options)


class DateField(Field[date]):
    """A `Field` that holds a day."""

    types = (date,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", date), null, **options)


class TimeField(Field[time]):
    """A `Field` that holds a time of day, with its zone."""

    types = (time,)

    def __init__(self, *, null: bool = True, **options: Any) -> None:
        super().__init__(options.pop("type", time), null, **options)
