"""The driver for asyncio, with one set of connections per event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from popoto.exceptions import BackendError
from popoto.storage.capabilities import Info
from popoto.storage.counting import count_round_trip
from popoto.storage.layouts import PLAIN, Layout, of_server
from popoto.storage.plans import Op, Request, Running
from popoto.storage.protocol import AsyncBackend
from popoto.storage.steps import Reply, Step

R = TypeVar("R")
# A merged batch of 512 small steps takes a server about a millisecond, so no one waits long for another's.
MOST_STEPS: Final = 512
MOST_AT_ONCE: Final = 8


def in_event_loop() -> bool:
    """Whether the caller runs inside an event loop, which a blocking call would stop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def arun(plan: Op[R], lane: Lane, layout: Layout = PLAIN) -> R:
    """Run a plan to its end and return its result."""
    running = Running(plan)
    while running.request is not None:
        try:
            reply = await serve(running.request, lane, layout)
        except Exception as error:
            running.fail(error)
        except BaseException as error:
            with suppress(type(error)):
                running.fail(error)
            raise
        else:
            running.reply(reply)
    return running.value()  # type: ignore[no-any-return]


async def serve(request: Request, lane: Lane, layout: Layout) -> Any:
    """Do what a plan asks for once."""
    if request.kind == "layout":
        return of_server(layout, (await lane.describe()).capabilities)
    if request.effect is not None:
        return await asyncio.to_thread(request.effect)
    count_round_trip()
    return await lane.execute(request.steps)


class Lane:
    """One event loop's way to a store: what is asked for in one turn of the loop goes out together.

    Readers and writers travel in separate batches, so that a lost reply of a write says nothing about a read. A
    caller that is cancelled leaves its batch to finish, whole, and no connection half read.
    """

    def __init__(self, backend: AsyncBackend) -> None:
        self.backend = backend
        self._waiting: dict[bool, list[tuple[Sequence[Step], asyncio.Future[list[Reply]]]]] = {}
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._info: Info | None = None
        self._asking: asyncio.Task[Info] | None = None

    async def describe(self) -> Info:
        """What the store is: asked once, however many want to know it at the same time."""
        if self._info is not None:
            return self._info
        if self._asking is None:
            self._asking = self._begin(self._learn())
        return await asyncio.shield(self._asking)

    async def _learn(self) -> Info:
        try:
            self._info = await self.backend.describe()
            return self._info
        finally:
            self._asking = None

    async def execute(self, steps: Sequence[Step]) -> list[Reply]:
        """Run steps, with those of others that are ready in the same turn of the loop."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Reply]] = loop.create_future()
        writes = any(step.writes for step in steps)
        if not self._waiting:
            loop.call_soon(self._depart)
        self._waiting.setdefault(writes, []).append((steps, answer))
        return await answer

    def _depart(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for riders in waiting.values():
            load: list[tuple[Sequence[Step], asyncio.Future[list[Reply]]]] = []
            size = 0
            for rider in riders:
                if load and size + len(rider[0]) > MOST_STEPS:
                    self._start(load)
                    load, size = [], 0
                load.append(rider)
                size += len(rider[0])
            self._start(load)

    def _start(self, riders: list[tuple[Sequence[Step], asyncio.Future[list[Reply]]]]) -> None:
        self._begin(self._travel(riders))

    def _begin(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever waited for it has been told; nobody may be left to ask.
            task.exception()

    async def _travel(self, riders: list[tuple[Sequence[Step], asyncio.Future[list[Reply]]]]) -> None:
        steps = [step for some, _ in riders for step in some]
        try:
            async with self._at_once:
                replies = await self.backend.execute(steps)
        except Exception as error:
            await self._settle_failure(riders, error)
            return
        except BaseException:
            for _, answer in riders:
                answer.cancel()
            raise
        start = 0
        for some, answer in riders:
            end = start + len(some)
            if not answer.done():
                answer.set_result(replies[start:end])
            start = end

    async def _settle_failure(
        self, riders: list[tuple[Sequence[Step], asyncio.Future[list[Reply]]]], error: Exception
    ) -> None:
        # Refused before anything was sent: the one who asked for the impossible is told, the others travel alone.
        if len(riders) > 1 and isinstance(error, BackendError) and error.nothing_sent:
            for rider in riders:
                await self._travel([rider])
            return
        for _, answer in riders:
            if not answer.done():
                answer.set_exception(error)

    async def close(self) -> None:
        """Wait for what is under way, then let go of the connections."""
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.backend.close()


class Lanes:
    """The lanes of one connection, one per event loop, held weakly and closed with their loop."""

    def __init__(self, opened: Callable[[], AsyncBackend]) -> None:
        self._opened = opened
        self._lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Lane, AsyncGenerator[None]]] = (
            WeakKeyDictionary()
        )

    async def here(self) -> Lane:
        """The lane of the running loop."""
        loop = asyncio.get_running_loop()
        found = self._lanes.get(loop)
        if found is not None:
            return found[0]
        for other in [other for other in self._lanes if other.is_closed()]:
            del self._lanes[other]
        lane = Lane(self._opened())
        # asyncio.run and every test runner close a loop's asynchronous generators before the loop itself: a generator
        # that waits for its end is told when this loop ends, while its connections can still be closed.
        closer = _closed_with_loop(lane)
        self._lanes[loop] = (lane, closer)
        await anext(closer)
        return lane

    async def close(self) -> None:
        """Close the running loop's lane; those of other loops are closed with their loops."""
        found = self._lanes.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found[1].aclose()

    def forget(self) -> None:
        """Drop every lane without closing it, as a forked child must."""
        self._lanes = WeakKeyDictionary()


async def _closed_with_loop(lane: Lane) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await lane.close()
