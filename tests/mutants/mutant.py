"""A mutant: what is changed between a sound backend and its caller. Nothing here performs I/O.

A mutant's stages are generators: what they yield is sent (or waited for), what comes in is the answer to it. One body
so breaks the blocking and the asyncio backend alike.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar

from popoto.storage import Batch, Command, Info, Message, Reply, Step

Argv: TypeAlias = tuple[bytes, ...]
Argvs: TypeAlias = Sequence[Argv]
T = TypeVar("T")
BOTH = frozenset({"blocking", "asyncio"})


@dataclass(frozen=True, slots=True)
class Pause:
    """A wait, in which other clients get their turn."""

    seconds: float = 0.002


Sending: TypeAlias = Generator[Argvs | Pause, Any, list[Any]]
Executing: TypeAlias = Generator[Batch | Pause, Any, list[Reply]]
Closing: TypeAlias = Generator[str, None, None]


class Mutant:
    """A backend that does what its base does; each subclass is broken in one way.

    Attributes:
        killed_by: the module of the suite, or several, whose cases fail on it.
        on_socket: whether what is broken shows on a TCP connection only, so that a real server is its base.
        forms: which forms of the backend are broken, the others being sound.
    """

    killed_by: ClassVar[str | tuple[str, ...]] = ()
    on_socket: ClassVar[bool] = False
    forms: ClassVar[frozenset[str]] = BOTH

    def send(self, argvs: Argvs) -> Sending:
        """Exchange one flush of commands for raw replies."""
        return (yield [self.argv(argv) for argv in argvs])  # type: ignore[no-any-return]

    def argv(self, argv: Argv) -> Argv:
        """One command as it is sent."""
        return argv

    def execute(self, batch: Batch) -> Executing:
        """Exchange a batch for canonical replies."""
        replies = yield batch
        return [self.reply(step, reply) for step, reply in zip(batch, replies, strict=True)]

    def reply(self, step: Step, reply: Reply) -> Reply:
        """One canonical reply as it is handed out."""
        return reply

    def info(self, info: Info) -> Info:
        """What the backend says of itself."""
        return info

    def subscription(self, channels: Sequence[bytes], patterns: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        """What is subscribed to."""
        return list(channels), list(patterns)

    late = False
    """Whether a subscription is made only when it is first read."""

    def message(self, message: Message) -> Message | None:
        """One message as it is handed out."""
        return message

    def restart(self, client: Any) -> None:
        """What a restart does to the data, which `client` reaches."""

    def native(self, client: Any) -> Any:
        """The client that is handed out for the backend's own."""
        return client

    def close(self, times: int) -> Closing:
        """Close, for the first or a later time: yields "backend", "wire" or nothing at all."""
        yield "backend"


def word(step: Step) -> bytes:
    """A command's name, b"" for a script and a transaction."""
    return step.argv[0] if isinstance(step, Command) else b""


def without(argv: Argv, *words: bytes) -> Argv:
    """A command without its options of these names; its name, key and last two words are never options."""
    return tuple(part for at, part in enumerate(argv) if at < 2 or part not in words)


def deep(change: Callable[[Any], Any], value: Any) -> Any:
    """A reply with every leaf changed."""
    if isinstance(value, list | tuple | set):
        return type(value)(deep(change, item) for item in value)
    if isinstance(value, dict):
        return {deep(change, key): deep(change, item) for key, item in value.items()}
    return change(value)
