"""The letters of stored keys: escaping, canonical spelling, and the key prefixes of 1.x."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final, Self

CLASS_SET: Final = "$Class"
COMPOSITE: Final = "$Index"
EXPIRY_LEDGER: Final = "$Exp"
EXPIRY_RECEIPTS: Final = "$Rcpt"
VALUES: Final = "$Vals"

SEPARATOR: Final = ":"
_COLON: Final = "{&#58;}"
_LITERAL_COLON: Final = "{/&#58;}"
_NONE: Final = "None"
_LITERAL_NONE: Final = "/None"
# Past this exponent a Decimal is spelled with E, so that Decimal('1E+999999') stays a short key.
_FIXED_EXPONENT: Final = 40

_MARKED: Final = str.maketrans({sign: f"/{sign}" for sign in "/'?*^[]-"})
_TOUCHED = re.compile(r"[/'?*^\[\]\-:{]")
_WRITTEN = re.compile(r"\{&#58;\}|/(.)", re.DOTALL)


def field_tag(class_name: str) -> str:
    """The key prefix of a field class: `$`, its name without the letters of "Field" at both ends, `F`."""
    return "$" + class_name.strip("Field") + "F"  # strips characters, not a suffix, as 1.x does


def escape(text: str) -> str:
    """The text as a key part: `:` and glob characters are marked, ordinary text is unchanged."""
    if _TOUCHED.search(text) is None:
        return text
    return text.translate(_MARKED).replace(_COLON, _LITERAL_COLON).replace(":", _COLON)


def unescape(part: str) -> str:
    """The text that `escape` was given; also reads what 1.x escaped."""
    return _WRITTEN.sub(_unmark, part)


def text(value: object) -> str:
    """The canonical text of a value: equal Decimals and both zeros of float have one text each."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Decimal):
        return _decimal_text(value)
    if isinstance(value, float) and value == 0:
        return "0.0"
    return str(value)


def part(value: object) -> str:
    """The escaped canonical text of a value; the text "None" differs from the value None."""
    if value is None:
        return _NONE
    if type(value) is str and value != _NONE and _TOUCHED.search(value) is None:
        return value
    spelled = text(value)
    return _LITERAL_NONE if spelled == _NONE else escape(spelled)


def legacy_part(value: object) -> str:
    """The part that 1.x wrote for a value."""
    spelled = str.__str__(value) if isinstance(value, str) else str(value)
    return spelled.translate(_MARKED).replace(":", _COLON)


def spellings(value: object) -> tuple[str, ...]:
    """Every part under which a value may be stored: the canonical one, then 1.x's where it differs."""
    if type(value) is str and value != _NONE and _TOUCHED.search(value) is None:
        return (value,)
    canonical, legacy = part(value), legacy_part(value)
    return (canonical,) if canonical == legacy else (canonical, legacy)


def is_respelled(value: object) -> bool:
    """Whether 1.x may have spelled a value in another way: quicker than to spell it twice."""
    if isinstance(value, str):
        return value == _NONE or _COLON in value
    return isinstance(value, Decimal | float)


def unpart(part: str) -> str | None:
    """The text of a part, or None for the part of None."""
    return None if part == _NONE else unescape(part)


class DB_key(list[object]):
    """A key as the list of its parts: the class name, then the values of the key fields."""

    def __init__(self, *parts: object) -> None:
        super().__init__(_flat(parts))

    @property
    def redis_key(self) -> str:
        """The key string."""
        return SEPARATOR.join(part(value) for value in self)

    def __str__(self) -> str:
        return self.redis_key

    @classmethod
    def from_redis_key(cls, redis_key: str | bytes) -> Self:
        """The parts of a key string as texts, None where a part is `None`."""
        spelled = redis_key.decode() if isinstance(redis_key, bytes) else redis_key
        return cls(*map(unpart, spelled.split(SEPARATOR)))

    @classmethod
    def clean(cls, text: str) -> str:
        """The text as a key part."""
        return escape(text)

    @classmethod
    def unclean(cls, part: str) -> str:
        """The text of a key part."""
        return unescape(part)


def _unmark(found: re.Match[str]) -> str:
    marked: str | None = found[1]
    return ":" if marked is None else marked


def _flat(parts: Iterable[object]) -> Iterator[object]:
    for value in parts:
        if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
            yield from _flat(value)
        else:
            yield value


def _decimal_text(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):  # infinities and NaNs
        return str(value)
    coefficient = "".join(map(str, digits)).lstrip("0")
    significant = coefficient.rstrip("0")
    if not significant:
        return "0"
    exponent += len(coefficient) - len(significant)
    return ("-" if sign else "") + _number_text(significant, exponent)


def _number_text(digits: str, exponent: int) -> str:
    if abs(exponent) > _FIXED_EXPONENT:
        return f"{digits}E{exponent}"
    if exponent >= 0:
        return digits + "0" * exponent
    padded = digits.rjust(1 - exponent, "0")
    return f"{padded[:exponent]}.{padded[exponent:]}"
