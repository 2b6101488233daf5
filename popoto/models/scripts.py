"""The scripts that change rows, each made of just what its model needs: what a script defines costs at every call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from popoto.fields.companions import Fragment
from popoto.storage import Script
from popoto.storage.scripts import Pieces

R = TypeVar("R")
_PACKAGE = "popoto.models"


def sums(raw: Any) -> list[Any]:
    """The bytes of each sum; none where the script added nothing and counts new fields."""
    return raw if isinstance(raw, list) else []


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
def _made(fragments: tuple[Fragment, ...], composites: bool, lists: bool) -> RowScripts:
    suffix = "".join(f"+{one.kind}" for one in fragments) + "+composites" * composites + "+lists" * lists
    pieces = {
        "fragments": [(one.package, one.file) for one in fragments],
        "lists": [("popoto.fields", "value_lists.lua" if lists else "no_lists.lua")],
        "composites": [(_PACKAGE, "digest.lua" if composites else "single.lua")],
    }
    adding = {**pieces, "arithmetic": [(_PACKAGE, "arithmetic.lua")]}

    def script(name: str, shape: Callable[[Any], R], *, writes: bool = True, pieces: Pieces = pieces) -> Script[R]:
        return Script(f"popoto.{name}{suffix}", _PACKAGE, f"{name}.lua", shape=shape, writes=writes, pieces=pieces)

    return RowScripts(
        # What a companion learns is numbers; of the row's own, only an increment is computed on the server.
        save=script("save", int, pieces=adding if fragments else pieces),
        increment=script("save", sums, pieces=adding),
        delete=script("delete", int),
        reap=script("reap", int),
        check=script("care", list[Any], writes=False),
        clean=script("care", list[Any]),
        act=script("act", list[Any]),
        look=script("act", list[Any], writes=False),
    )


def row_scripts(fragments: Iterable[Fragment], *, composites: bool, lists: bool) -> RowScripts:
    """The scripts of models with these fragments, with or without composite indexes and lists of values."""
    return _made(tuple(sorted(set(fragments), key=lambda one: one.kind)), composites, lists)
