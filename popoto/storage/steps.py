"""What crosses the waist: commands, script calls, transactions. Nothing here performs I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from popoto.storage.scripts import Script

R_co = TypeVar("R_co", covariant=True)
Arg: TypeAlias = bytes | str | int | float
Raw: TypeAlias = Any
"""A server's reply as a client's parser gives it, RESP2 or RESP3: bytes, int, float, None, list, dict, set."""


def argument(value: Arg) -> bytes:
    """The bytes that stand for a value on the wire.

    Raises:
        TypeError: for a bool or any type that has no one obvious spelling.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a command takes bytes, str, int or float, not {value!r}: encode it first")
    return repr(value).encode()


def arguments(values: Iterable[Arg]) -> tuple[bytes, ...]:
    """The bytes of each value."""
    # Most are bytes already, and a call for each would be a tenth of a save.
    return tuple(
        [
            value if type(value) is bytes else value.encode() if type(value) is str else argument(value)
            for value in values
        ]
    )


class Command(Generic[R_co]):
    """One command of the server, complete and in bytes; treat it as immutable.

    Attributes:
        argv: the command's name and arguments.
        keys: every key that it touches, for routing and the slot check.
        shape: turns a RESP2 or RESP3 reply into the one canonical form.
        writes: whether it may change stored state, and so is never sent twice.
        needs: the capability that a server must claim, or "" for the base.
    """

    __slots__ = ("argv", "keys", "needs", "shape", "writes")

    def __init__(
        self,
        *argv: Arg,
        keys: Sequence[Arg] = (),
        shape: Callable[[Raw], R_co],
        writes: bool = False,
        needs: str = "",
    ) -> None:
        self.argv = arguments(argv)
        self.keys = arguments(keys)
        self.shape = shape
        self.writes = writes
        self.needs = needs

    def __repr__(self) -> str:
        words = b" ".join(self.argv[:4]).decode("utf-8", "backslashreplace")
        return f"<Command {words[:80]}{' ...' if len(self.argv) > 4 else ''}>"


class Call(Generic[R_co]):
    """One run of a named script: atomic, and one round trip like any command.

    Attributes:
        keys, args: the script's KEYS and ARGV.
        shared: what the script's text was made of, for backends that run no text. Of a script that takes `rows`,
            neighbours with the very same are sent together: their number, then of each its number of keys and the rest.
    """

    __slots__ = ("args", "keys", "script", "shared")

    def __init__(self, script: Script[R_co], keys: Sequence[Arg] = (), args: Sequence[Arg] = ()) -> None:
        self.script = script
        self.keys = arguments(keys)
        self.args = arguments(args)
        self.shared: tuple[bytes, ...] = ()

    @classmethod
    def of_row(
        cls, script: Script[R_co], keys: Sequence[bytes], shared: tuple[bytes, ...], args: Sequence[bytes]
    ) -> Call[R_co]:
        """A call for one row, which may go together with its neighbours: those with the very same `shared`."""
        call = cls.__new__(cls)
        call.script, call.shared = script, shared
        call.keys, call.args = tuple(keys), (b"1", b"%d" % len(keys), *args)
        return call

    @property
    def writes(self) -> bool:
        return self.script.writes

    @property
    def needs(self) -> str:
        return self.script.needs

    @property
    def shape(self) -> Callable[[Raw], R_co]:
        return self.script.shape

    def __repr__(self) -> str:
        return f"<Call {self.script.name} keys={len(self.keys)} args={len(self.args)}>"


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition that a transaction's keys must meet at the moment it is applied.

    Kinds: `absent` and `present` look at the key; `field` wants hash field `field` to equal `value`,
    `nofield` wants it missing.
    """

    kind: Literal["absent", "present", "field", "nofield"]
    key: bytes
    field: bytes = b""
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class Applied:
    """A transaction's commands ran; an error of one is a `ReplyError` in its place."""

    replies: list[Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """A guard did not hold: nothing changed."""

    guard: int


class Txn:
    """Guards and commands that see one moment: all commands run, or none."""

    __slots__ = ("commands", "guards")

    def __init__(self, commands: Sequence[Command[Any]], guards: Sequence[Guard] = ()) -> None:
        self.commands = tuple(commands)
        self.guards = tuple(guards)

    @property
    def keys(self) -> tuple[bytes, ...]:
        keys = [key for command in self.commands for key in command.keys]
        return tuple(dict.fromkeys([*keys, *(guard.key for guard in self.guards)]))

    @property
    def writes(self) -> bool:
        return any(command.writes for command in self.commands)

    @property
    def needs(self) -> str:
        return "lua" if self.guards else ""

    def __repr__(self) -> str:
        return f"<Txn commands={len(self.commands)} guards={len(self.guards)}>"


Step: TypeAlias = Command[Any] | Call[Any] | Txn
Batch: TypeAlias = Sequence[Step]
Reply: TypeAlias = Any
"""A step's canonical reply, or the `ReplyError` that the server gave in its place."""


def needed(step: Step) -> set[str]:
    """The capabilities that a step needs."""
    needs = {step.needs}
    if isinstance(step, Txn):
        needs.update(command.needs for command in step.commands)
    return needs - {""}
