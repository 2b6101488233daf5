"""The lookups that many fields share: what the value must be, and which index may know."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from popoto.fields.sources import TEXT_CODES, InSets, InTexts, Match
from popoto.keys import spellings, text

if TYPE_CHECKING:
    from popoto.fields.field import Field
    from popoto.fields.sources import Index

Lookup: TypeAlias = Callable[["Field[Any]", Any], Match]
"""Called with the field and the operand; raises ValueError with a sentence when the operand makes no sense."""


def same(wanted: Any, value: Any) -> bool:
    """Equal, and of one kind: None is only None."""
    return bool(value == wanted) and (value is None) == (wanted is None)


def exact(field: Field[Any], operand: Any) -> Match:
    """`field=value`."""
    value = field.operand(operand)
    return Match(partial(same, value), equals=(value,))


def in_(field: Field[Any], operand: Any) -> Match:
    """`field__in=[...]`."""
    wanted = choices(field, operand)
    return Match(lambda value: any(same(one, value) for one in wanted))


def choices(field: Field[Any], operand: Any) -> list[Any]:
    """The values of an `__in` operand.

    Raises:
        ValueError: when it is no collection; a text is one value, not its characters.
    """
    if isinstance(operand, str | bytes) or not isinstance(operand, Iterable):
        raise ValueError(f"wants a list, tuple or set of values, not {operand!r}")
    return [field.operand(one) for one in operand]


def isnull(field: Field[Any], operand: Any) -> Match:
    """`field__isnull=True` or `False`."""
    if not isinstance(operand, bool):
        raise ValueError(f"wants True or False, not {operand!r}")
    return Match((lambda value: value is None) if operand else (lambda value: value is not None))


def contains(field: Field[Any], operand: Any) -> Match:
    """`field__contains="text"`, literal; of a value that is no text, the text that a key has of it."""
    wanted = _text(operand)
    return Match(lambda value: value is not None and wanted in text(value))


def startswith(field: Field[Any], operand: Any) -> Match:
    """`field__startswith="text"`, literal."""
    wanted = _text(operand)
    return Match(lambda value: value is not None and text(value).startswith(wanted))


def endswith(field: Field[Any], operand: Any) -> Match:
    """`field__endswith="text"`, literal."""
    wanted = _text(operand)
    return Match(lambda value: value is not None and text(value).endswith(wanted))


def _text(operand: Any) -> str:
    if not isinstance(operand, str):
        raise ValueError(f"wants a text, not {operand!r}")
    return operand


PLAIN: dict[str, Lookup] = {"": exact, "in": in_, "isnull": isnull}
"""The lookups of a field without an index: rows are compared after they were loaded."""

TEXT: dict[str, Lookup] = {"contains": contains, "startswith": startswith, "endswith": endswith}


def in_sets(lookup: Lookup, index: Index) -> Lookup:
    """The lookup, its candidates taken from a set per value."""

    def indexed(field: Field[Any], operand: Any) -> Match:
        match = lookup(field, operand)
        if lookup is isnull:
            values = [None] if operand else None
        elif lookup is in_:
            values = choices(field, operand)
        else:
            values = [match.equals[0]]
        if values is None:
            return match
        parts = tuple(dict.fromkeys(part for value in values for part in spellings(value)))
        return Match(match.test, InSets(index, parts), exact=not any(map(_ambiguous, values)), equals=match.equals)

    return indexed


def in_texts(name: str, index: Index) -> Lookup:
    """A lookup of texts, its candidates taken from the list of distinct values."""

    def listed(field: Field[Any], operand: Any) -> Match:
        match = TEXT[name](field, operand)
        try:
            operand.encode()
        except UnicodeEncodeError:
            # Half a surrogate pair is in no stored text.
            return match
        return Match(match.test, InTexts(index, name, str.__str__(operand)), exact=True)

    return listed


def _ambiguous(value: Any) -> bool:
    """Whether 1.x's spelling of the value is ours of another, as of the text "None" and of None."""
    return len(spellings(value)) > 1 and not isinstance(value, float | Decimal)


def set_lookups(index: Index) -> dict[str, Lookup]:
    """What a set per value serves."""
    texts = {name: in_texts(name, index) for name in TEXT} if index.code in TEXT_CODES else TEXT
    return {name: in_sets(lookup, index) for name, lookup in PLAIN.items()} | texts
