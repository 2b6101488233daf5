"""Wires over a client of redis-py's family: its connections and pool, and nothing of its commands.

The client libraries are handed in by the backends, so that the core imports none. Only `send_packed_command`,
`read_response`, `can_read`, `pid` and the pool's `get_connection` and `release` are used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from popoto.exceptions import Denied, OutcomeUnknown, ReplyError, TimedOut, Unavailable
from popoto.storage.errors import is_reply, reply_error
from popoto.storage.protocol import Message
from popoto.storage.steps import Raw
from popoto.storage.urls import masked

Argvs = Sequence[tuple[bytes, ...]]
# What stands before a word of so many bytes.
_HEADS: Final = tuple(b"\r\n$%d\r\n" % size for size in range(1024))
# A longer word is sent as it is, and not copied.
_LONG: Final = 65_536
# The clients' own bound, from 100 on, is none that a user has set.
_LARGE_POOL: Final = 100


def packed(argvs: Argvs) -> list[bytes]:
    """Commands as they go over the wire; the clients' own packers take three times as long, for they take any type."""
    pieces: list[bytes] = []
    parts: list[bytes] = []
    for argv in argvs:
        words = (*argv[0].split(), *argv[1:]) if b" " in argv[0] else argv
        parts.append(b"*%d" % len(words))
        try:
            parts += [part for word in words for part in (_HEADS[len(word)], word)]
        except IndexError:
            parts = _with_long(words, parts, pieces)
        parts.append(b"\r\n")
    pieces.append(b"".join(parts))
    return pieces


def _with_long(words: Sequence[bytes], parts: list[bytes], pieces: list[bytes]) -> list[bytes]:
    """The parts with words of any length; very long ones are pieces of their own, and parts begin anew after them."""
    for word in words:
        size = len(word)
        if size < _LONG:
            parts += (_HEADS[size] if size < len(_HEADS) else b"\r\n$%d\r\n" % size, word)
        else:
            parts.append(b"\r\n$%d\r\n" % size)
            pieces += (b"".join(parts), word)
            parts = []
    return parts


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between the clients.

    Attributes:
        connection_errors: what a broken or refused connection raises.
        timeout_errors: what a server that does not answer in time raises; looked at first.
        response_error: the base of the server's own errors.
        auth_errors: what a refused login raises, which is a connection error too.
        cluster_error: what a cluster client raises that finds no node; it has no common base with the others.
        pool_words: the arguments that a pool's `get_connection` wants.
    """

    connection_errors: tuple[type[BaseException], ...]
    timeout_errors: tuple[type[BaseException], ...]
    response_error: type[Exception]
    auth_errors: tuple[type[BaseException], ...]
    cluster_error: type[Exception]
    pool_words: tuple[str, ...] = ()

    def refused(self, error: BaseException) -> Unavailable | Denied:
        """Why no connection could be had: nothing was sent."""
        text = masked(str(error)) or type(error).__name__
        if isinstance(error, self.auth_errors):
            return Denied("WRONGPASS", text)
        return Unavailable(f"the store cannot be reached: {text}")

    def lost(self, error: BaseException) -> OutcomeUnknown:
        """Why replies are missing."""
        text = masked(str(error)) or type(error).__name__
        if isinstance(error, self.timeout_errors):
            return TimedOut(f"the store did not answer in time; what was sent may have run: {text}")
        return OutcomeUnknown(f"the connection was lost; what was sent may have run: {text}")

    def value(self, raw: Raw) -> Raw:
        """A reply with the client's error objects replaced by ours."""
        if type(raw) is bytes:
            return raw
        if isinstance(raw, self.response_error):
            return reply_error(str(raw), type(raw).__name__)
        if type(raw) is list:
            for item in raw:
                if type(item) is list or isinstance(item, Exception):
                    return [self.value(item) for item in raw]
        return raw

    @property
    def broken(self) -> tuple[type[BaseException], ...]:
        return (*self.timeout_errors, *self.connection_errors, OSError)


class PoolWire:
    """A blocking wire over one pool of connections."""

    def __init__(self, pool: Any, family: Family, guards: Sequence[Any] = ()) -> None:
        self.pool = pool
        self.family = family
        # The clients of sentinels, which the pool asks for the primary.
        self._guards = guards
        # The connection of the last exchange waits here for the next: a pool's own care of it takes 9 us each time. A
        # small pool is a user's bound, and a sentinel's looks at each return for a new primary: they get theirs back.
        self._holds = not guards and pool.max_connections >= _LARGE_POOL
        self._held: list[Any] = []

    def send(self, argvs: Argvs, keys: Sequence[bytes] = (), /) -> list[Raw]:
        family = self.family
        connection = self._ready()
        try:
            connection.send_packed_command(packed(argvs), check_health=False)
            return [self._read(connection) for _ in argvs]
        except family.broken as error:
            connection.disconnect()
            raise family.lost(error) from error
        except BaseException:
            # A signal handler may raise between send and read: replies still owed must not meet the next caller.
            connection.disconnect()
            raise
        finally:
            if self._holds and not self._held:
                self._held.append(connection)
            else:
                self.pool.release(connection)

    def _ready(self) -> Any:
        """A connection on which nothing is owed; one that was lost while it waited is opened anew."""
        family = self.family
        try:
            connection = self._held.pop()
        except IndexError:
            pass
        else:
            try:
                if connection.pid == os.getpid() and not connection.can_read():
                    return connection
                connection.disconnect()
            except family.broken:
                connection.disconnect()
            self.pool.release(connection)
        try:
            return self.pool.get_connection(*family.pool_words)
        except (*family.broken, family.response_error) as error:
            raise family.refused(error) from error

    def _read(self, connection: Any) -> Raw:
        try:
            return self.family.value(connection.read_response(disable_decoding=True, disconnect_on_error=False))
        except (self.family.response_error, *self.family.connection_errors) as error:
            # LOADING and NOAUTH are answers, which these clients count among the connection errors.
            if isinstance(error, self.family.connection_errors) and not is_reply(type(error).__name__):
                raise
            return reply_error(str(error), type(error).__name__)

    def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes], /) -> PoolSubscription:
        connection = self.pool.make_connection()
        try:
            connection.connect()
            return PoolSubscription(connection, self.family, channels, patterns)
        except (*self.family.broken, self.family.response_error) as error:
            connection.disconnect()
            raise self.family.refused(error) from error

    def close(self) -> None:
        while self._held:
            self.pool.release(self._held.pop())
        self.pool.disconnect(inuse_connections=False)
        for guard in self._guards:
            guard.close()


class PoolSubscription:
    """A subscription on a connection of its own."""

    def __init__(self, connection: Any, family: Family, channels: Sequence[bytes], patterns: Sequence[bytes]) -> None:
        self._connection = connection
        self._family = family
        self._early: list[Message] = []
        for words in _subscriptions(channels, patterns):
            connection.send_packed_command(connection.pack_command(*words), check_health=False)
        left = len(channels) + len(patterns)
        while left:
            message = _message(self._read_frame())
            left -= message is None
            self._early += [message] if message else []

    def _read_frame(self) -> Raw:
        return self._connection.read_response(disable_decoding=True, **_push(self._connection))

    def get(self, timeout: float, /) -> Message | None:
        if self._early:
            return self._early.pop(0)
        if self._connection is None:
            raise Unavailable("this subscription is closed: subscribe again")
        try:
            if not self._connection.can_read(timeout=timeout):
                return None
            return _message(self._read_frame())
        except self._family.broken as error:
            self.close()
            raise Unavailable(f"the subscription's connection was lost: {masked(str(error))}") from error

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()


class AsyncPoolWire:
    """An asyncio wire over one pool of connections."""

    def __init__(self, pool: Any, family: Family, guards: Sequence[Any] = ()) -> None:
        self.pool = pool
        self.family = family
        self._guards = guards

    async def send(self, argvs: Argvs, keys: Sequence[bytes] = (), /) -> list[Raw]:
        family = self.family
        try:
            connection = await self.pool.get_connection(*family.pool_words)
        except (*family.broken, family.response_error) as error:
            raise family.refused(error) from error
        try:
            await connection.send_packed_command(packed(argvs), check_health=False)
            return [await self._read(connection) for _ in argvs]
        except family.broken as error:
            await connection.disconnect(nowait=True)
            raise family.lost(error) from error
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self.pool.release(connection)

    async def _read(self, connection: Any) -> Raw:
        try:
            return self.family.value(await connection.read_response(disable_decoding=True, disconnect_on_error=False))
        except (self.family.response_error, *self.family.connection_errors) as error:
            # LOADING and NOAUTH are answers, which these clients count among the connection errors.
            if isinstance(error, self.family.connection_errors) and not is_reply(type(error).__name__):
                raise
            return reply_error(str(error), type(error).__name__)

    async def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes], /) -> AsyncPoolSubscription:
        connection = self.pool.make_connection()
        subscription = AsyncPoolSubscription(connection, self.family)
        try:
            await connection.connect()
            await subscription.begin(channels, patterns)
        except (*self.family.broken, self.family.response_error) as error:
            await connection.disconnect(nowait=True)
            raise self.family.refused(error) from error
        return subscription

    async def close(self) -> None:
        await self.pool.disconnect(inuse_connections=True)
        for guard in self._guards:
            await guard.aclose()


class AsyncPoolSubscription:
    """A subscription on an asyncio connection of its own."""

    def __init__(self, connection: Any, family: Family) -> None:
        self._connection = connection
        self._family = family
        self._early: list[Message] = []

    async def begin(self, channels: Sequence[bytes], patterns: Sequence[bytes]) -> None:
        """Subscribe and wait for every confirmation."""
        for words in _subscriptions(channels, patterns):
            await self._connection.send_packed_command(self._connection.pack_command(*words), check_health=False)
        left = len(channels) + len(patterns)
        while left:
            message = _message(await self._read_frame(None))
            left -= message is None
            self._early += [message] if message else []

    async def _read_frame(self, timeout: float | None) -> Raw:
        words = _push(self._connection)
        return await self._connection.read_response(disable_decoding=True, timeout=timeout, **words)

    async def get(self, timeout: float, /) -> Message | None:
        if self._early:
            return self._early.pop(0)
        if self._connection is None:
            raise Unavailable("this subscription is closed: subscribe again")
        try:
            frame = await self._read_frame(timeout)
        except self._family.broken as error:
            await self.close()
            raise Unavailable(f"the subscription's connection was lost: {masked(str(error))}") from error
        return None if frame is None else _message(frame)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect()


def _push(connection: Any) -> dict[str, bool]:
    """RESP3 delivers messages apart from replies; the client wants to be told that they are meant."""
    return {"push_request": True} if str(connection.protocol) == "3" else {}


def _subscriptions(channels: Sequence[bytes], patterns: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    plain = [(b"SUBSCRIBE", *channels)] if channels else []
    return [*plain, (b"PSUBSCRIBE", *patterns)] if patterns else plain


def _message(frame: Raw) -> Message | None:
    """The message of a frame; None for a confirmation."""
    if isinstance(frame, ReplyError):
        raise frame
    kind = frame[0]
    if kind == b"message":
        return Message(frame[1], frame[2])
    if kind == b"pmessage":
        return Message(frame[2], frame[3], frame[1])
    return None
