"""The scripts that change rows, each made with the Lua fragments of a model's companions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from popoto.fields.companions import Fragment
from popoto.storage import Script

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
        increment: the same script, asked for sums.
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
def _made(fragments: tuple[Fragment, ...]) -> RowScripts:
    suffix = "".join(f"+{one.kind}" for one in fragments)
    places = [(one.package, one.file) for one in fragments]

    def script(name: str, shape: Callable[[Any], R], *, writes: bool = True) -> Script[R]:
        return Script(f"popoto.{name}{suffix}", _PACKAGE, f"{name}.lua", shape=shape, writes=writes, fragments=places)

    return RowScripts(
        save=script("save", int),
        increment=script("save", sums),
        delete=script("delete", int),
        reap=script("reap", int),
        check=script("care", list[Any], writes=False),
        clean=script("care", list[Any]),
        act=script("act", list[Any]),
        look=script("act", list[Any], writes=False),
    )


def row_scripts(fragments: Iterable[Fragment]) -> RowScripts:
    """The scripts of the models whose companions need these fragments."""
    return _made(tuple(sorted(set(fragments), key=lambda one: one.kind)))
