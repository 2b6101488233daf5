"""The scripts that change rows, each made of just what its model needs: what a script defines costs at every call."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

from popoto.fields.companions import Fragment
from popoto.storage import Script
from popoto.storage.scripts import Pieces

R = TypeVar("R")
_PACKAGE = "popoto.models"
_PLAIN = frozenset(string.ascii_letters + string.digits + "_$: ")
# Fields that a row has beside its own: the texts of values that bytes do not tell, and its own time to live.
RECEIPT, EXPIRY_MARK = b"$idx", b"$ttl"


def sums(raw: Any) -> list[Any]:
    """The bytes of each sum; none where the script added nothing and counts new fields."""
    return raw if isinstance(raw, list) else []


ADD: Final = Script("popoto.add", _PACKAGE, "add.lua", shape=sums, writes=True, rows=128)
"""Adds to a number on which nothing else of its row depends."""


@dataclass(frozen=True, slots=True)
class RowScripts:
    """One model's scripts.

    Attributes:
        save: counts the new hash fields.
        increment: the same, able to add, and asked for sums.
        delete: whether the row was there.
        reap: how many expired rows it looked at.
        check, clean: members of an index that no row has.
        act, look: the replies of actions on companions; `look` only reads.
    """

    save: Script[int]
    increment: Script[list[Any]]
    delete: Script[int]
    reap: Script[int]
    check: Script[list[Any]]
    clean: Script[list[Any]]
    act: Script[list[Any]]
    look: Script[list[Any]]


@cache
def _made(fragments: tuple[Fragment, ...], composites: bool, lists: bool, schema: str) -> RowScripts:
    suffix = "".join(f"+{one.kind}" for one in fragments) + "+composites" * composites + "+lists" * lists
    kept = [("popoto.fields", "companions.lua"), *((one.package, one.file) for one in fragments)]
    pieces: dict[str, Sequence[tuple[str, str] | str]] = {
        "schema": [schema],
        "fragments": kept[1:],
        "companions": kept if fragments else [("popoto.fields", "no_companions.lua")],
        "lists": [("popoto.fields", "value_lists.lua" if lists else "no_lists.lua")],
        "composites": [(_PACKAGE, "digest.lua" if composites else "single.lua")],
    }
    adding = {**pieces, "arithmetic": [(_PACKAGE, "arithmetic.lua")]}

    def script(
        name: str, shape: Callable[[Any], R], *, writes: bool = True, pieces: Pieces = pieces, rows: int = 1
    ) -> Script[R]:
        return Script(
            f"popoto.{name}{suffix}", _PACKAGE, f"{name}.lua", shape=shape, writes=writes, pieces=pieces, rows=rows
        )

    # A digest takes a millisecond, and what companions learn some tenths: so that none waits long for a batch.
    rows = 8 if fragments or composites else 128

    return RowScripts(
        # What a companion learns is numbers; of the row's own, only an increment is computed on the server.
        save=script("save", int, pieces=adding if fragments else pieces, rows=rows),
        increment=script("save", sums, pieces=adding, rows=rows),
        delete=script("delete", int, rows=rows),
        reap=script("reap", int),
        check=script("care", list[Any], writes=False),
        clean=script("care", list[Any]),
        act=script("act", list[Any]),
        look=script("act", list[Any], writes=False),
    )


def schema_text(class_set: str, words: Iterable[bytes], *, alone: bool) -> str:
    """The indexes of a model, which a script would else read at every call.

    Args:
        class_set: the key of the class set, apart from a store's own prefix.
        words: the schema as entries.lua reads it, without a prefix.
        alone: whether rows have no companions, so that what is read of them is known here.
    """
    rest = iter(words)

    def key(word: bytes) -> str:
        return f"prefix .. {quoted(word)}"

    indexes, listed, names = [], [], []
    for _ in range(int(next(rest))):
        kind, base, field, code, values = (next(rest) for _ in range(5))
        parts = [(next(rest), next(rest)) for _ in range(int(next(rest)))]
        spelled = [f"{{field = {quoted(name)}, code = {quoted(letter)}}}" for name, letter in parts]
        # What an index lacks is left out: a table of four names takes half the memory of one of five.
        more = [f", list = {key(values)}"] if values else []
        more += [f", partitions = {{{', '.join(spelled)}}}"] if spelled else []
        indexes.append(
            f"  {{kind = {quoted(kind)}, base = {key(base)}, field = {quoted(field)}, code = {quoted(code)}"
            f"{''.join(more)}}},\n"
        )
        listed += [field] if values else []
        names += [field, *(name for name, _ in parts)]
    read = ", ".join(map(quoted, dict.fromkeys([*names, EXPIRY_MARK, RECEIPT])))
    return (
        f"local prefix = string.sub(class_set, 1, -{len(class_set.encode()) + 1})\n"
        f"local schema = {{\n{''.join(indexes)}  listed = {quoted(b','.join(listed))},\n"
        f"  {f'names = {{{read}}}' if alone else f'more = {{{quoted(EXPIRY_MARK)}}}'},\n}}"
    )


def quoted(word: bytes) -> str:
    """A Lua literal."""
    return "'" + "".join(chr(one) if chr(one) in _PLAIN else f"\\{one:03d}" for one in word) + "'"


def row_scripts(fragments: Iterable[Fragment], *, composites: bool, lists: bool, schema: str) -> RowScripts:
    """The scripts of models with these fragments and indexes, with or without composite ones and lists of values."""
    return _made(tuple(sorted(set(fragments), key=lambda one: one.kind)), composites, lists, schema)
