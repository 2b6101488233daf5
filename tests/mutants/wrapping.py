"""Backends and wires with a mutant between them and their caller, blocking and asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from mutants.mutant import Argvs, Mutant, Pause
from popoto.storage import (
    AsyncRespBackend,
    AsyncSubscription,
    AsyncWire,
    Batch,
    Info,
    Message,
    Reply,
    RespBackend,
    Subscription,
    Wire,
)

Stage = Generator[Any, Any, Any]


def _claiming(info: Info, claims: frozenset[str]) -> Info:
    return replace(info, capabilities=info.capabilities | claims)


class _Steering:
    """A mutant's stage under way: what it wants next, and its result at the end."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.result: Any = None
        self.wanted: Any = None
        self.going = True
        self.answer(None)

    def answer(self, value: Any) -> None:
        try:
            self.wanted = self._stage.send(value)
        except StopIteration as stop:
            self.going, self.result = False, stop.value

    def fail(self, error: Exception) -> None:
        try:
            self.wanted = self._stage.throw(error)
        except StopIteration as stop:
            self.going, self.result = False, stop.value


class MutantWire:
    """A blocking wire with a mutant in front."""

    def __init__(self, wire: Wire, mutant: Mutant) -> None:
        self.wire = wire
        self.mutant = mutant

    def send(self, argvs: Argvs, keys: Sequence[bytes] = (), /) -> list[Any]:
        steering = _Steering(self.mutant.send(argvs))
        while steering.going:
            if isinstance(steering.wanted, Pause):
                time.sleep(steering.wanted.seconds)
                steering.answer(None)
                continue
            try:
                raw = self.wire.send(steering.wanted, keys)
            except Exception as error:
                steering.fail(error)
            else:
                steering.answer(raw)
        return list(steering.result)

    def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes], /) -> Subscription:
        return self.wire.subscribe(channels, patterns)

    def close(self) -> None:
        self.wire.close()


class AsyncMutantWire:
    """An asyncio wire with a mutant in front."""

    def __init__(self, wire: AsyncWire, mutant: Mutant) -> None:
        self.wire = wire
        self.mutant = mutant

    async def send(self, argvs: Argvs, keys: Sequence[bytes] = (), /) -> list[Any]:
        steering = _Steering(self.mutant.send(argvs))
        while steering.going:
            if isinstance(steering.wanted, Pause):
                await asyncio.sleep(steering.wanted.seconds)
                steering.answer(None)
                continue
            try:
                raw = await self.wire.send(steering.wanted, keys)
            except Exception as error:
                steering.fail(error)
            else:
                steering.answer(raw)
        return list(steering.result)

    async def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes], /) -> AsyncSubscription:
        return await self.wire.subscribe(channels, patterns)

    async def close(self) -> None:
        await self.wire.close()


class MutantBackend:
    """A blocking backend with a mutant in front of it and of its wire."""

    def __init__(self, backend: RespBackend, mutant: Mutant, claims: frozenset[str]) -> None:
        self.inner = backend.wire
        backend.wire = MutantWire(backend.wire, mutant)
        self.backend = backend
        self.claims = claims
        self.mutant = mutant
        self.closed = 0

    @property
    def info(self) -> Info:
        return self.mutant.info(_claiming(self.backend.info, self.claims))

    def execute(self, batch: Batch, /) -> list[Reply]:
        steering = _Steering(self.mutant.execute(batch))
        while steering.going:
            if isinstance(steering.wanted, Pause):
                time.sleep(steering.wanted.seconds)
                steering.answer(None)
                continue
            try:
                replies = self.backend.execute(steering.wanted)
            except Exception as error:
                steering.fail(error)
            else:
                steering.answer(replies)
        return steering.result  # type: ignore[no-any-return]

    def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes] = (), /) -> Subscription:
        wanted = self.mutant.subscription(channels, patterns)
        subscription = MutantSubscription(self, *wanted)
        if not self.mutant.late:
            subscription.begin()
        return subscription

    def close(self) -> None:
        self.closed += 1
        for part in self.mutant.close(self.closed):
            (self.backend if part == "backend" else self.backend.wire).close()


class AsyncMutantBackend:
    """An asyncio backend with a mutant in front of it and of its wire."""

    def __init__(self, backend: AsyncRespBackend, mutant: Mutant, claims: frozenset[str]) -> None:
        backend.wire = AsyncMutantWire(backend.wire, mutant)
        self.backend = backend
        self.claims = claims
        self.mutant = mutant
        self.closed = 0

    async def describe(self) -> Info:
        return self.mutant.info(_claiming(await self.backend.describe(), self.claims))

    async def execute(self, batch: Batch, /) -> list[Reply]:
        steering = _Steering(self.mutant.execute(batch))
        while steering.going:
            if isinstance(steering.wanted, Pause):
                await asyncio.sleep(steering.wanted.seconds)
                steering.answer(None)
                continue
            try:
                replies = await self.backend.execute(steering.wanted)
            except Exception as error:
                steering.fail(error)
            else:
                steering.answer(replies)
        return steering.result  # type: ignore[no-any-return]

    async def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes] = (), /) -> AsyncSubscription:
        wanted = self.mutant.subscription(channels, patterns)
        subscription = AsyncMutantSubscription(self, *wanted)
        if not self.mutant.late:
            await subscription.begin()
        return subscription

    async def close(self) -> None:
        self.closed += 1
        for part in self.mutant.close(self.closed):
            await (self.backend if part == "backend" else self.backend.wire).close()


class MutantSubscription:
    """A blocking subscription whose messages pass through a mutant."""

    def __init__(self, owner: MutantBackend, channels: list[bytes], patterns: list[bytes]) -> None:
        self._owner = owner
        self._wanted = channels, patterns
        self._inner: Subscription | None = None

    def begin(self) -> Subscription:
        if self._inner is None:
            self._inner = self._owner.backend.subscribe(*self._wanted)
        return self._inner

    def get(self, timeout: float, /) -> Message | None:
        message = self.begin().get(timeout)
        return message and self._owner.mutant.message(message)

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()


class AsyncMutantSubscription:
    """An asyncio subscription whose messages pass through a mutant."""

    def __init__(self, owner: AsyncMutantBackend, channels: list[bytes], patterns: list[bytes]) -> None:
        self._owner = owner
        self._wanted = channels, patterns
        self._inner: AsyncSubscription | None = None

    async def begin(self) -> AsyncSubscription:
        if self._inner is None:
            self._inner = await self._owner.backend.subscribe(*self._wanted)
        return self._inner

    async def get(self, timeout: float, /) -> Message | None:
        message = await (await self.begin()).get(timeout)
        return message and self._owner.mutant.message(message)

    async def close(self) -> None:
        if self._inner is not None:
            await self._inner.close()
