"""Subscribers: objects that hear what is published to channels."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from abc import ABC
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from popoto import storage
from popoto.exceptions import Busy, OutcomeUnknown, SubscriberException, Unavailable
from popoto.pubsub.backoff import Backoff
from popoto.pubsub.payloads import plain, spelled, unpacked
from popoto.storage import AsyncSubscription, Connection, Subscription, connection

__all__ = ["Message", "Subscriber", "SubscriberException"]

logger = logging.getLogger("popoto.pubsub")
# So often a loop looks whether it should stop.
LOOK_SECONDS: Final = 0.5
# An event loop reads its sockets between two turns, so a wait of 0 would never see a message.
LEAST_ASYNC_SECONDS: Final = 0.01
_PASSING: Final = (Unavailable, OutcomeUnknown, Busy)


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        channel: where it was published, without the namespace.
        data: what was published.
    """

    channel: str
    data: Any


class Subscriber(ABC):  # noqa: B024 - abstract by intent: a subclass says what is heard
    """Hears messages on channels, by polling, by iterating, or in a loop that hands each to `handle`.

    It subscribes when it is made; inside a running event loop at the first `await`, so that nothing blocks the loop.
    A lost connection is made anew, with growing waits; what was published meanwhile is lost, as always with channels.

    Attributes:
        sub_channel_names: the channels.
        _connection_name: the connection that it uses, None for the default one.
        _backoff_seconds: the shortest and the longest wait between two tries to connect again.
    """

    sub_channel_names: Sequence[str] = []
    _connection_name: str | None = None
    _backoff_seconds: tuple[float, float] = (0.1, 10.0)
    _monotonic: ClassVar[Any] = staticmethod(time.monotonic)
    _sleep: ClassVar[Any] = staticmethod(time.sleep)
    _async_sleep: ClassVar[Any] = staticmethod(asyncio.sleep)

    def __init__(self, *args: Any, sub_channel_names: Iterable[str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = self.sub_channel_names if sub_channel_names is None else sub_channel_names
        if isinstance(names, str):
            raise SubscriberException(f"sub_channel_names={names!r} must be a list of names: write [{names!r}]")
        self.sub_channel_names = list(names)
        self._heard: Subscription | None = None
        self._async_heard: AsyncSubscription | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._early: deque[storage.Message] = deque()
        self._here: Connection = connection(self._connection_name)
        self._backoff = Backoff(*self._backoff_seconds)
        self._stopping = False
        if self.sub_channel_names and not _in_loop():
            self.subscribe()

    # -- for subclasses

    def handle(self, channel: str, data: Any, *args: Any, **kwargs: Any) -> Any:
        """Take a message. May be `async def` where the subscriber is polled with `await`."""
        logger.warning("%s heard a message on %r and does not handle it", type(self).__name__, channel)

    def pre_handle(self, channel: str, data: Any, *args: Any, **kwargs: Any) -> Any:
        """See a message before `handle` does."""
        logger.debug("%s heard a message on %r", type(self).__name__, channel)

    # -- blocking

    def subscribe(self) -> Self:
        """Subscribe to the channels, unless it is done; what is published from now on is heard.

        Raises:
            Unavailable: when the store cannot be reached.
        """
        if self._heard is None:
            self._heard = self._here.backend.subscribe(self._channels())
            self._backoff.worked()
        return self

    def __call__(self, timeout: float = 0) -> Message | None:
        """Take the next message to `pre_handle` and `handle`, and return it; None when there is none.

        Args:
            timeout: seconds to wait for one.

        Raises:
            SubscriberException: when the message cannot be read or a handler fails; the next call goes on.
        """
        message = self._next(timeout)
        if message is not None:
            for handler in (self.pre_handle, self.handle):
                _check_blocking(self._handed(handler, message), handler)
        return message

    def __enter__(self) -> Self:
        return self.subscribe()

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        """The messages as they come, without end until `stop`; they are not handed to `handle`."""
        return self

    def __next__(self) -> Message:
        while not self._stopped():
            message = self._next(LOOK_SECONDS)
            if message is not None:
                return message
        raise StopIteration

    def run(self) -> None:
        """Hand messages to `pre_handle` and `handle` until `stop`; an error of one is logged, the next goes on."""
        while not self._stopped():
            try:
                self(LOOK_SECONDS)
            except SubscriberException as error:
                logger.error("%s: %s", type(self).__name__, error, exc_info=error)

    def close(self) -> None:
        """End the subscription; it is made anew when it is needed."""
        heard, self._heard = self._heard, None
        if heard is not None:
            heard.close()

    def _next(self, timeout: float) -> Message | None:
        if self._heard is None and not self._again(timeout):
            return None
        try:
            raw = self._heard.get(timeout) if self._heard is not None else None
        except Unavailable as error:
            self.close()
            self._lost(error)
            return None
        return None if raw is None else self._read(raw)

    def _again(self, timeout: float) -> bool:
        left = self._backoff.left(self._monotonic())
        if left > 0:
            self._sleep(min(left, timeout))
        if left > timeout:
            return False
        try:
            self.subscribe()
        except _PASSING as error:
            self._lost(error)
            return False
        return True

    # -- asyncio

    async def async_subscribe(self) -> Self:
        """`subscribe` for asyncio."""
        loop = asyncio.get_running_loop()
        if self._async_heard is None or self._loop is not loop:
            lane = await self._here.lane()
            self._async_heard, self._loop = await lane.backend.subscribe(self._channels()), loop
            self._backoff.worked()
            self._drain()
        return self

    def _drain(self) -> None:
        """Keep what the blocking subscription has heard, and end it."""
        with suppress(Unavailable):
            while self._heard is not None and (raw := self._heard.get(0)) is not None:
                self._early.append(raw)
        self.close()

    async def __aenter__(self) -> Self:
        return await self.async_subscribe()

    async def __aexit__(self, *error: object) -> None:
        await self.async_close()

    async def async_poll(self, timeout: float = 0) -> Message | None:
        """Take the next message to `pre_handle` and `handle`, as a call of the subscriber does; both may be async."""
        message = await self._async_next(timeout)
        if message is not None:
            for handler in (self.pre_handle, self.handle):
                await self._awaited(handler, message)
        return message

    def __aiter__(self) -> Self:
        """The messages as they come, without end until `stop`; they are not handed to `handle`."""
        return self

    async def __anext__(self) -> Message:
        while not self._stopped():
            message = await self._async_next(LOOK_SECONDS)
            if message is not None:
                return message
        raise StopAsyncIteration

    async def async_run(self) -> None:
        """`run` for asyncio."""
        while not self._stopped():
            try:
                await self.async_poll(LOOK_SECONDS)
            except SubscriberException as error:
                logger.error("%s: %s", type(self).__name__, error, exc_info=error)

    async def async_close(self) -> None:
        """`close` for asyncio."""
        self.close()
        heard, self._async_heard = self._async_heard, None
        if heard is not None:
            await heard.close()

    async def _async_next(self, timeout: float) -> Message | None:
        if (self._async_heard is None or self._loop is not asyncio.get_running_loop()) and not (
            await self._async_again(timeout)
        ):
            return None
        if self._early:
            return self._read(self._early.popleft())
        try:
            wait = max(timeout, LEAST_ASYNC_SECONDS)
            raw = await self._async_heard.get(wait) if self._async_heard is not None else None
        except Unavailable as error:
            await self.async_close()
            self._lost(error)
            return None
        return None if raw is None else self._read(raw)

    async def _async_again(self, timeout: float) -> bool:
        left = self._backoff.left(self._monotonic())
        if left > 0:
            await self._async_sleep(min(left, timeout))
        if left > timeout:
            return False
        try:
            await self.async_subscribe()
        except _PASSING as error:
            self._lost(error)
            return False
        return True

    # -- both

    def stop(self) -> None:
        """End the loop that runs, or the next one, within half a second; from any thread."""
        self._stopping = True

    def _stopped(self) -> bool:
        stopping, self._stopping = self._stopping, False
        return stopping

    def _channels(self) -> list[bytes]:
        if not self.sub_channel_names:
            raise SubscriberException(f"{type(self).__name__} has no channels: set sub_channel_names")
        return [spelled(name, self._here.layout) for name in self.sub_channel_names]

    def _lost(self, error: Exception) -> None:
        waits = self._backoff.failed(self._monotonic())
        logger.warning("%s: %s; next try in %.1f s", type(self).__name__, error, waits)

    def _read(self, raw: storage.Message) -> Message:
        channel = plain(raw.channel, self._here.layout)
        try:
            return Message(channel, unpacked(raw.data))
        except ValueError as error:
            raise SubscriberException(f"a message on {channel!r} cannot be read: {error}") from error

    def _handed(self, handler: Any, message: Message) -> Any:
        try:
            return handler(message.channel, message.data)
        except Exception as error:
            raise _failure(handler, message, error) from error

    async def _awaited(self, handler: Any, message: Message) -> None:
        result = self._handed(handler, message)
        if inspect.isawaitable(result):
            try:
                await result
            except Exception as error:
                raise _failure(handler, message, error) from error


def _failure(handler: Any, message: Message, error: Exception) -> SubscriberException:
    return SubscriberException(
        f"{handler.__name__}() failed on a message on {message.channel!r}: {type(error).__name__}: {error}"
    )


def _check_blocking(result: Any, handler: Any) -> None:
    if inspect.iscoroutine(result):
        result.close()
        raise SubscriberException(f"{handler.__name__}() is async: use async_poll, async_run or async for")


def _in_loop() -> bool:
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        return True
    return False
