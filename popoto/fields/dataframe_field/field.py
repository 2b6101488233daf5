"""A field that holds a data frame."""

from __future__ import annotations

from functools import partial
from typing import Any

from popoto.exceptions import ModelException
from popoto.fields.dataframe_field import frames
from popoto.fields.field import Field
from popoto.fields.lookups import PLAIN, Lookup
from popoto.fields.sources import Match


class DataFrameField(Field[Any]):
    """A `pandas.DataFrame`, stored whole.

    A new instance has an empty frame unless it is given one, each its own.

    Args:
        null: whether None may be stored.
        default: a frame, which each instance gets a copy of, or a callable that makes one.

    Raises:
        ModelException: when pandas is missing (`pip install 'popoto[dataframe]'`), or for another option.
    """

    types = (dict,)

    def __init__(self, null: bool = True, default: Any = None, **options: Any) -> None:
        try:
            import pandas  # noqa: PLC0415 - heavy, and an extra
        except ImportError as error:
            raise ModelException(f"{self._title()} needs pandas: pip install 'popoto[dataframe]'") from error
        for name in options:
            raise ModelException(f"{self._title()} has no option {name!r}; there are null and default")
        super().__init__(dict, null, None, None)
        self.default = default
        self.type = pandas.DataFrame
        self.encode = partial(frames.encoded, pandas)
        self.decode = partial(frames.decoded, pandas)
        self.settled_type = pandas.DataFrame

    def initial(self) -> Any:
        value = self.default() if callable(self.default) else self.default
        return self.type() if value is None else value.copy()

    def convert(self, value: Any) -> Any:
        if isinstance(value, self.type):
            return value
        raise ValueError("this is no pandas.DataFrame: give one")

    def make_lookups(self) -> dict[str, Lookup]:
        return {"": _exact, "isnull": PLAIN["isnull"]}


def _exact(field: Any, operand: Any) -> Match:
    # Frames have no one truth value to compare by.
    wanted = field.encode(field.operand(operand))
    return Match(lambda value: field.encode(value) == wanted)
