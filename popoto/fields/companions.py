"""Companions: state that a field or mixin keeps beside its rows, and that is written, moved and dropped with them.

A field says what it keeps as a `Companion`; its Lua fragment does what is its own. The scripts that save, rename,
delete and expire a row do the rest, in the very step that changes the row. Values only; nothing here performs I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from popoto.storage.steps import Arg

Said: TypeAlias = Callable[[Any, Any], Sequence[Arg] | None]
"""Called with an instance and its `Change`; the words for the fragment, None when the save does not concern it."""
Care: TypeAlias = Callable[[str, bool, Container[bytes]], Coroutine[Any, Any, int]]
"""Given the store's prefix, whether to remove, and the keys of expired rows, which are no strays: a plan that counts
the rows that are gone and for which something is kept."""
Renewal: TypeAlias = Callable[[str], Coroutine[Any, Any, None]]
"""Given the store's prefix: a plan that `rebuild_indexes` runs before or after it writes the rows anew."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A Lua file that adds one entry to `companion_kinds`; `companions.lua` says what the entry may have.

    Attributes:
        kind: the entry's name.
        package: the package that holds the file.
        file: its name.
    """

    kind: str
    package: str
    file: str = "companion.lua"


# A companion whose stores need nothing beyond being moved and dropped.
KEPT: Final = Fragment("kept", "popoto.fields", "kept.lua")


@dataclass(frozen=True, slots=True)
class Store:
    """One place where a companion keeps something for each row.

    Its key is `before`, the partition's escaped parts, each behind a colon, and `after`.
    No other key of the model, of the same type, may begin with `before` and a colon.

    Attributes:
        kind: `H` a field of a hash, `Z` a member of a sorted set, `S` of a set: all named by the row's key; `K` a key
            of its own for each row: `before`, a colon, and the row's key; `L` a list behind the row's own key: that key
            and `after`; `R` as `K`, but it remains when the row expires, as the fragment needs it to let the row go;
            `F` whatever the fragment itself keeps under keys that begin with `before`, moves and drops, and the
            companion's `care` looks after.
    """

    kind: Literal["H", "Z", "S", "K", "L", "R", "F"]
    before: str
    after: str = ""


@dataclass(frozen=True, slots=True)
class Companion:
    """What is kept beside each row of a model, by one field or mixin.

    Attributes:
        fragment: the Lua that knows it.
        name: tells it from the model's others: the field's name, or the mixin's.
        stores: where it keeps something, in the order in which the fragment counts them.
        partitions: the fields whose values choose among the stores.
        bare: whether partition parts are spelled without escapes but for colons, as 1.x spelled some.
        settled: words that are the same for every row.
        fields: other fields whose stored bytes the fragment wants to see.
        follows: the fields whose changes are said, so that only a loaded row can change them; None for any field.
        said: what a save has to tell; None when that is never anything.
        care: looks after stores of kind `F`; None for a companion without them.
        renewal: what else `rebuild_indexes` has to do before; None for nothing.
        renewed: what else it has to do when every row was written; None for nothing.
        reaped: how many expired rows one step of upkeep may take out: fewer where one has much to drop.
        refuses: called with the instance and the text of an error that `look` gave, whose first word is the fragment's
            kind in capitals; gives the exception to raise, None when the error is another companion's.
    """

    fragment: Fragment
    name: str
    stores: tuple[Store, ...] = ()
    partitions: tuple[str, ...] = ()
    bare: bool = False
    settled: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    follows: tuple[str, ...] | None = ()
    said: Said | None = field(default=None, compare=False)
    care: Care | None = field(default=None, compare=False)
    renewal: Renewal | None = field(default=None, compare=False)
    renewed: Renewal | None = field(default=None, compare=False)
    reaped: int = 500
    refuses: Callable[[Any, str], Exception | None] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """That an action before this one, in the same step, noted a number: above < number <= most.

    Attributes:
        noted: the number's name in the fragments' `event.noted`.
        above: what it must exceed; None for nothing.
        most: the most that it may be; None for anything.
    """

    noted: str
    above: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do to a row's companion, in one step with others: a verb of its fragment.

    Attributes:
        companion: the companion's name.
        verb: the entry of the fragment's `acts`.
        words: what the verb is told.
        when: what must hold for it to be done.
    """

    companion: str
    verb: str
    words: tuple[Arg, ...] = ()
    when: Condition | None = None
