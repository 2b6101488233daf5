"""The declaration of a field: its type, its checks, its bytes, its indexes and lookups."""

from __future__ import annotations

import builtins
import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Self, overload

from popoto.encoding import decoder, encoder
from popoto.exceptions import ModelException
from popoto.fields.companions import Action, Companion
from popoto.fields.conversion import convert
from popoto.fields.expressions import Expression
from popoto.fields.field.hooks import Hooks
from popoto.fields.field.work import Work
from popoto.fields.lookups import PLAIN, Lookup, set_lookups
from popoto.fields.signals import Signal
from popoto.fields.sources import Index, Match
from popoto.fields.variables import T
from popoto.keys import field_tag

TYPES: Final = (int, float, Decimal, str, bool, bytes, list, dict, set, tuple, date, datetime, time)
_CODES: Final[dict[type, str]] = {
    int: "i",
    float: "f",
    Decimal: "D",
    str: "s",
    bool: "b",
    date: "d",
    datetime: "t",
    time: "T",
}


def value_code(declared: type) -> str:
    """The letter by which a script turns a stored value of this type into text; `x` where it cannot."""
    return _CODES.get(declared, "x")


def is_nan(value: Any) -> bool:
    """Whether a value is not a number; math.isnan refuses a signaling one."""
    return value.is_nan() if isinstance(value, Decimal) else isinstance(value, float) and math.isnan(value)


class Field(Hooks, Work, Generic[T]):
    """An attribute that is stored in the model's hash.

    Args:
        type: int, float, Decimal, str, bool, bytes, list, dict, set, tuple, date, datetime or time.
        null: whether None may be stored.
        default: the value of a new instance, or a callable that makes it; a mutable value is copied.
        max_length: the longest text, in characters.
        indexed: keep a set per value, so that filters need not load every row.
        unique: refuse a second row with the same value; implies an index.

    Raises:
        ModelException: for an unknown type or option.
    """

    types: ClassVar[tuple[Any, ...]] = TYPES
    """The types that this class of field takes."""
    name: str = ""
    key: bool = False
    """Whether the value is part of the row's key."""
    auto: bool = False
    """Whether a missing value is generated."""
    apart: bool = False
    """Whether the value is kept beside the row's hash, in a list `key::name` that is read with the row."""
    decays: bool = False
    """Whether the value is a moment since which a row has decayed, so that rankings and `touch()` take the field."""
    resonates: bool = False
    """Whether rows have cycles and pressure beside the value."""
    tied_from: float = math.inf
    """From which score on, by its size, values that differ may share one."""
    summed: bool = True
    """Whether a number may be added to the stored value; a field whose value is moved otherwise says no."""
    offers: str = ""
    """What the field offers to a memory, so that recipes find it: `words` and `meaning` rank by a question,
    `associations` lead on, `confidence` tells how sure one may be, `existence` what is not stored; "" for neither."""
    nothing: ClassVar[Any] = None
    """The value that None stands for."""

    def __init__(
        self,
        type: type[T] = str,  # type: ignore[assignment]
        null: bool = True,
        default: T | Callable[[], T] | None = None,
        max_length: int | None = 1024,
        *,
        indexed: bool = False,
        unique: bool = False,
        **options: Any,
    ) -> None:
        self._check_options(type, options)
        self.type: builtins.type[T] = type
        self.null = null
        self.default = default
        self.max_length = max_length
        self.unique = unique
        self.indexed = indexed or unique
        if max_length is not None and (
            isinstance(max_length, bool) or not isinstance(max_length, int) or max_length < 1
        ):
            raise ModelException(
                f"{self._title()}: max_length={max_length!r} is no length; give a positive int or None"
            )
        self.encode: Callable[[Any], bytes] = encoder(type)
        self.decode: Callable[[bytes], Any] = decoder(type)
        self.code = value_code(type)
        self.orderable = type not in (list, dict, set, tuple)
        # A value of just this type needs no conversion.
        self.settled_type: Any = type
        self.index: Index | None = None
        self.lookups: dict[str, Lookup] = dict(PLAIN)

    def _check_options(self, declared: Any, options: dict[str, Any]) -> None:
        for name in options:
            near = difflib.get_close_matches(name, ("type", "null", "default", "max_length", "indexed", "unique"), 1)
            raise ModelException(
                f"{self._title()} has no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        if declared not in self.types:
            names = ", ".join(one.__name__ for one in self.types)
            raise ModelException(f"{self._title()}: type={declared!r} cannot be stored; use one of {names}")

    def _title(self) -> str:
        return f"{self.__class__.__name__} {self.name}".rstrip()

    def __set_name__(self, owner: type, name: str) -> None:
        if self.name and self.name != name:
            raise ModelException(f"one Field object cannot be both {self.name!r} and {name!r}: declare two")
        self.name = name
        self.index = self.make_index()
        if self.unique and not self.auto and (self.index is None or self.index.kind != "U"):
            raise ModelException(
                f"{self._title()} cannot be unique: name it in Meta.indexes, or use a UniqueField beside it"
            )
        self.lookups = self.make_lookups()

    def __repr__(self) -> str:
        return f"<{self._title()}>"

    def check_model(self, meta: Any) -> None:
        """Look at the model's other fields once they are known; `meta` is its `_meta`.

        Raises:
            ModelException: when what the field was told of another is wrong.
        """

    # -- attribute access

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: Any) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> T: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
        def __set__(self, instance: Any, value: T | None) -> None: ...

    else:

        def __get__(self, instance, owner):
            """The field on the class; on an instance the value, decoded at the first access."""
            if instance is None:
                return self
            value = instance._stored_value(self)
            instance.__dict__[self.name] = value
            return value

    # -- conditions

    def __eq__(self, other: object) -> Any:
        return self is other if isinstance(other, Field) else Expression(**{self.name: other})

    __hash__ = object.__hash__

    def __gt__(self, other: T) -> Expression:
        return Expression(**{f"{self.name}__gt": other})

    def __ge__(self, other: T) -> Expression:
        return Expression(**{f"{self.name}__gte": other})

    def __lt__(self, other: T) -> Expression:
        return Expression(**{f"{self.name}__lt": other})

    def __le__(self, other: T) -> Expression:
        return Expression(**{f"{self.name}__lte": other})

    def __ne__(self, other: object) -> Any:
        return self is not other if isinstance(other, Field) else ~Expression(**{self.name: other})

    def between(self, low: T, high: T) -> Expression:
        """The condition that the value lies between two others, both included."""
        return Expression(**{f"{self.name}__between": (low, high)})

    # -- values

    def initial(self) -> Any:
        """The value of a new instance that was given none."""
        if callable(self.default):
            return self.default()
        if isinstance(self.default, list | dict | set | tuple):
            return deepcopy(self.default)
        return self.default

    def convert(self, value: Any) -> Any:
        """The value as the field's type.

        Raises:
            ValueError: when that would lose something.
        """
        return convert(value, self.type)

    def complaint(self, value: Any, *, null_check: bool = True) -> str | None:
        """What is wrong with a converted value, with its remedy; None when it may be stored."""
        if value is None:
            return (
                "is None, and the field is declared null=False: give it a value"
                if null_check and not self.null
                else None
            )
        if isinstance(value, str) and self.max_length is not None and len(value) > self.max_length:
            return (
                f"has {len(value)} characters, and the field takes {self.max_length}: "
                "shorten it, or declare a larger max_length"
            )
        if self.indexed and is_nan(value):
            return "is not a number, which equals nothing and cannot be indexed: give a number"
        return None

    def operand(self, value: Any) -> Any:
        """A value to compare with, as the field's type.

        Raises:
            ValueError: when it can never equal a value of the field.
        """
        return None if value is None else self.convert(value)

    def compared(self, instance: Any) -> Any:
        """The instance's value as lookups compare it."""
        return getattr(instance, self.name)

    def plain(self, instance: Any) -> Any:
        """The instance's value as dictionaries have it."""
        return self.compared(instance)

    def text_of(self, instance: Any) -> str:
        """The instance's value as text for those who index it; "" for None."""
        value = getattr(instance, self.name)
        return "" if value is None else str(value)

    # -- indexes

    def make_index(self) -> Index | None:
        """The field's index, once its name is known."""
        if not self.indexed:
            return None
        return Index("U" if self.unique else "S", self.index_tag(), self.name, self.code)

    def index_tag(self) -> str:
        """The key prefix of the field's index."""
        return field_tag("UniqueField" if self.unique else "IndexedField")

    def more_indexes(self) -> Sequence[Index]:
        """Further indexes that the field keeps for rankings; filters do not use them."""
        return ()

    def companions(self, model_name: str) -> Sequence[Companion]:
        """What the field keeps beside each row of the model."""
        return ()

    def signals(self, model_name: str) -> Mapping[str, Signal]:
        """The numbers that the field offers to rankings, by the name that a ranking gives them."""
        return {}

    def number_order(self, model_name: str) -> str | None:
        """The key of a sorted set whose scores are the field's numbers, one of each row; None without one."""
        return None

    def outcome_actions(self, outcome: str) -> Sequence[Action]:
        """What the field does to its companion when a row's outcome is reported, for `ObservationProtocol`.

        Each is `Action(companion, verb, words, when)`: the name of a companion that `companions` returns, a verb of its
        fragment, and the words that the verb is told. They are one step with those of all other fields and mixins of
        the row: first the actions of mixins, then those of fields in the order of their declaration, then, in the same
        order, those that have a condition. `when=contradiction_convinced()` of `popoto.fields.outcomes` holds when a
        confidence of the row is low after all signals: a field whose pressure a contradiction may discharge says
        `Action(self.name, "resolve", words, when=contradiction_convinced())` for the outcome `contradicted`.
        It is called at each use, so it may read `Defaults` and the clock.

        Args:
            outcome: one of `popoto.fields.outcomes.OUTCOMES`.
        """
        return ()

    def doubt_actions(self, signal: float) -> Sequence[Action]:
        """What the field does when a prediction about the row turned out badly wrong; `signal` is from 0 to 1."""
        return ()

    def acted(self, instance: Any, verb: str, reply: Any) -> None:
        """Take over what an action did: its fragment's raw reply, None where its condition did not hold."""

    def make_lookups(self) -> dict[str, Lookup]:
        """What filters may ask, by the name behind the double underscore; "" is equality."""
        return set_lookups(self.index) if self.index is not None else dict(PLAIN)

    def score(self, value: Any) -> float | str | None:
        """The value's place in a sorted set; None for a field that has none."""
        return None

    def related(self) -> Any:
        """The model that lookups can go through to; None for a field that refers to none."""
        return None

    def gathered(self, keywords: Mapping[str, Any]) -> tuple[set[str], Match] | None:
        """What several keywords of a filter ask of the field together: those used and the match; None for nothing."""
        return None

    def get_filter_query_params(self, field_name: str) -> set[str]:
        """The keywords that `filter()` takes for this field."""
        return {f"{field_name}__{name}" if name else field_name for name in self.lookups}
