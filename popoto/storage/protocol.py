"""What a backend has to be. `popoto_conformance` proves it; `docs/how-to/write-a-backend.md` walks through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from popoto.storage.capabilities import Info
from popoto.storage.steps import Batch, Raw, Reply

PROTOCOL: Final = "1.0"
"""The protocol's version. A minor version adds capabilities, never obligations."""


@dataclass(frozen=True, slots=True)
class Message:
    """One published message.

    Attributes:
        channel: where it was published.
        data: the payload, as it was sent.
        pattern: the pattern that matched, None for a plain subscription.
    """

    channel: bytes
    data: bytes
    pattern: bytes | None = None


class Subscription(Protocol):
    """A running subscription; what is published after it was made is delivered."""

    def get(self, timeout: float, /) -> Message | None:
        """The next message, or None when none came within so many seconds."""

    def close(self) -> None:
        """End the subscription; twice is fine."""


class AsyncSubscription(Protocol):
    """`Subscription` for asyncio."""

    async def get(self, timeout: float, /) -> Message | None:
        """The next message, or None when none came within so many seconds."""

    async def close(self) -> None:
        """End the subscription; twice is fine."""


@runtime_checkable
class Backend(Protocol):
    """A store. Thread-safe; bytes in, bytes out."""

    @property
    def info(self) -> Info:
        """Server, version and capabilities, found at the first use."""

    def execute(self, batch: Batch, /) -> list[Reply]:
        """Run steps in order, in one round trip; none for the empty batch.

        The replies stand in the steps' order. A server's error is a `ReplyError` in its step's place, and the
        other steps have run. Each step is atomic; between steps others may write.

        Raises:
            CapabilityError: a step needs what is not claimed. Nothing was sent.
            CrossSlot: a step touches several slots of a cluster. Nothing was sent.
            Unavailable: nothing ran.
            OutcomeUnknown: the batch writes, was sent once, and its replies were lost.
        """

    def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes] = (), /) -> Subscription:
        """Subscribe; returns when every subscription is confirmed."""

    def close(self) -> None:
        """Let go of every connection; twice is fine. Using it afterwards raises `Unavailable`."""


@runtime_checkable
class AsyncBackend(Protocol):
    """`Backend` for one asyncio event loop."""

    async def describe(self) -> Info:
        """Server, version and capabilities, found at the first call."""

    async def execute(self, batch: Batch, /) -> list[Reply]:
        """Run steps as `Backend.execute` does."""

    async def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes] = (), /) -> AsyncSubscription:
        """Subscribe as `Backend.subscribe` does."""

    async def close(self) -> None:
        """Let go of every connection; twice is fine."""


class Wire(Protocol):
    """All that a RESP client has to be: send commands in one flush, return the raw replies in order."""

    def send(self, argvs: Sequence[tuple[bytes, ...]], keys: Sequence[bytes] = (), /) -> list[Raw]:
        """Exchange one flush; errors are `ReplyError` values, also inside a list.

        `keys` are the keys that the commands touch, for a wire that routes by hash slot.

        Raises:
            Unavailable: nothing was sent.
            OutcomeUnknown: something was sent and a reply is missing; the connection has been dropped.
        """

    def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes], /) -> Subscription:
        """Subscribe on a connection of its own."""

    def close(self) -> None:
        """Close the connections."""


class AsyncWire(Protocol):
    """`Wire` for asyncio."""

    async def send(self, argvs: Sequence[tuple[bytes, ...]], keys: Sequence[bytes] = (), /) -> list[Raw]:
        """Exchange one flush, as `Wire.send` does."""

    async def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes], /) -> AsyncSubscription:
        """Subscribe on a connection of its own."""

    async def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plug-in as `popoto.plugins()` lists it.

    Attributes:
        name: the entry point's package.
        version: its distribution's version.
        schemes: the URL schemes that it answers to.
        capabilities: what it may claim; what a server really has is found at connect.
        error: why it could not be loaded, or "".
    """

    name: str
    version: str
    schemes: tuple[str, ...]
    capabilities: frozenset[str]
    error: str = ""
