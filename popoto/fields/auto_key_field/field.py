"""A key field that makes its own value."""

from __future__ import annotations

from typing import Any

from popoto.exceptions import ModelException
from popoto.fields.auto_key_field.generators import GENERATORS
from popoto.fields.lookups import PLAIN, TEXT, Lookup, choices, in_texts
from popoto.fields.sources import Index, Keyed, Match
from popoto.fields.unique_key_field import UniqueKeyField
from popoto.keys import field_tag, spellings


class UnknownStrategy(ModelException, ValueError):
    """A strategy that no generator has: an error of the model, and the ValueError that 1.x raised."""


class AutoKeyField(UniqueKeyField[str]):
    """A key that is generated. A model without key fields gets one as `_auto_key`.

    Args:
        auto_uuid_length: how many hex digits a random UUID is cut to, 8 to 32; for `uuid4` alone.
        strategy: `uuid4`, 32 random hex digits; `uuid7`, 32 hex digits that begin with the time; `ulid`, 26 characters,
            or `ksuid`, 27 characters, which do so too.

    Raises:
        ModelException: for `unique=False`, `null=True`, another type, a length out of range or beside another strategy.
        ValueError: for an unknown strategy; it is a ModelException too.
    """

    types = (str,)
    auto = True

    def __init__(self, auto_uuid_length: int = 32, strategy: str = "uuid4", **options: Any) -> None:
        if (
            isinstance(auto_uuid_length, bool)
            or not isinstance(auto_uuid_length, int)
            or not 8 <= auto_uuid_length <= 32
        ):
            raise ModelException(f"{self._title()}: auto_uuid_length={auto_uuid_length!r} must be an int from 8 to 32")
        if not isinstance(strategy, str) or strategy not in GENERATORS:
            raise UnknownStrategy(f"{self._title()}: strategy={strategy!r} is none of {', '.join(GENERATORS)}")
        if strategy != "uuid4" and auto_uuid_length != 32:
            raise ModelException(
                f"{self._title()}: auto_uuid_length={auto_uuid_length} cuts random digits, and strategy={strategy!r} "
                "begins with the time: leave it out"
            )
        self.strategy = strategy
        self.auto_uuid_length = auto_uuid_length
        self._generate, whole = GENERATORS[strategy]
        self.length = min(whole, auto_uuid_length)
        super().__init__(options.pop("type", str), **options)

    def initial(self) -> str:
        return self._generate()[: self.length]

    def complaint(self, value: Any, *, null_check: bool = True) -> str | None:
        if isinstance(value, str) and len(value) != self.length:
            return f"has {len(value)} characters, and a generated key has {self.length}: leave it out"
        return super().complaint(value, null_check=null_check)

    def make_index(self) -> Index | None:
        # The key alone tells the row: 1.x wrote no index either.
        return None

    def make_lookups(self) -> dict[str, Lookup]:
        # The server looks at the keys; there are no sets.
        unkept = Index("S", field_tag(type(self).__name__), self.name, self.code)
        texts = {name: in_texts(name, unkept) for name in TEXT}
        return {**PLAIN, **texts, "": _keyed(PLAIN[""]), "in": _keyed(PLAIN["in"])}


def _keyed(lookup: Lookup) -> Lookup:
    """The lookup, its candidates named by their keys."""

    def keyed(field: Any, operand: Any) -> Match:
        match = lookup(field, operand)
        values = match.equals if match.equals else choices(field, operand)
        parts = tuple(dict.fromkeys(part for value in values for part in spellings(value)))
        return Match(match.test, Keyed(parts), exact=True, equals=match.equals)

    return keyed
